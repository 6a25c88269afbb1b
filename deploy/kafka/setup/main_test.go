package main

import (
	"maps"
	"slices"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSetupCreatesEveryTopicOfTheProduct(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	var cfg settings
	require.NoError(t, config.FromEnvironment(&cfg))
	cfg.Brokers, cfg.Topics, cfg.Lanes = kafkatest.Brokers(t), kafkatest.Topics(t), 7
	require.NoError(t, create(&cfg))
	admin, err := sarama.NewClusterAdmin(cfg.Brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	topics, err := admin.ListTopics()
	require.NoError(t, err)
	for name, partitions := range map[string]int32{
		cfg.DeviceData: 10, cfg.Commands: 10, cfg.AlarmState: 10, cfg.DeviceState: 10,
		cfg.Alerts: 3, cfg.DeadLetters: 3, cfg.Audit: 3, cfg.Checkpoints: 7, cfg.Rules: 1,
	} {
		require.Contains(t, slices.Collect(maps.Keys(topics)), name)
		require.Equal(t, partitions, topics[name].NumPartitions, name)
	}
}

func TestSetupNamesTheBadVariable(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	for variable, bend := range map[string]func(*settings){
		"BRIDGE_LANES":            func(s *settings) { s.Lanes = 0 },
		"KAFKA_TOPIC_ALARM_AUDIT": func(s *settings) { s.Audit = "bad topic!" },
	} {
		var cfg settings
		require.NoError(t, config.FromEnvironment(&cfg))
		bend(&cfg)
		require.ErrorContains(t, create(&cfg), variable)
	}
}
