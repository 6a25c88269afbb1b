package kafka_test

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
)

func TestSettingsKeepThePromises(t *testing.T) {
	c := kafka.NewSettings("test")
	require.NoError(t, c.Validate())
	require.Equal(t, sarama.ReadCommitted, c.Consumer.IsolationLevel)
	require.Equal(t, sarama.OffsetOldest, c.Consumer.Offsets.Initial)
	require.Equal(t, sarama.WaitForAll, c.Producer.RequiredAcks)
	require.False(t, c.Consumer.Offsets.AutoCommit.Enable)
	require.False(t, c.Metadata.AllowAutoTopicCreation)
	require.Greater(t, c.Net.ReadTimeout, c.Consumer.Group.Rebalance.Timeout, "joining waits for the others")
}
