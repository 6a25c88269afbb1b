package processor

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
)

// TestAlarmsByRulesDoNotWaitForTheDetector starts a task while the readings that its detector lacks cannot be read:
// an alarm by a rule is raised at once, and that of the detector once it has caught up, after Kafka answers again.
func TestAlarmsByRulesDoNotWaitForTheDetector(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	kafka := kafkatest.Embedded(t, devkafka.Options{})
	p.cfg.Brokers, p.cfg.DetectMode = []string{kafka.Addr()}, detectOn
	p.createInput(1)
	now := time.Now().UnixMilli()
	var records []kafkatest.Record
	for i := range learning {
		at := now - 600_000 + int64(i-learning)*apart
		records = append(records, receivedAt(reading("d1", at, ordinary(i)), at))
	}
	p.produce(append(records, reading("d1", now, 4000))...)

	core, err := New(Options{Config: p.cfg, Log: discardLog()})
	require.NoError(t, err)
	core.partitions.Store(1)
	core.metrics = newMetrics(prometheus.NewRegistry(), core)
	first := newTask(core, 0, func() {})
	first.process([]*sarama.ConsumerMessage{message(0, "d1", now-600_000-learning*apart, ordinary(0))})
	b := first.pending.pop()
	tk := newTask(core, 0, func() {})
	newSession(core, nil).load(tk, stored{alarms: b.alarms, devices: b.devices, learnt: b.detect})

	var away atomic.Bool
	refused := make(chan struct{}, 1)
	away.Store(true)
	kafka.Cluster().ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		kafka.Cluster().KeepControl()
		if away.Load() {
			select {
			case refused <- struct{}{}:
			default:
			}
		}
		return nil, io.EOF, away.Load()
	})
	live := make(chan *sarama.ConsumerMessage, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tk.run(ctx, claim{messages: live, initial: learning}, nil)
	}()
	raised := func(source telemetry.AlarmSource) bool {
		for b := tk.pending.pop(); b != nil; b = tk.pending.pop() {
			for _, a := range alertsOf(t, b) {
				if a.Source == source && a.Event == telemetry.EventRaised {
					return true
				}
			}
		}
		return false
	}
	<-refused
	live <- message(learning, "d1", now, 4000)
	require.Eventually(t, func() bool { return raised(telemetry.SourceRule) }, waitTimeout, time.Millisecond)
	away.Store(false)
	require.Eventually(t, func() bool { return raised(telemetry.SourceAnomaly) }, waitTimeout, time.Millisecond)
	cancel()
	<-ended
	require.Nil(t, tk.detects.behind)
	require.Zero(t, tk.detects.lag.Load())
	require.Equal(t, now, tk.devices["d1"].detect.Seen())
}
