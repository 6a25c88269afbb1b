package processor

import (
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/deadletter"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// newTestTask returns the task of partition 0 of a processor that is not running.
func newTestTask(t *testing.T) *task {
	t.Helper()
	cfg := defaultConfig(t)
	cfg.HTTPAddr = ""
	p, err := New(Options{Config: cfg, Log: discardLog()})
	require.NoError(t, err)
	return newTask(p, 0, func() {})
}

func message(offset int64, device string, ts int64, temperature float64) *sarama.ConsumerMessage {
	return &sarama.ConsumerMessage{
		Topic: "device-data", Offset: offset, Timestamp: time.UnixMilli(ts),
		Key: []byte(device), Value: sampleReading(device, ts, temperature),
	}
}

func TestBatchHoldsTheNewestStateAndEveryAlert(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	require.Nil(t, tk.pending.pop(), "nothing done, nothing to commit")
	for i, temperature := range []float64{85, 20, 90} {
		tk.process([]*sarama.ConsumerMessage{message(int64(i), "d1", now+int64(i), temperature)})
	}
	b := tk.pending.pop()
	require.EqualValues(t, 3, b.next)
	require.Len(t, b.alerts, 3)
	require.Len(t, b.alarms, 1)
	require.Contains(t, string(b.alarms["d1"]), `"peak_value":90`)
	require.Len(t, b.devices, 1)
	require.Nil(t, tk.pending.pop())
}

func TestAlarmStateIsForgottenInTheEnd(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now, 85), message(1, "d2", now, 85), message(2, "d1", now+1, 20)})
	tk.pending.pop()
	tk.apply(acknowledge("c1", "d1", now), now)
	tk.tick(now + rememberMS)
	require.NotNil(t, tk.pending.pop().alarms["d1"], "a late reading could still come")
	tk.tick(now + 2*rememberMS)
	b := tk.pending.pop()
	require.Contains(t, b.alarms, "d1")
	require.Nil(t, b.alarms["d1"], "the record is removed")
	require.NotContains(t, b.alarms, "d2", "its alarm is raised")
}

func acknowledge(id, device string, at int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, AlertType: "temperature_high",
		Action: telemetry.ActionAcknowledge, By: "somebody", At: at,
	}
}

func TestRestoredTaskGoesOnWhereTheOldOneStopped(t *testing.T) {
	old := newTestTask(t)
	now := time.Now().UnixMilli()
	old.process([]*sarama.ConsumerMessage{message(0, "d1", now-3000, 85), message(1, "d2", now-3000, 20)})
	b := old.pending.pop()
	b.devices["garbage"] = []byte("{")
	b.devices["other"] = []byte(`{"device_id":"somebody else"}`)
	b.alarms["garbage"] = []byte("{")
	b.alarms["no device id!"] = []byte("{}")

	tk := newTestTask(t)
	s := newSession(tk.p, nil)
	s.load(tk, stored{alarms: b.alarms, devices: b.devices})
	require.Len(t, tk.devices, 2)
	require.Len(t, tk.alarms.stored, 1, "to be removed in the end")
	require.EqualValues(t, 2, tk.presence.online.Load())
	require.Equal(t, 2, deviceCount(tk))
	tk.process([]*sarama.ConsumerMessage{message(2, "d2", now-4000, 99), message(3, "d1", now-1000, 20)})
	again := tk.pending.pop()
	require.Len(t, again.alerts, 1, "the late reading raises nothing")
	require.Equal(t, telemetry.AlertCleared, again.alerts[0].status)
	require.Contains(t, string(again.alerts[0].data), `"peak_value":85`)
}

func TestDeadLetterIsBounded(t *testing.T) {
	m := &sarama.ConsumerMessage{Topic: "in", Partition: 3, Offset: 42, Key: make([]byte, 5000), Value: make([]byte, 5<<20)}
	m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte(wire.HeaderReason), Value: []byte("forged")})
	for range 100 {
		m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte("h"), Value: make([]byte, 10_000)})
	}
	l := newDeadLetter("dlq", m, &telemetry.Refusal{Reason: telemetry.ReasonTooLarge, Message: "too large"})
	require.Less(t, l.message.ByteSize(2), 1_000_000)
	var seen []string
	for _, h := range l.message.Headers {
		if string(h.Key) == wire.HeaderReason {
			seen = append(seen, string(h.Value))
		}
	}
	require.Equal(t, []string{string(telemetry.ReasonTooLarge)}, seen)
}

func TestDeadLetterKeepsShortRecordsWhole(t *testing.T) {
	header := func(key string, size int) *sarama.RecordHeader {
		return &sarama.RecordHeader{Key: []byte(key), Value: make([]byte, size-len(key))}
	}
	m := &sarama.ConsumerMessage{
		Topic: "in", Partition: 3, Offset: 42, Value: make([]byte, deadletter.MaxValue),
		Headers: []*sarama.RecordHeader{header("a", 100), header("b", deadletter.MaxHeaders-100), header("c", 1)},
	}
	l := newDeadLetter("dlq", m, &telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Field: "sensors", Message: "why"})
	require.Equal(t, "dlq", l.message.Topic)
	require.Equal(t, telemetry.ReasonInvalidReading, l.reason)
	require.Nil(t, l.message.Key)
	require.Equal(t, deadletter.MaxValue, l.message.Value.Length())
	headers := map[string]string{}
	for _, h := range l.message.Headers[2:] {
		headers[string(h.Key)] = string(h.Value)
	}
	require.Equal(t, map[string]string{
		wire.HeaderReason: "invalid_reading", wire.HeaderField: "sensors", wire.HeaderMessage: "why",
		wire.HeaderTopic: "in", wire.HeaderPartition: "3", wire.HeaderOffset: "42",
	}, headers, "without the third header and a length")

	m.Key, m.Headers = []byte("d1"), []*sarama.RecordHeader{header("long", deadletter.MaxHeaders+1), header("a", 1)}
	l = newDeadLetter("dlq", m, &telemetry.Refusal{Reason: telemetry.ReasonInvalidReading})
	require.Equal(t, sarama.ByteEncoder("d1"), l.message.Key)
	require.Len(t, l.message.Headers, 4)
}

// TestOffsetsMoveOnWithoutResults has readings that change nothing: they are not read again
// after a restart.
func TestOffsetsMoveOnWithoutResults(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	processOne(tk, message(0, "d1", now, 20))
	b := processOne(tk, message(1, "d1", now+1, 20))
	require.NotNil(t, b)
	require.Zero(t, b.size())
	require.EqualValues(t, 2, b.next)
}

func TestTickFindsSilentDevicesAndClosedWindows(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	processOne(tk, message(0, "d1", now-1000, 20), message(1, "d1", now, 20))
	require.EqualValues(t, 1, tk.presence.online.Load())
	for end := now + 34_000; now < end; now += 1000 {
		tk.tick(now)
	}
	b := tk.pending.pop()
	require.Zero(t, tk.presence.online.Load())
	require.Contains(t, string(b.devices["d1"]), `"presence":"offline"`)
	require.NotEmpty(t, b.windows, "the second is closed")
	require.Len(t, b.alerts, 1, "no gateway, so it is the device")
	tk.process([]*sarama.ConsumerMessage{message(2, "d1", now, 20)})
	tk.finish(0)
	require.True(t, slices.ContainsFunc(tk.pending.pop().windows, func(w telemetry.Window) bool {
		return w.WidthMS == 60_000 && w.Start == now-now%60_000
	}), "open windows too")
}

func TestNewestReadingsAreNotBehindTheClock(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	processOne(tk, message(0, "d1", now-behindMS-5000, 20))
	require.True(t, tk.progress.isBehind(time.Now().UnixMilli()))
	processOne(tk, message(1, "d1", now, 20), &sarama.ConsumerMessage{Offset: 2, Timestamp: time.UnixMilli(now), Value: []byte("poison")})
	require.False(t, tk.progress.isBehind(time.Now().UnixMilli()))
}

func TestStateOfAFastClockIsRestored(t *testing.T) {
	const now = 1_000_000
	r := deviceRecord{DeviceState: telemetry.DeviceState{LastSeen: now + 50}}
	require.EqualValues(t, now, r.seenUntil(now), "not beyond the clock")
	require.EqualValues(t, now+50, r.seenUntil(now+60))
	r.SeenUntil = now - 7
	require.EqualValues(t, now-7, r.seenUntil(now))

	d := &device{id: "d1"}
	d.presence = presenceOf(telemetry.DeviceState{DeviceID: "d1", LastSeen: now})
	require.Zero(t, recordOf(d).SeenUntil, "no reading was judged")
	d.alarm = d.alarm.SeenUntil(now)
	require.Zero(t, recordOf(d).SeenUntil, "it is LastSeen")
	d.presence = presenceOf(telemetry.DeviceState{DeviceID: "d1", LastSeen: now + 1})
	require.EqualValues(t, now, recordOf(d).SeenUntil)
}

func TestEveryVariableIsExplained(t *testing.T) {
	for _, v := range config.Describe(&Config{}) {
		require.NotEmpty(t, v.Help, v.Name)
	}
}

func deviceCount(tasks ...*task) int { return (&session{order: tasks}).deviceCount() }

// TestAlarmStateAloneIsRestored has a gateway, which is no device in device-state.
func TestAlarmStateAloneIsRestored(t *testing.T) {
	raised, _, now := silentTask(t)
	raised.p.gateways.Link(true)
	raised.p.gateways.Expect("gw-b")
	raised.watchGateways(now + 600_000)
	raised.flush(now)
	b := raised.pending.pop()
	require.Contains(t, b.alarms, "gw-b")
	tk := newTestTask(t)
	newSession(tk.p, nil).load(tk, stored{alarms: map[string][]byte{"gw-b": b.alarms["gw-b"]}})
	require.Len(t, tk.devices, 1)
	mustLive(t, tk.devices["gw-b"], "gateway_down")
	require.Equal(t, []string{"gw-b"}, tk.p.gateways.Names(), "its heartbeats are expected")
}
