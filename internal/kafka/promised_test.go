package kafka_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// TestTopicsAsTheProductMakesThemBreakNoPromise: the table of topics, created by the product on a
// broker with its usual settings.
func TestTopicsAsTheProductMakesThemBreakNoPromise(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	specs := topics.Specs()
	cluster, reg := kafka.At(brokers...).Open(), prometheus.NewRegistry()
	require.NoError(t, cluster.Register(reg, "test"))
	var out bytes.Buffer
	require.NoError(t, kafka.EnsureTopics(within(t), slog.New(slog.NewTextHandler(&out, nil)), cluster, specs.All()...))
	require.NotContains(t, out.String(), "level=WARN")
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Greater(t, len(families[0].GetMetric()), 40, "they were compared")
	for _, m := range families[0].GetMetric() {
		require.Zero(t, m.GetGauge().GetValue(), m.String())
	}
}

// TestASettingThatBreaksAPromiseIsLoggedOnceAndCountedUntilItIsMended.
func TestASettingThatBreaksAPromiseIsLoggedOnceAndCountedUntilItIsMended(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	cluster, reg := kafka.At(brokers...).Open(), prometheus.NewRegistry()
	require.NoError(t, cluster.Register(reg, "test"))
	name := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	spec := kafka.Topic{Name: name, Partitions: 1, Compacted: true}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	for range 2 {
		require.NoError(t, kafka.EnsureTopics(within(t), log, cluster, spec))
	}
	wrong := func() float64 {
		vec := 0.0
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				vec += m.GetGauge().GetValue()
			}
		}
		return vec
	}
	warning := "setting of a topic breaks a promise"
	require.Equal(t, 1, strings.Count(out.String(), warning), out.String())
	require.Contains(t, out.String(), "topic="+name+" setting=cleanup.policy value=delete want=compact promise=\"the newest record of every key is kept for ever\"")
	require.InDelta(t, 1, wrong(), 0)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)

	set := func(policy string) {
		require.NoError(t, newAdmin(t, brokers).AlterConfig(sarama.TopicResource, name, map[string]*string{"cleanup.policy": &policy}, false))
		require.Eventually(t, func() bool { return configOf(t, brokers, name)["cleanup.policy"] == policy }, waitTimeout, 10*time.Millisecond)
		kafka.Recheck(within(t), cluster, log)
	}
	set("compact")
	require.Zero(t, wrong())
	require.Equal(t, 1, strings.Count(out.String(), warning))
	set("delete")
	require.InDelta(t, 1, wrong(), 0)
	require.Equal(t, 2, strings.Count(out.String(), warning), "wrong again")
}
