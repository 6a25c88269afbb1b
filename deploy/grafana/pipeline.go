package grafana

// pipeline answers: is every reading accounted for, and which stage is slow.
func pipeline() board {
	return board{
		uid: "iot-pipeline", title: "Pipeline", from: programs,
		about:     "Is every reading accounted for on its way through bridge and core, and which stage is slow.",
		variables: []variable{{"gateway", "bridge_ledger_difference", "gateway"}, {"instance", "core_readings_total", "instance"}},
		rows: []row{
			{"Ledger", ledger()},
			{"Bridge", bridge()},
			{"Core", core()},
			{"Live path", live()},
			{"Alarms and notifications", alarms()},
		},
	}
}

func ledger() []panel {
	return []panel{
		{
			title: "Difference", unit: count, about: "Readings that a gateway stored up to its checkpoint and that are neither committed nor known to be damaged. Anything but 0 is an error.",
			queries: one(`max by (gateway) (abs(bridge_ledger_difference{gateway=~"$gateway"}))`, "{{gateway}}"), alert: "LedgerDifference", limit: limit{above, 0},
		},
		{
			title: "Readings by state", unit: count, about: "Readings since the first checkpoint of a gateway, over all gateways. Accepted, packed, bridged and committed are equal but for what is on its way.",
			queries: one(`sum by (state) (max by (gateway, state) (bridge_ledger_readings{gateway=~"$gateway"}))`, "{{state}}"),
		},
		{
			title: "Losses in an hour", unit: count, about: "Events in which a gateway lost acknowledged packs.",
			queries: one(`sum by (gateway) (increase(bridge_losses_total{gateway=~"$gateway"}[1h]))`, "{{gateway}}"), alert: "ReadingsLost", limit: limit{above, 0},
		},
		{
			title: "Damaged in an hour", unit: count, about: "Readings in packs that could not be read.",
			queries: one(`max by (gateway) (delta(bridge_ledger_readings{state="damaged",gateway=~"$gateway"}[1h]))`, "{{gateway}}"), alert: "ReadingsDamaged", limit: limit{above, 0},
		},
		{
			title: "Dead letters in 15 minutes", unit: count, about: "Messages refused by gateways and bridge for good; they are in device-data-dlq.",
			queries: one("sum(increase(bridge_dead_letters_total[15m]))", "dead letters"), alert: "DeadLetters", limit: limit{above, 10},
		},
		{
			title: "Records that are no readings, in an hour", unit: count, about: "Records of device-data that core refused: another program writes there.",
			queries: one("sum by (reason) (increase(core_dead_letters_total[1h]))", "{{reason}}"), alert: "ForeignRecords", limit: limit{above, 0},
		},
	}
}

func bridge() []panel {
	return []panel{
		{
			title: "Committed by the bridge", unit: perSecond, about: "Readings committed to device-data.",
			queries: one("sum by (instance) (rate(bridge_records_total[$__rate_interval]))", "{{instance}}"),
		},
		{
			title: "Failed transactions in five minutes", unit: count, about: "Transactions that Kafka did not take; they are tried again. The alert fires when none succeeds either.",
			queries: one(`sum(increase(bridge_transactions_total{result="failed"}[5m]))`, "failed"), alert: "BridgeTransactionsFail", limit: limit{above, 0},
		},
		{
			title: "A transaction of the bridge takes", unit: seconds, about: "From its begin to Kafka's confirmation.",
			queries: times("bridge_transaction_duration_seconds", ""),
		},
		{
			title: "Readings in a transaction", unit: count, about: "How many readings share the cost of one.",
			queries: times("bridge_transaction_readings", ""),
		},
		{
			title: "Lanes", unit: count, about: "Lanes that a bridge runs.",
			queries: one("bridge_lanes_owned", "{{instance}}"),
		},
		{
			title: "Restarts of lanes in 15 minutes", unit: count, about: "A lane that failed reads on from its checkpoint.",
			queries: one("increase(bridge_lane_restarts_total[15m])", "{{instance}}"), alert: "LaneRestarts", limit: limit{above, 5},
		},
		{
			title: "Failed reads of gateways", unit: perSecond, about: "The line to a gateway is bad, or the gateway is busy.",
			queries: one(`sum by (gateway) (rate(bridge_pull_failures_total{gateway=~"$gateway"}[$__rate_interval]))`, "{{gateway}}"),
		},
	}
}

func core() []panel {
	const of = `{instance=~"$instance"}`
	return []panel{
		{
			title: "Processed by core", unit: perSecond, about: "Readings processed by an instance.",
			queries: one("sum by (instance) (rate(core_readings_total"+of+"[$__rate_interval]))", "{{instance}}"),
		},
		{
			title: "Behind", unit: seconds, about: "Time that core needs for what waits in Kafka, at the rate of now.",
			queries: one("plant:core_behind_seconds", "core"), alert: "CoreBehind", limit: limit{above, 60},
		},
		{
			title: "Partitions", unit: count, about: "Partitions of device-data that instances own.",
			queries: one("sum(core_partitions_owned)", "owned"), alert: "CoreWithoutPartitions", limit: limit{equals, 0},
		},
		{
			title: "Transactions", unit: perSecond, about: "By result. The alert CoreTransactionsAbort fires when more than one in twenty is aborted.",
			queries: one("sum by (result) (rate(core_transactions_total"+of+"[$__rate_interval]))", "{{result}}"),
		},
		{
			title: "A transaction of core takes", unit: seconds, about: "From its begin to Kafka's confirmation.",
			queries: times("core_commit_duration_seconds", of),
		},
		{
			title: "Processing a reading", unit: seconds, about: "In all stages, averaged over its chunk.",
			queries: times("iot_message_processing_duration_seconds", of),
		},
		{
			title: "Detector of anomalies", unit: seconds, about: "Time for a reading.",
			queries: times("core_detect_seconds", of),
		},
		{
			title: "Late readings", unit: perSecond, about: "Readings that came after their second was closed; they correct the means.",
			queries: one("sum by (instance) (rate(core_late_total"+of+"[$__rate_interval]))", "{{instance}}"),
		},
		{
			title: "Restoring partitions", unit: seconds, about: "Mean time to read the state of partitions taken over, since the start.",
			queries: one("core_restore_duration_seconds_sum"+of+" / core_restore_duration_seconds_count"+of, "{{instance}}"),
		},
	}
}

func live() []panel {
	return []panel{
		{
			title: "Gateway to core", unit: seconds, about: "Age of a pack on the live path when it arrives at core and when core has sent it, 99th percentile, by two machines' clocks.",
			queries: one(quantile(0.99, "core_live_pack_age_seconds", "", "at"), "{{at}}"),
		},
		{
			title: "Shed", unit: perSecond, about: "Readings that screens get later or not, since core is too slow for them; the record path comes first.",
			queries: []query{
				{`sum(rate(core_live_readings_total{result="shed"}[5m]))`, "readings"}, {"sum(rate(core_live_packs_lost_total[5m]))", "packs"},
			},
			alert: "LivePathSheds", limit: limit{above, 0},
		},
		{
			title: "Live frames", unit: perSecond, about: "Frames from core to portals by result.",
			queries: one("sum by (result) (rate(core_live_frames_total[$__rate_interval]))", "{{result}}"),
		},
	}
}

func alarms() []panel {
	return []panel{
		{
			title: "Alarms in an hour", unit: count, about: "Raised and cleared, by severity.",
			queries: one("sum by (status, severity) (increase(core_alerts_total[1h]))", "{{severity}} {{status}}"),
		},
		{
			title: "Oldest waiting notification", unit: seconds, about: "How long an alarm has waited to be sent.",
			queries: one("max by (output) (core_notify_oldest_seconds)", "{{output}}"), alert: "NotificationsWait", limit: limit{above, 300},
		},
		{
			title: "Notifications dropped in 15 minutes", unit: count, about: "Alarms that were not sent, because the receiver refused them or too many waited.",
			queries: one("sum by (output, reason) (increase(core_notify_dropped_alarms_total[15m]))", "{{output}} {{reason}}"),
			alert:   "NotificationsDropped", limit: limit{above, 0},
		},
		{
			title: "Unusual sensors in an hour", unit: count, about: "Alarms of the detector, raised (on) or only counted (shadow).",
			queries: one("sum by (kind, mode) (increase(core_anomalies_total[1h]))", "{{kind}} {{mode}}"),
		},
		{
			title: "Budget of anomaly alarms", unit: share, about: "Highest share that a building has spent today.",
			queries: one("max(core_anomaly_budget_spent)", "spent"),
		},
		{
			title: "Changes of rules out of force", unit: count, about: "Approved changes that do not fit the catalogue or the file any more.",
			queries: one("max(core_rule_changes_out_of_force)", "changes"), alert: "RuleChangesOutOfForce", limit: limit{above, 0},
		},
	}
}
