package grafana

// plant answers: is everything all right, and if not, in which part.
func plant() board {
	return board{
		uid: "iot-plant", title: "Plant", from: programs,
		about: "Is everything all right, and if not, where to look next.",
		rows: []row{
			{"Now", []panel{
				{
					kind: number, title: "Readings into Kafka", unit: perSecond, about: "Readings committed to device-data a second, over five minutes.",
					queries: one("plant:readings_bridged:rate5m", ""), alert: "NoReadingsInKafka", limit: limit{equals, 0},
				},
				{
					kind: number, title: "Devices online", unit: count, about: "As the portal sees them.",
					queries: one(`max(portal_devices{presence="online"})`, ""),
				},
				{
					kind: number, title: "Gateways that deliver", unit: share, about: "Share of the gateways that the centre hears and that are less than a minute behind.",
					queries: one("avg(gateway:readings_flow:bool)", ""),
				},
				{
					kind: number, title: "Ledger difference", unit: count, about: "Readings that a gateway stored and that are neither in Kafka nor known to be damaged. It has to be 0.",
					queries: one("max(abs(bridge_ledger_difference))", ""), alert: "LedgerDifference", limit: limit{above, 0},
				},
				{
					kind: number, title: "Alarms that hold", unit: count, about: "Alarms of devices whose condition holds, without those set aside.",
					queries: one("sum(max by (severity) (portal_active_alerts))", ""),
				},
				{
					kind: number, title: "Alerts that fire", unit: count, about: "Alerts of Prometheus about the plant's programs.",
					queries: one(`count(ALERTS{alertstate="firing"}) or vector(0)`, ""),
				},
			}},
			{"What is promised", burns()},
			{"Flow", flow()},
			{"Programs", processes()},
		},
	}
}

// burns are the objectives of docs/slo.md.
func burns() []panel {
	return []panel{
		{
			title: "Budget burns in an hour", unit: count, about: "How many times faster than allowed the budget of errors was used in the last hour.",
			queries: one("slo:errors:ratio1h / on (slo) group_left () slo:budget:ratio", "{{slo}}"), alert: "SLOBurnFast", limit: limit{above, 14.4},
		},
		{
			title: "Budget burns in six hours", unit: count, about: "The same of six hours.",
			queries: one("slo:errors:ratio6h / on (slo) group_left () slo:budget:ratio", "{{slo}}"), alert: "SLOBurn", limit: limit{above, 6},
		},
		{
			title: "Budget burns in three days", unit: count, about: "The same of three days; above 1 the budget does not last.",
			queries: one("slo:errors:ratio3d / on (slo) group_left () slo:budget:ratio", "{{slo}}"), alert: "SLOBurnVerySlow", limit: limit{above, 1},
		},
	}
}

func processes() []panel {
	const of = `{job=~"edge|bridge|core|portal"}`
	return []panel{
		{
			kind: state, title: "Answers Prometheus", unit: yes, about: "Whether a program could be scraped.",
			queries: one("up"+of, "{{job}} {{instance}}"), alert: "TargetDown", limit: limit{equals, 0},
		},
		{
			kind: state, title: "Ready", unit: yes, about: "What /readyz says: whether a program makes progress.",
			queries: one("iot_ready", "{{job}} {{instance}}"), alert: "ProgramNotReady", limit: limit{equals, 0},
		},
		{
			title: "Memory", unit: bytes, about: "Resident memory of each program.",
			queries: one("iot_memory_usage_bytes", "{{job}} {{instance}}"), alert: "MemoryHigh", limit: limit{above, 450e6},
		},
		{
			title: "CPU", unit: percent, about: "CPU used since the scrape before, in percent of one core.",
			queries: one("iot_cpu_usage_percent", "{{job}} {{instance}}"),
		},
		{
			title: "Restarts in half an hour", unit: count, about: "Starts of each program in the last 30 minutes.",
			queries: one("changes(process_start_time_seconds"+of+"[30m])", "{{job}} {{instance}}"), alert: "ProgramRestarts", limit: limit{above, 2},
		},
		{
			title: "Goroutines", unit: count, about: "A number that only grows is a leak.",
			queries: one("iot_goroutines_total", "{{job}} {{instance}}"),
		},
		{
			title: "Versions", unit: count, about: "Processes of each version: two of them for longer than an update is a mistake.",
			queries: one("count by (job, version) (iot_build_info)", "{{job}} {{version}}"),
		},
		{
			title: "Certificates end in", unit: seconds, about: "Time until a certificate in use ends. There are none without TLS.",
			queries: one("instance:certificate_expires_in_seconds", "{{certificate}} {{instance}}"), alert: "CertificateExpiresSoon", limit: limit{below, 3 * 86400},
		},
		{
			title: "Security audit: events lost in an hour", unit: count, about: "Sign-ins, changes and refusals that are not in the security audit.",
			queries: []query{
				{"increase(bridge_security_audit_lost_total[1h])", "bridge {{instance}}"}, {"increase(portal_security_audit_lost_total[1h])", "portal {{instance}}"},
			},
			alert: "SecurityAuditLost", limit: limit{above, 0},
		},
	}
}

func flow() []panel {
	return []panel{
		{
			title: "Readings", unit: perSecond, about: "Readings a second: stored by gateways, committed to Kafka, processed by core, and shown by portals. The first three are equal over a minute.",
			queries: []query{
				{"sum(rate(edge_readings_accepted_total[$__rate_interval]))", "stored"},
				{"sum(rate(bridge_records_total[$__rate_interval]))", "in Kafka"},
				{"sum(rate(core_readings_total[$__rate_interval]))", "processed"},
				{"max(sum by (instance) (rate(portal_readings_total[$__rate_interval])))", "at a portal"},
			},
		},
		{
			title: "Devices", unit: count, about: "Devices by presence.",
			queries: one("max by (presence) (portal_devices)", "{{presence}}"),
		},
		{
			title: "Alarms", unit: count, about: "Alarms of devices whose condition holds, by severity.",
			queries: one("max by (severity) (portal_active_alerts)", "{{severity}}"),
		},
		{
			title: "Alarms are late", unit: seconds, about: "From a gateway's receipt of a reading to its processing in core, 99th percentile, by two machines' clocks.",
			queries: one("plant:core_end_to_end_seconds:p99", "99 %"), alert: "AlarmsLate", limit: limit{above, 5},
		},
		{
			title: "Time to a client", unit: seconds, about: "From a gateway's receipt of a live reading to its writing to a WebSocket client.",
			queries: times("portal_delivery_age_seconds", ""),
		},
		{
			title: "Alerts", unit: count, about: "Alerts of Prometheus by name; pending ones do not notify yet.",
			queries: one("count by (alertname, alertstate) (ALERTS)", "{{alertname}} {{alertstate}}"),
		},
	}
}
