package processor

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// useRules puts the rules in text in force.
func useRules(t *testing.T, tk *task, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, file, text)
	rules, err := newRuleFile(discardLog(), prometheus.NewRegistry(), file, tk.p.cfg.builtIn(), sensors.Default)
	require.NoError(t, err)
	tk.p.rules, tk.alarms.file = rules, rules
}

// backfilled marks a message as one that waited in its gateway's buffer since received.
func backfilled(m *sarama.ConsumerMessage, gateway string, received int64) *sarama.ConsumerMessage {
	m.Headers = append(from(m, gateway).Headers,
		&sarama.RecordHeader{Key: []byte(wire.HeaderReceived), Value: fmt.Append(nil, received)},
		&sarama.RecordHeader{Key: []byte(wire.HeaderBackfill), Value: []byte("1")})
	return m
}

func from(m *sarama.ConsumerMessage, gateway string) *sarama.ConsumerMessage {
	m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte(wire.HeaderGateway), Value: []byte(gateway)})
	return m
}

// processOne processes messages, each as a chunk of its own, and returns the results.
func processOne(tk *task, messages ...*sarama.ConsumerMessage) *batch {
	for _, m := range messages {
		tk.process([]*sarama.ConsumerMessage{m})
	}
	return tk.pending.pop()
}

func TestNewRulesApplyToTheNextReading(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	require.Empty(t, processOne(tk, message(0, "d1", now, 40)).alerts)
	require.False(t, tk.alarms.reload(), "nothing has changed")
	useRules(t, tk, hotRule)
	b := processOne(tk, message(1, "d1", now+1000, 41))
	require.Len(t, b.alerts, 1)
	require.Len(t, b.audits, 1)
	require.Equal(t, "d1", b.alerts[0].device)
	require.Equal(t, telemetry.SeverityHigh, b.alerts[0].severity)
	require.Equal(t, telemetry.EventRaised, b.alerts[0].event)
	require.Nil(t, tk.alarms.rooms, "no rule compares rooms")
}

// TestNewRulesForgetWhatWasReported lets a new rule raise the alarm of a condition that
// the watchdog has reported before.
func TestNewRulesForgetWhatWasReported(t *testing.T) {
	tk := newTestTask(t)
	d := tk.addDevice("d1")
	d.silence = report{made: true, holds: true}
	tk.watchdog.reports[reportKey{"gw-a", "gateway_down"}] = report{made: true, holds: true}
	tk.reloadRules()
	require.True(t, d.silence.made)
	require.NotEmpty(t, tk.watchdog.reports)
	useRules(t, tk, hotRule)
	tk.reloadRules()
	require.False(t, d.silence.made)
	require.Empty(t, tk.watchdog.reports)
}

func TestBackfillDoesNotCountInItsRoom(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	useRules(t, tk, roomRule)
	live := func(values ...float64) *batch {
		var messages []*sarama.ConsumerMessage
		for i, v := range values {
			now++
			messages = append(messages, message(now, fmt.Sprint("d", i), now, v))
		}
		b := processOne(tk, messages...)
		tk.tick(now) // rooms are rebuilt
		tk.pending.pop()
		return b
	}
	live(20, 21, 22, 20)
	kept := tk.alarms.rooms
	require.NotNil(t, kept)
	require.True(t, tk.alarms.comparesRooms())
	old := now - 3_600_000
	require.Empty(t, processOne(tk, backfilled(message(now, "late", old, 45), "gw-a", old)).alerts)
	require.Len(t, live(20, 21, 22, 45).alerts, 1, "the odd one out")

	useRules(t, tk, hotRule)
	tk.reloadRules()
	require.Same(t, kept, tk.alarms.rooms, "devices keep their places")
	require.False(t, tk.alarms.comparesRooms())
	useRules(t, tk, roomRule)
	tk.reloadRules()
	require.Same(t, kept, tk.alarms.rooms)
}

const slowRule = hotRule + `    on_delay: 5s
`

func TestDelayEndsByTheClock(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.progress.started = now - 60_000
	useRules(t, tk, slowRule)
	b := processOne(tk, message(0, "d1", now, 41))
	require.Empty(t, b.alerts)
	require.Len(t, b.alarms, 1, "the running delay is stored")
	due := tk.devices["d1"].alarm.Due()
	require.Positive(t, due)
	alertsOf := func(now int64) int {
		tk.tick(now)
		if b := tk.pending.pop(); b != nil {
			require.Len(t, b.alarms, len(b.alerts))
			return len(b.alerts)
		}
		return 0
	}
	require.Zero(t, alertsOf(due-1))
	tk.progress.processed, tk.progress.written = due, due-behindMS-1
	require.Zero(t, alertsOf(due), "catching up: the end may be in the readings to come")
	tk.progress.written = due - behindMS
	require.Equal(t, 1, alertsOf(due))
	require.Zero(t, alertsOf(due+1), "once")
}

func TestStoredStateIsEncodedOncePerChunk(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	for i, v := range []float64{85, 20, 85} {
		tk.record(message(int64(i), "d1", now+int64(i), v), now)
	}
	tk.presence.update(tk.devices["d1"], true, true)
	require.Len(t, tk.alarms.changed, 1)
	require.Len(t, tk.presence.changed, 1)
	require.Len(t, tk.out.alerts, 3)
	tk.flush(now)
	require.Empty(t, tk.alarms.changed)
	require.Empty(t, tk.presence.changed)
	require.Nil(t, tk.alarms.changed[:1][0], "the device can be forgotten")
	require.Nil(t, tk.presence.changed[:1][0])
	require.Empty(t, slices.Collect(maps.Keys(tk.out.alarms)), "a fresh batch")
	require.Len(t, tk.alarms.stored, 1)
	tk.record(message(3, "d1", now+3, 20), now)
	tk.presence.update(tk.devices["d1"], true, true)
	require.Len(t, tk.alarms.changed, 1, "listed again")
	require.Len(t, tk.presence.changed, 1)
}

func TestQuietAlarmsCallNobody(t *testing.T) {
	for name, a := range map[string]telemetry.Alert{
		"historical":     {Historical: true},
		"suppressed":     {Suppressed: &telemetry.Suppressed{}},
		"shelved":        {Shelved: &telemetry.Shelved{}},
		"out of service": {OutOfService: &telemetry.OutOfService{}},
	} {
		require.True(t, quiet(&a), name)
	}
	require.False(t, quiet(&telemetry.Alert{}))
}

func TestSweepComesOncePerMinute(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	processOne(tk, message(0, "d1", now, 85), message(1, "d1", now+1, 20))
	tk.apply(acknowledge("c1", "d1", now), now)
	tk.tick(now + rememberMS)
	require.Equal(t, now+rememberMS, tk.alarms.swept)
	require.Len(t, tk.alarms.stored, 1)
	late := now + 2*rememberMS
	tk.alarms.swept = late - sweepMS
	tk.alarms.sweep(late, tk.out)
	require.Empty(t, tk.out.alarms)
	tk.alarms.sweep(late+1, tk.out)
	require.Equal(t, map[string][]byte{"d1": nil}, tk.out.alarms)
	require.Empty(t, tk.alarms.stored)
	require.Equal(t, late+1, tk.alarms.swept)
}
