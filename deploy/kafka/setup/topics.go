package main

import (
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/wire"
)

// topics lists what bridge, core and portal create when they start.
func topics(cfg *settings) []kafka.Topic {
	const data, alerts = wire.DeviceDataPartitions, wire.AlertsPartitions
	return []kafka.Topic{
		{Name: cfg.DeviceData, Partitions: data, MaxMessageBytes: kafka.MaxRecordBytes},
		{Name: cfg.Alerts, Partitions: alerts, MaxMessageBytes: kafka.MaxRecordBytes},
		{Name: cfg.DeadLetters, Partitions: alerts, MaxMessageBytes: kafka.MaxRecordBytes},
		{Name: cfg.Checkpoints, Partitions: cfg.Lanes, Compacted: true},
		{Name: cfg.AlarmState, Partitions: data, Compacted: true, MaxMessageBytes: kafka.MaxRecordBytes},
		{Name: cfg.DeviceState, Partitions: data, Compacted: true, MaxMessageBytes: kafka.MaxRecordBytes},
	}
}
