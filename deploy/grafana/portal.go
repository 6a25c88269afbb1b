package grafana

const portals = `{instance=~"$instance"}`

// portal answers: do operators see the truth in time, and does the portal reach what it needs.
func portal() board {
	return board{
		uid: "iot-portal", title: "Portals", from: programs,
		about:     "Do screens get everything in time, and does the portal reach what it needs.",
		variables: []variable{{"instance", "portal_frames_total", "instance"}, {"topic", "portal_dashboard_frames_total", "topic"}},
		rows: []row{
			{"Screens", screens()},
			{"Requests and commands", requests()},
			{"What it needs", stores()},
		},
	}
}

func screens() []panel {
	return []panel{
		{
			title: "WebSocket connections", unit: count, about: "Connections by dialect: dashboard is the page.",
			queries: one("sum by (dialect) (portal_dialect_connections"+portals+")", "{{dialect}}"),
		},
		{
			title: "Of the limit", unit: share, about: "Connections as a share of WEBSOCKET_MAX_CONNECTIONS.",
			queries: one("iot_websocket_connections_total"+portals+" / portal_websocket_connections_limit"+portals, "{{instance}}"),
			alert:   "WebSocketLimitNear", limit: limit{above, 0.8},
		},
		{
			title: "Slow clients in 15 minutes", unit: count, about: "Connections that ended because the client did not read fast enough.",
			queries: one(`sum by (job, instance) (increase(portal_dialect_ends_total{reason="slow",instance=~"$instance"}[15m]))`, "{{instance}}"),
			alert:   "PortalSlowClients", limit: limit{above, 5},
		},
		{
			title: "Gateway to portal", unit: seconds, about: "From a gateway's receipt of a live reading to its arrival at the portal.",
			queries: times("portal_reading_age_seconds", portals),
		},
		{
			title: "Gateway to client", unit: seconds, about: "And to its writing to a WebSocket client.",
			queries: times("portal_delivery_age_seconds", portals),
		},
		{
			title: "Portal to painting", unit: seconds, about: "As browsers report it; they can report anything.",
			queries: times("portal_screen_latency_seconds", portals),
		},
		{
			title: "Frames to the page", unit: perSecond, about: "By kind of topic.",
			queries: one(`sum by (topic) (rate(portal_dashboard_frames_total{instance=~"$instance",topic=~"$topic"}[$__rate_interval]))`, "{{topic}}"),
		},
		{
			title: "Deltas skipped for slow clients", unit: perSecond, about: "They get a snapshot, or the newest delta, instead.",
			queries: one(`sum by (topic) (rate(portal_dashboard_dropped_total{instance=~"$instance",topic=~"$topic"}[$__rate_interval]))`, "{{topic}}"),
		},
		{
			title: "Sent", unit: byteRate, about: "Bytes written to WebSocket clients.",
			queries: one("sum by (dialect) (rate(portal_dialect_sent_bytes_total"+portals+"[$__rate_interval]))", "{{dialect}}"),
		},
		{
			title: "Live frames dropped in five minutes", unit: count, about: "The portal was too slow for them.",
			queries: one("increase(portal_frames_dropped_total"+portals+"[5m])", "{{instance}}"), alert: "PortalFramesDropped", limit: limit{above, 0},
		},
		{
			title: "Foreign frames in 15 minutes", unit: count, about: "Malformed messages and records: another program publishes to the hub or to Kafka.",
			queries: one(`sum by (source) (increase(portal_decode_errors_total{instance=~"$instance"}[15m]))`, "{{source}}"), alert: "ForeignFrames", limit: limit{above, 0},
		},
		{
			title: "Pause of writers", unit: seconds, about: "It grows when the CPU is busy, so that fewer and larger frames are written.",
			queries: one("portal_write_pause_seconds"+portals, "{{instance}}"),
		},
	}
}

func requests() []panel {
	return []panel{
		{
			title: "HTTP answers", unit: perSecond, about: "By class of their status; 1xx are WebSockets. Probes and scrapes do not count.",
			queries: one("sum by (class) (rate(portal_http_requests_total"+portals+"[$__rate_interval]))", "{{class}}"),
		},
		{
			title: "Beyond a limit", unit: perSecond, about: "Requests and commands that got 429.",
			queries: one(`sum by (limit) (rate(portal_rate_limit_total{result="refused",instance=~"$instance"}[$__rate_interval]))`, "{{limit}}"),
		},
		{
			title: "Commands", unit: perSecond, about: "Operators' commands to alarms by outcome.",
			queries: one("sum by (outcome) (rate(portal_alarm_commands_total"+portals+"[$__rate_interval]))", "{{outcome}}"),
		},
		{
			title: "A command takes", unit: seconds, about: "From a command to its outcome or timeout.",
			queries: times("portal_alarm_command_seconds", portals),
		},
		{
			title: "Connections refused in 15 minutes", unit: count, about: "Closed at once because there were too many, in total or from their address.",
			queries: one("sum by (job, instance, reason) (increase(portal_connections_refused_total"+portals+"[15m]))", "{{instance}} {{reason}}"),
			alert:   "ConnectionsRefused", limit: limit{above, 10},
		},
	}
}

func stores() []panel {
	return []panel{
		{
			kind: state, title: "Hub", unit: yes, about: "1 while the hub is connected.",
			queries: one("portal_hub_connected"+portals, "{{instance}}"), limit: limit{equals, 0},
		},
		{
			kind: state, title: "Database", unit: yes, about: "1 while the database answers.",
			queries: one("portal_store_up"+portals, "{{instance}}"), alert: "StoreDown", limit: limit{equals, 0},
		},
		{
			kind: state, title: "Redis", unit: yes, about: "1 while Redis answers. It is there with REDIS_URL.",
			queries: one("portal_redis_up"+portals, "{{instance}}"), alert: "RedisDown", limit: limit{equals, 0},
		},
		{
			title: "A question to the database takes", unit: seconds, about: "Lists of the past, and exports.",
			queries: times("portal_store_query_seconds", portals),
		},
		{
			title: "Records the database refuses, in an hour", unit: count, about: "Refused for their content; they stay in Kafka.",
			queries: one(`increase(portal_store_records_total{result="refused",instance=~"$instance"}[1h])`, "{{instance}}"), alert: "StoreRefuses", limit: limit{above, 0},
		},
		{
			title: "A script in Redis takes", unit: seconds, about: "Writing readings, removals and operators.",
			queries: times("portal_redis_script_seconds", portals),
		},
		{
			title: "Devices not yet in Redis", unit: count, about: "Their newest reading waits.",
			queries: one("portal_redis_pending_devices"+portals, "{{instance}}"),
		},
		{
			title: "Failures of Redis", unit: perSecond, about: "Connections and commands that failed or took too long, and limits that were therefore counted by one portal.",
			queries: []query{
				{"rate(portal_redis_failures_total" + portals + "[$__rate_interval])", "{{instance}}"}, {"rate(portal_redis_limit_failures_total" + portals + "[$__rate_interval])", "{{instance}} limits"},
			},
		},
	}
}
