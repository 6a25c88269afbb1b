package grafana

// gateways answers: does a gateway take readings, keep them, and hand them on.
func gateways() board {
	return board{
		uid: "iot-gateway", title: "Gateways", from: programs,
		about:     "Does a gateway take readings, keep them, and hand them on. Gateways that Prometheus cannot scrape have the first row alone.",
		variables: []variable{{"gateway", "portal_gateway_heartbeat_age_seconds", "gateway"}},
		rows: []row{
			{"As the centre sees it", []panel{
				{
					title: "Last heartbeat", unit: seconds, about: "Time since the centre heard of a gateway.",
					queries: one(`min by (gateway) (portal_gateway_heartbeat_age_seconds{gateway=~"$gateway"})`, "{{gateway}}"), alert: "GatewaySilent", limit: limit{above, 60},
				},
				{
					title: "Used buffer", unit: share, about: "How full its buffer is, as the gateway says.",
					queries: one(`max by (gateway) (portal_gateway_buffer_used_ratio{gateway=~"$gateway"})`, "{{gateway}}"), alert: "BufferHalfFull", limit: limit{above, 0.5},
				},
				{
					title: "Oldest reading not in Kafka", unit: seconds, about: "How far the bridge is behind a gateway.",
					queries: one(`max by (gateway) (bridge_gateway_unbridged_age_seconds{gateway=~"$gateway"})`, "{{gateway}}"), alert: "BridgeBehind", limit: limit{above, 300},
				},
				{
					title: "Packs not in Kafka", unit: count, about: "Packs that wait in a gateway for the bridge.",
					queries: one(`max by (gateway) (bridge_gateway_lag_packs{gateway=~"$gateway"})`, "{{gateway}}"), alert: "GatewayBacklogGrows", limit: limit{above, 1000},
				},
				{
					title: "Buffer lasts for", unit: seconds, about: "Time until the buffer is full at the present rate, if nothing drains; -1 while nothing comes in.",
					queries: one(`max by (gateway) (portal_gateway_buffer_horizon_seconds{gateway=~"$gateway"})`, "{{gateway}}"),
				},
				{
					title: "Buffer is full in", unit: seconds, about: "At its growth of the last half hour. It has a value only while a buffer grows.",
					queries: one(`gateway:edge_buffer_full_in_seconds{gateway=~"$gateway"}`, "{{gateway}}"), alert: "BufferFullSoon", limit: limit{below, 7200},
				},
			}},
			{"From devices", intake()},
			{"Buffer and disk", disk()},
			{"Line to the hub, and clock", lines()},
		},
	}
}

func intake() []panel {
	return []panel{
		{
			title: "Readings stored", unit: perSecond, about: "Acknowledged readings a second.",
			queries: one(`sum by (gateway, protocol) (rate(edge_readings_accepted_total{gateway=~"$gateway"}[$__rate_interval]))`, "{{gateway}} {{protocol}}"),
		},
		{
			title: "Readings it cannot store", unit: perSecond, about: "Refused because the buffer is full or the disk does not answer; devices retry.",
			queries: one(`sum by (gateway) (rate(edge_readings_refused_total{reason=~"buffer_full|unavailable",gateway=~"$gateway"}[2m]))`, "{{gateway}}"),
			alert:   "GatewayRefusesReadings", limit: limit{above, 0},
		},
		{
			title: "Unusable messages", unit: perSecond, about: "Messages refused for what they are; they become dead letters.",
			queries: one(`sum by (gateway, reason) (rate(edge_readings_refused_total{reason!~"buffer_full|unavailable|rate_limited",gateway=~"$gateway"}[10m])) > 0`, "{{gateway}} {{reason}}"),
			alert:   "JunkFromDevices", limit: limit{above, 0.02},
		},
		{
			title: "Beyond a device's limit", unit: perSecond, about: "Messages refused because their device sends more than it may.",
			queries: one(`sum by (gateway) (rate(edge_readings_refused_total{reason="rate_limited",gateway=~"$gateway"}[10m]))`, "{{gateway}}"),
			alert:   "DeviceRateLimited", limit: limit{above, 0},
		},
		{
			title: "Sent again", unit: perSecond, about: "Readings that were stored already, recognised and dropped.",
			queries: one(`sum by (gateway) (rate(edge_readings_duplicate_total{gateway=~"$gateway"}[$__rate_interval]))`, "{{gateway}}"),
		},
		{
			title: "Overrun: messages dropped in ten minutes", unit: count, about: "NATS messages dropped without a reply, since the queue was full; their senders retry.",
			queries: one(`sum by (gateway) (increase(edge_intake_dropped_total{gateway=~"$gateway"}[10m]))`, "{{gateway}}"), alert: "GatewayDropsIntake", limit: limit{above, 0},
		},
		{
			title: "Clients", unit: count, about: "Connections of devices.",
			queries: []query{
				{`sum by (gateway) (edge_nats_clients{gateway=~"$gateway"})`, "{{gateway}} NATS"}, {`sum by (gateway) (edge_mqtt_clients{gateway=~"$gateway"})`, "{{gateway}} MQTT"},
			},
		},
		{
			title: "MQTT clients without access, in 15 minutes", unit: count, about: "Connections that ended because their user or password is wrong.",
			queries: one(`sum by (gateway) (increase(edge_mqtt_connections_closed_total{cause="not_authorized",gateway=~"$gateway"}[15m]))`, "{{gateway}}"),
			alert:   "DevicesRefused", limit: limit{above, 20},
		},
		{
			title: "Devices", unit: count, about: "Devices that a gateway remembers.",
			queries: one(`sum by (gateway) (edge_devices_known{gateway=~"$gateway"})`, "{{gateway}}"),
		},
	}
}

func disk() []panel {
	return []panel{
		{
			title: "Buffer", unit: bytes, about: "Packs on disk, and their limit.",
			queries: []query{
				{`sum by (gateway) (edge_buffer_bytes{gateway=~"$gateway"})`, "{{gateway}}"}, {`sum by (gateway) (edge_buffer_limit_bytes{gateway=~"$gateway"})`, "{{gateway}} limit"},
			},
		},
		{
			title: "Oldest pack", unit: seconds, about: "Age of the oldest pack on disk: how long the line has been away.",
			queries: one(`max by (gateway) (edge_buffer_oldest_age_seconds{gateway=~"$gateway"})`, "{{gateway}}"),
		},
		{
			title: "Free space", unit: bytes, about: "Of the disk of the buffer. The alert GatewayDiskLow compares it with what the buffer may still take.",
			queries: one(`min by (gateway) (edge_disk_free_bytes{gateway=~"$gateway"})`, "{{gateway}}"),
		},
		{
			title: "Writing a pack", unit: seconds, about: "Sync included, 99th percentile of ten minutes.",
			queries: one(`gateway:edge_pack_store_seconds:p99{gateway=~"$gateway"}`, "{{gateway}}"), alert: "SlowSyncs", limit: limit{above, 0.5},
		},
		{
			title: "Acknowledging a reading", unit: seconds, about: "From the first message of a pack to the replies, 99th percentile.",
			queries: one(quantile(0.99, "edge_pack_ack_duration_seconds", `{gateway=~"$gateway"}`, "gateway"), "{{gateway}}"),
		},
		{
			title: "Messages in a pack", unit: count, about: "Mean. The slower the disk, the more.",
			queries: one(`sum by (gateway) (rate(edge_pack_entries_sum{gateway=~"$gateway"}[$__rate_interval])) / sum by (gateway) (rate(edge_pack_entries_count{gateway=~"$gateway"}[$__rate_interval]))`, "{{gateway}}"),
		},
		{
			title: "Failed writes", unit: perSecond, about: "Failed writes of packs: the disk is full, or the outcome was unknown at first.",
			queries: one(`sum by (gateway, cause) (rate(edge_pack_failures_total{gateway=~"$gateway"}[$__rate_interval]))`, "{{gateway}} {{cause}}"),
		},
		{
			title: "Restarts of the storage in an hour", unit: count, about: "Storage that hung and was restarted.",
			queries: one(`sum by (gateway) (increase(edge_store_restarts_total{gateway=~"$gateway"}[1h]))`, "{{gateway}}"), alert: "GatewayStorageRestarted", limit: limit{above, 0},
		},
		{
			title: "Damaged", unit: bytes, about: "Bytes lost in damaged files, found since the start.",
			queries: one(`sum by (gateway) (edge_damaged_bytes{gateway=~"$gateway"})`, "{{gateway}}"),
		},
	}
}

func lines() []panel {
	return []panel{
		{
			kind: state, title: "Line to the hub", unit: yes, about: "Whether the line is up.",
			queries: one(`edge_hub_connected{gateway=~"$gateway"}`, "{{gateway}}"), alert: "GatewayHubDown", limit: limit{equals, 0},
		},
		{
			kind: state, title: "Refused by the hub", unit: yes, about: "Whether the hub refuses the gateway, as when another one has its id or its key is revoked.",
			queries: one(`edge_hub_refused{gateway=~"$gateway"}`, "{{gateway}}"), alert: "GatewayRefusedByHub", limit: limit{equals, 1},
		},
		{
			title: "Last step of the clock", unit: seconds, about: "By how much the clock of the gateway was set last; the alert GatewayClockStepped is for steps of more than 5 s.",
			queries: one(`edge_clock_step_seconds{gateway=~"$gateway"}`, "{{gateway}}"),
		},
		{
			title: "Impossible receive times in 15 minutes", unit: count, about: "Readings whose gateway has a wrong clock, by its direction.",
			queries: one("sum by (direction) (increase(core_gateway_clock_wrong_total[15m]))", "{{direction}}"), alert: "GatewayClockWrong", limit: limit{above, 0},
		},
		{
			title: "Devices with a wrong clock", unit: count, about: "Devices that are ahead or behind. Their readings are processed on plant time.",
			queries: one("sum by (state) (core_device_clocks)", "{{state}}"),
		},
	}
}
