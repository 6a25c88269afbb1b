package grafana

// kafka answers: does Kafka work for the programs, and who waits for whom.
func kafka() board {
	return board{
		uid: "iot-kafka", title: "Kafka", from: programs,
		about:     "Does Kafka work for the programs, and where do records wait. All but the last panel is measured by the programs themselves.",
		variables: []variable{{"partition", "core_partition_lag", "partition"}},
		rows: []row{
			{"Reached", reached()},
			{"Waiting", []panel{
				{
					title: "Not yet processed by core", unit: count, about: "Unread offsets of each partition of device-data, markers of transactions included. One high partition is one busy or stuck task.",
					queries: one(`max by (partition) (core_partition_lag{partition=~"$partition"})`, "{{partition}}"),
				},
				{
					title: "Not yet processed, as a portal sees it", unit: count, about: "Records of device-data that core has not committed; -1 while unknown.",
					queries: one("max(portal_kafka_lag_records)", "records"),
				},
				{
					title: "Not yet read by the detector", unit: count, about: "After a start it reads on from its state; until then it raises nothing in that partition.",
					queries: one(`max by (partition) (core_detect_lag{partition=~"$partition"})`, "{{partition}}"),
				},
				{
					title: "Not yet in the history", unit: count, about: "Records of device-data that the history has not read.",
					queries: one("sum by (instance) (core_history_lag_records)", "{{instance}}"),
				},
				{
					kind: state, title: "A portal's database is behind", unit: yes, about: "1 while it lacks records that Kafka has, or may.",
					queries: one("portal_store_behind", "{{instance}}"), alert: "StoreBehind", limit: limit{equals, 1},
				},
				{
					title: "Under-replicated partitions", unit: count, about: "By topic; from kafka_exporter, as job kafka.",
					queries: one("sum by (topic) (kafka_topic_partition_under_replicated_partition)", "{{topic}}"), alert: "KafkaUnderReplicated", limit: limit{above, 0},
				},
			}},
		},
	}
}

func reached() []panel {
	return []panel{
		{
			kind: state, title: "Portals read Kafka", unit: yes, about: "1 while a portal can read alerts.",
			queries: one("max(portal_kafka_connected)", "a portal"), alert: "PortalKafkaUnreachable", limit: limit{equals, 0},
		},
		{
			title: "Bridge: transactions", unit: perSecond, about: "By result.",
			queries: one("sum by (result) (rate(bridge_transactions_total[$__rate_interval]))", "{{result}}"),
		},
		{
			title: "Core: transactions", unit: perSecond, about: "By result.",
			queries: one("sum by (result) (rate(core_transactions_total[$__rate_interval]))", "{{result}}"),
		},
		{
			title: "A transaction takes", unit: seconds, about: "99th percentile. When both rise, it is Kafka.",
			queries: []query{
				{quantile(0.99, "bridge_transaction_duration_seconds", "", ""), "bridge"}, {quantile(0.99, "core_commit_duration_seconds", "", ""), "core"},
			},
		},
		{
			title: "Readings in a transaction", unit: count, about: "Median of the bridge. The slower Kafka, the more.",
			queries: one(quantile(0.5, "bridge_transaction_readings", "", ""), "median"),
		},
		{
			title: "Security audit: waiting", unit: count, about: "Records that Kafka has not taken.",
			queries: []query{
				{"max by (job, instance) (bridge_security_audit_waiting)", "bridge {{instance}}"}, {"max by (job, instance) (portal_security_audit_waiting)", "portal {{instance}}"},
			},
			alert: "SecurityAuditWaits", limit: limit{above, 0},
		},
	}
}
