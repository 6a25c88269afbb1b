package plant

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// TestAnyProgramMayStartFirst starts each program alone on a Kafka whose device-data has
// other than the usual number of partitions, then the rest.
func TestAnyProgramMayStartFirst(t *testing.T) {
	const partitions = 4
	for _, first := range []string{"bridge", "core", "portal"} {
		t.Run(first, func(t *testing.T) {
			cfg := testConfig(t, t.TempDir())
			cfg.Brokers, cfg.Devices = kafkatest.Brokers(t), 0
			topics := kafkatest.Topics(t)
			parts := &cfg.Parts
			parts.Bridge.Topics, parts.Core.Topics, parts.Portal.Topics = topics, topics, topics
			parts.Bridge.GroupID, parts.Core.GroupID = kafkatest.Name(t, "bridge"), kafkatest.Name(t, "core")
			data := topics.Specs().DeviceData
			data.Partitions = partitions
			require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(cfg.Brokers...), data))

			p := start(t, cfg, io.Discard)
			runs := map[string]func(context.Context) error{
				"bridge": p.bridge.Run, "core": p.core.Run, "portal": p.portal.Run,
				"gw-a": p.gateways[0].Run, "gw-b": p.gateways[1].Run, "gw-c": p.gateways[2].Run,
			}
			ends, started := make(chan error, len(runs)), 0
			ctx, stop := context.WithCancel(t.Context())
			t.Cleanup(func() {
				stop()
				for range started {
					require.NoError(t, <-ends)
				}
			})
			launch := func(name string) {
				started++
				go func() { ends <- runs[name](ctx) }()
			}
			launch(first)
			creates := map[string][]string{
				"bridge": {topics.DeadLetters, topics.Checkpoints},
				"core":   {topics.Alerts, topics.DeadLetters, topics.Audit, topics.Commands, topics.AlarmState, topics.DeviceState, topics.DeviceMeta, topics.DetectState},
				"portal": {topics.Alerts, topics.Audit, topics.Commands, topics.DeviceState, topics.DeviceMeta, topics.Metadata},
			}[first]
			admin, err := sarama.NewClusterAdmin(cfg.Brokers, kafka.Cluster{}.Settings("test"))
			require.NoError(t, err)
			defer func() { require.NoError(t, admin.Close()) }()
			listed := func() map[string]sarama.TopicDetail {
				all, err := admin.ListTopics()
				require.NoError(t, err)
				return all
			}
			require.Eventually(t, func() bool {
				all := listed()
				for _, name := range creates {
					if _, ok := all[name]; !ok {
						return false
					}
				}
				return true
			}, waitTimeout, 20*time.Millisecond, "%s creates %v", first, creates)

			for name := range runs {
				if name != first {
					launch(name)
				}
			}
			require.Eventually(t, func() bool { return p.Ready() == nil || len(ends) > 0 }, waitTimeout, 20*time.Millisecond)
			require.Empty(t, ends, "no program has ended")
			for _, name := range []string{topics.DeviceData, topics.Commands, topics.AlarmState, topics.DeviceState, topics.DeviceMeta, topics.DetectState} {
				require.EqualValues(t, partitions, listed()[name].NumPartitions, name)
			}
		})
	}
}
