package kafka_test

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
)

func TestSoleGivesOneMemberEverything(t *testing.T) {
	topics := map[string][]int32{"a": {0, 1, 2}}
	members := map[string]sarama.ConsumerGroupMemberMetadata{"core-2": {}, "core-1": {}, "core-3": {}}
	plan, err := kafka.Sole{}.Plan(members, topics)
	require.NoError(t, err)
	require.Equal(t, sarama.BalanceStrategyPlan{"core-1": topics, "core-2": {}, "core-3": {}}, plan)
	plan, err = kafka.Sole{}.Plan(nil, topics)
	require.NoError(t, err)
	require.Empty(t, plan)
}
