package processor

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// TestReplayedDeadLetterIsAReadingThatWaited has a hot reading that was refused before an update.
func TestReplayedDeadLetterIsAReadingThatWaited(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	c := p.startReady()
	at := time.Now().Add(-10 * time.Minute).UnixMilli()
	letter := reading("d1", at, 99)
	letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: wire.HeaderReason, Value: []byte(telemetry.ReasonInvalidTimestamp)})
	letter.Timestamp = time.UnixMilli(at)
	kafkatest.Produce(t, p.cfg.Brokers, p.cfg.DeadLetters, 0, letter)
	replay := func() (a wire.DeadLetterReplayAnswer) {
		m, err := p.hub.Request(wire.DeadLettersReplaySubject, []byte(`{"reason":"invalid_timestamp","by":"Li Wei","most":10}`), waitTimeout)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(m.Data, &a))
		require.Empty(t, a.Error)
		return a
	}
	require.Equal(t, 1, replay().Count)
	c.eventually(t, 1, "iot_messages_total", "success")
	require.Eventually(t, func() bool { return len(l.of("d1")) == 1 }, waitTimeout, 10*time.Millisecond)
	require.True(t, l.of("d1")[0].Backfill)
	require.Equal(t, at, l.of("d1")[0].Timestamp)
	require.Zero(t, replay().Count)
	p.produce(reading("d1", time.Now().UnixMilli(), 20))
	c.eventually(t, 2, "iot_messages_total", "success")
	require.Empty(t, l.alerts, "nobody is called for what was hot ten minutes ago")
	for _, a := range p.journal() {
		require.True(t, a.Historical, "%+v", a)
	}
}
