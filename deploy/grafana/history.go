package grafana

import "fmt"

// history answers: does the history keep up, and has it everything.
func history() board {
	const of = `{instance=~"$instance"}`
	return board{
		uid: "iot-history", title: "History", from: programs,
		about:     "Does the history of readings keep up, and has it everything. The readings themselves are in the dashboards Readings.",
		variables: []variable{{"instance", "core_history_lag_records", "instance"}},
		rows: []row{
			{"Writing", writing(of)},
			{"Files (HISTORY=embedded)", []panel{
				{
					title: "Size", unit: bytes, about: "Of all files.",
					queries: one("sum by (instance) (core_history_bytes"+of+")", "{{instance}}"),
				},
				{
					title: "Days", unit: count, about: "Files, one a day.",
					queries: one("sum by (instance) (core_history_files"+of+")", "{{instance}}"),
				},
				{
					title: "Damaged in an hour", unit: count, about: "Files that were set aside; their days are read from Kafka again.",
					queries: one("increase(core_history_damaged_total"+of+"[1h])", "{{instance}}"), alert: "HistoryDamaged", limit: limit{above, 0},
				},
				{
					title: "Not kept", unit: perSecond, about: "Readings of days that are beyond the retention, removed for room, or in the future.",
					queries: one("sum by (instance) (rate(core_history_unkept_total"+of+"[$__rate_interval]))", "{{instance}}"),
				},
				{
					title: "A request in PromQL takes", unit: seconds, about: "Waiting included, 99th percentile, by path.",
					queries: one(quantile(0.99, "core_history_promql_seconds", of, "path"), "{{path}}"),
				},
				{
					title: "Failed requests in PromQL", unit: perSecond, about: "By type of error: timeout and execution ask too much, unavailable came beside too many others.",
					queries: one("sum by (type) (rate(core_history_promql_failed_total"+of+"[$__rate_interval]))", "{{type}}"),
				},
			}},
			{"An engine elsewhere (HISTORY=victoriametrics, influxdb)", []panel{
				{
					title: "Failed writes in five minutes", unit: count, about: "Writes that the engine did not confirm; they are tried again.",
					queries: one("sum(increase(core_history_failed_writes_total"+of+"[5m]))", "writes"), alert: "HistoryWritesFail", limit: limit{above, 0},
				},
				{
					title: "Refused", unit: perSecond, about: "Readings that the engine refused, now dead letters.",
					queries: one("sum by (instance) (rate(core_history_refused_total"+of+"[$__rate_interval]))", "{{instance}}"),
				},
			}},
		},
	}
}

func writing(of string) []panel {
	return []panel{
		{
			title: "Behind", unit: seconds, about: "Time that the history needs for what waits in Kafka, at the rate of now.",
			queries: one("plant:history_behind_seconds", "history"), alert: "HistoryBehind", limit: limit{above, 300},
		},
		{
			title: "Readings", unit: perSecond, about: "Readings taken into the history.",
			queries: one("sum by (instance) (rate(core_history_readings_total"+of+"[$__rate_interval]))", "{{instance}}"),
		},
		{
			title: "Written", unit: byteRate, about: "Bytes written to files, or to the engine.",
			queries: one("sum by (instance) (rate(core_history_written_bytes_total"+of+"[$__rate_interval]))", "{{instance}}"),
		},
		{
			title: "A write takes", unit: seconds, about: "The readings of a partition to files, or a batch to the engine.",
			queries: times("core_history_flush_seconds", of),
		},
		{
			title: "Lost in an hour", unit: count, about: "Records that Kafka removed before the history had read them.",
			queries: one("increase(core_history_lost_total"+of+"[1h])", "{{instance}}"), alert: "HistoryLost", limit: limit{above, 0},
		},
	}
}

// keeper is where readings are, and its names of them.
type keeper struct{ uid, title, prefix, device, building, unit string }

var (
	archive         = keeper{"iot-readings", "Readings", "sensor_", "device", "building", "unit"}
	victoriaMetrics = keeper{"iot-readings-victoriametrics", "Readings in VictoriaMetrics", "readings_", "Device", "Building", "Unit"}
)

// sensors answers: what did the devices measure.
func sensors(k keeper) board {
	metric := k.prefix + "temperature"
	here := fmt.Sprintf(`{%s=~"$building"}`, k.building)
	device := fmt.Sprintf(`{%s=~"$building",%s=~"$device"}`, k.building, k.device)
	return board{
		uid: k.uid, title: k.title, from: readings,
		about:     "What devices measured, from the history of readings: by building, and of single devices.",
		variables: []variable{{"building", metric, k.building}, {"device", metric, k.device}},
		rows: []row{
			{"Buildings", []panel{
				{
					title: "Temperature", unit: celsius, about: "Mean of the devices of each building over five minutes.",
					queries: one(fmt.Sprintf("avg by (%s) (avg_over_time(%s%s[5m]))", k.building, metric, here), "{{"+k.building+"}}"),
				},
				{
					title: "Humidity", unit: humidity, about: "Mean of the devices of each building over five minutes.",
					queries: one(fmt.Sprintf("avg by (%s) (avg_over_time(%shumidity%s[5m]))", k.building, k.prefix, here), "{{"+k.building+"}}"),
				},
				{
					title: "Devices with a temperature", unit: count, about: "Devices of each building that sent one within 15 minutes.",
					queries: one(fmt.Sprintf("count by (%s) (count_over_time(%s%s[15m]))", k.building, metric, here), "{{"+k.building+"}}"),
				},
			}},
			{"Devices", []panel{
				{
					title: "Warmest", unit: celsius, about: "The ten highest temperatures.",
					queries: one(fmt.Sprintf("topk(10, max by (%s) (%s%s))", k.device, metric, device), "{{"+k.device+"}}"),
				},
				{
					title: "Quickest change of temperature in ten minutes", unit: celsius, about: "The ten devices with the widest range of temperatures.",
					queries: one(fmt.Sprintf("topk(10, max by (%[1]s) (max_over_time(%[2]s%[3]s[10m]) - min_over_time(%[2]s%[3]s[10m])))", k.device, metric, device), "{{"+k.device+"}}"),
				},
				{
					title: "Longest silence", unit: seconds, about: "Time since the newest temperature of a device: the ten longest.",
					queries: one(fmt.Sprintf("topk(10, max by (%s) (time() - timestamp(%s%s)))", k.device, metric, device), "{{"+k.device+"}}"),
				},
			}},
		},
	}
}
