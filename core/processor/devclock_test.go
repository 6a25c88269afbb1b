package processor

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	minuteMS = 60_000
	hourMS   = 60 * minuteMS
	// year2000 is where a clock without a battery starts.
	year2000 = int64(946_684_800_000)
)

// feed sends the readings of one device to a task and ticks the task's clock.
type feed struct {
	t      *testing.T
	tk     *task
	now    int64
	offset int64 // of the records
	alerts []telemetry.Alert
	stored string // the newest record of the device's state
}

func newFeed(t *testing.T, tk *task) *feed {
	t.Helper()
	now := time.Now().UnixMilli() - 3*hourMS
	tk.progress.started = now - minuteMS
	return &feed{t: t, tk: tk, now: now}
}

// send sends a reading every interval for a time, with a clock that is off.
func (f *feed) send(lasts, every, off int64, v float64) {
	f.t.Helper()
	for end := f.now + lasts; f.now < end; {
		m := message(f.offset, "d1", f.now+off, v)
		m.Timestamp = time.UnixMilli(f.now + 30)
		m.Headers = append(from(m, "gw-a").Headers,
			&sarama.RecordHeader{Key: []byte(wire.HeaderReceived), Value: strconv.AppendInt(nil, f.now+20, 10)})
		f.offset++
		f.collect(processOne(f.tk, m))
		for next := f.now + every; f.now < next; f.now += min(every, 1000) {
			f.tk.tick(f.now + 100)
			f.collect(f.tk.pending.pop())
		}
	}
}

func (f *feed) collect(b *batch) {
	f.t.Helper()
	if b == nil {
		return
	}
	if data, ok := b.devices["d1"]; ok {
		f.stored = string(data)
	}
	for _, r := range b.alerts {
		var a telemetry.Alert
		require.NoError(f.t, json.Unmarshal(r.data, &a))
		f.alerts = append(f.alerts, a)
	}
}

// of returns the records of a type.
func (f *feed) of(kind string) (found []telemetry.Alert) {
	for _, a := range f.alerts {
		if a.AlertType == kind {
			found = append(found, a)
		}
	}
	return found
}

func (f *feed) state() telemetry.DeviceState { return f.tk.devices["d1"].presence.State("d1") }

// TestDeviceWhoseClockGoesBackIsNotMute has a value cross its limit after the step.
func TestDeviceWhoseClockGoesBackIsNotMute(t *testing.T) {
	for _, every := range []int64{1000, 2000, 5000} {
		for name, off := range map[string]func(now int64) int64{
			"dead":                       func(now int64) int64 { return year2000 - now },
			"1970":                       func(now int64) int64 { return -now },
			"the end of daylight saving": func(int64) int64 { return -hourMS },
		} {
			t.Run(fmt.Sprint(name, " every ", every), func(t *testing.T) {
				f := newFeed(t, newTestTask(t))
				f.send(2*minuteMS, every, 0, 20)
				step := f.now
				f.send(10_000, every, off(f.now), 95)
				raised := f.of("temperature_high")
				require.Len(t, raised, 1, "within 10 s")
				require.InDelta(t, step, raised[0].RaisedAt, 10_000)
				require.False(t, raised[0].Historical)
				require.InDelta(t, f.now, f.state().LastSeen, 6000)
				require.InDelta(t, off(step), f.state().ClockOffsetMS, 1000)
				require.Contains(t, f.stored, `"clock_offset_ms":-`)
			})
		}
	}
}

// TestDelayOfASlowOrFastDeviceTakesItsTime: ten minutes are ten minutes, and a value that
// comes back in time raises nothing.
func TestDelayOfASlowOrFastDeviceTakesItsTime(t *testing.T) {
	for _, off := range []int64{0, -5 * hourMS, 8 * hourMS} {
		f := newFeed(t, newTestTask(t))
		useRules(t, f.tk, hotRule+"    on_delay: 10m\n    off_delay: 10m\n")
		f.tk.reloadRules()
		f.send(minuteMS, 5000, off, 20)
		f.send(9*minuteMS, 5000, off, 41)
		f.send(5000, 5000, off, 20)
		require.Empty(t, f.of("hot"), off)
		begins := f.now
		f.send(11*minuteMS, 5000, off, 41)
		raised := f.of("hot")
		require.Len(t, raised, 1, off)
		require.InDelta(t, begins+10*minuteMS, raised[0].RaisedAt, 1000, off)
		ends := f.now
		f.send(9*minuteMS, 5000, off, 20)
		require.Len(t, f.of("hot"), 1, off)
		f.send(2*minuteMS, 5000, off, 20)
		require.Len(t, f.of("hot"), 2, off)
		require.InDelta(t, ends+10*minuteMS, f.of("hot")[1].ClearedAt, 1000, off)
	}
}

// TestDelayOfAClockFoundWrongTakesItsTime: the first readings look hours old, so that their
// delay seems to be over long ago. One device is unknown, the other was off while
// its clock stood still.
func TestDelayOfAClockFoundWrongTakesItsTime(t *testing.T) {
	for _, known := range []bool{false, true} {
		for _, every := range []int64{1000, 5000, minuteMS} {
			f := newFeed(t, newTestTask(t))
			useRules(t, f.tk, hotRule+"    on_delay: 10m\n    off_delay: 10m\n")
			f.tk.reloadRules()
			if known {
				f.send(minuteMS, every, 0, 20)
				f.now += 5 * hourMS
			}
			begins := f.now
			f.send(9*minuteMS, every, -5*hourMS+minuteMS, 41)
			require.Empty(t, f.of("hot"), "known %v, every %d", known, every)
			f.send(7*minuteMS, every, -5*hourMS+minuteMS, 41)
			raised := f.of("hot")
			require.Len(t, raised, 1, "known %v, every %d", known, every)
			require.GreaterOrEqual(t, raised[0].RaisedAt, begins+10*minuteMS)
			require.False(t, raised[0].Historical)
		}
	}
}

// TestExcursionOfAClockFoundWrongIsNow has no delay: it began when it was received.
func TestExcursionOfAClockFoundWrongIsNow(t *testing.T) {
	f := newFeed(t, newTestTask(t))
	begins := f.now
	f.send(30_000, 5000, -5*hourMS, 95)
	raised := f.of("temperature_high")
	require.Len(t, raised, 1)
	require.InDelta(t, begins+5000, raised[0].RaisedAt, 1000)
	require.False(t, raised[0].Historical)
}

func TestWrongClockIsAnAlarmOnce(t *testing.T) {
	tk, c := measured(t)
	f := newFeed(t, tk)
	f.send(minuteMS, 5000, 0, 20)
	f.send(5000, 5000, 8*hourMS, 20)
	f.send(minuteMS, 5000, 0, 20)
	require.Empty(t, f.of(deviceClock), "one wrong timestamp is no incident")
	f.send(2*minuteMS, 5000, 50_000, 20)
	require.Empty(t, f.of(deviceClock), "it may be the gateway's clock")
	f.send(minuteMS, 5000, 8*hourMS, 20)
	raised := f.of(deviceClock)
	require.Len(t, raised, 1)
	require.Equal(t, telemetry.EventRaised, raised[0].Event)
	require.Equal(t, telemetry.SeverityLow, raised[0].Severity)
	require.Equal(t, telemetry.SourceWatchdog, raised[0].Source)
	require.Equal(t, "the clock of d1 is 8 h 0 min ahead", raised[0].Message)
	require.Equal(t, telemetry.Threshold{Parameter: "clock_offset_seconds", Operator: ">", Value: 60}, raised[0].Threshold)
	require.Equal(t, "gw-a", raised[0].Gateway)
	tk.p.session.Store(&session{order: []*task{tk}})
	require.InDelta(t, 1, c.value(t, "core_device_clocks", "ahead"), 0)
	require.InDelta(t, 0, c.value(t, "core_device_clocks", "behind"), 0)

	// The next owner continues: the first reading already has the right time.
	next := newTestTask(t)
	alarms, devices := map[string][]byte{}, map[string][]byte{}
	d := tk.devices["d1"]
	var err error
	alarms["d1"], err = d.alarm.Encode()
	require.NoError(t, err)
	devices["d1"], err = json.Marshal(recordOf(d))
	require.NoError(t, err)
	newSession(next.p, nil).load(next, stored{alarms: alarms, devices: devices})
	require.EqualValues(t, 1, next.presence.ahead.Load())
	next.progress.started = f.now - minuteMS
	f.tk = next
	f.send(5000, 5000, 8*hourMS, 95)
	require.InDelta(t, f.now-5000, f.of("temperature_high")[0].RaisedAt, 100)
	f.send(minuteMS, 5000, 8*hourMS, 95)
	require.Len(t, f.of(deviceClock), 1)
	f.send(5000, 5000, 0, 95)
	require.Len(t, f.of(deviceClock), 2)
	require.Equal(t, telemetry.EventCleared, f.of(deviceClock)[1].Event)
	require.Equal(t, raised[0].AlertID, f.of(deviceClock)[1].AlertID)
	require.Equal(t, "the clock of d1 is right again", f.of(deviceClock)[1].Message)
	require.Zero(t, f.state().ClockOffsetMS)
	require.Zero(t, next.presence.ahead.Load())
	f.send(2*minuteMS, 5000, -3*hourMS, 95)
	require.Len(t, f.of(deviceClock), 3)
	require.Equal(t, "<", f.of(deviceClock)[2].Threshold.Operator)
	require.Equal(t, "the clock of d1 is 3 h 0 min behind", f.of(deviceClock)[2].Message)
	require.EqualValues(t, 1, next.presence.behind.Load())
}

// TestClockPutRightWhileCoreWasAwayClearsTheAlarm has nothing left that shows the incident
// but the alarm.
func TestClockPutRightWhileCoreWasAwayClearsTheAlarm(t *testing.T) {
	f := newFeed(t, newTestTask(t))
	f.send(minuteMS, 5000, 8*hourMS, 20)
	require.Len(t, f.of(deviceClock), 1)
	data, err := f.tk.devices["d1"].alarm.Encode()
	require.NoError(t, err)
	f.tk = newTestTask(t)
	f.tk.progress.started = f.now - minuteMS
	newSession(f.tk.p, nil).load(f.tk, stored{alarms: map[string][]byte{"d1": data}})
	f.send(10_000, 5000, 0, 20)
	require.Len(t, f.of(deviceClock), 2)
	require.Equal(t, telemetry.EventCleared, f.of(deviceClock)[1].Event)
}

func TestRuleOverridesTheAlarmOfAWrongClock(t *testing.T) {
	const rule = `
rules:
  - id: clocks
    type: device_clock
    kind: offline
    severity: high
    on_delay: 30s
    where: {device: %s}
`
	for device, alarms := range map[string]int{"d1": 1, "d2": 0} {
		f := newFeed(t, newTestTask(t))
		useRules(t, f.tk, fmt.Sprintf(rule, device))
		f.tk.reloadRules()
		f.send(30_000, 5000, 8*hourMS, 20)
		require.Empty(t, f.of(deviceClock), "the rule's on-delay")
		f.send(2*minuteMS, 5000, 8*hourMS, 20)
		require.Len(t, f.of(deviceClock), alarms, device)
		if alarms > 0 {
			require.Equal(t, telemetry.SeverityHigh, f.of(deviceClock)[0].Severity)
		}
	}
}

// TestOwnBacklogIsHistory: a device that was cut off sends what it had kept, an excursion
// among it.
func TestOwnBacklogIsHistory(t *testing.T) {
	f := newFeed(t, newTestTask(t))
	f.send(minuteMS, 5000, 0, 20)
	cut := f.now
	f.now += hourMS
	for ts := cut; ts < f.now-15_000; ts += 5000 {
		v := 20.0
		if ts < cut+10*minuteMS {
			v = 95
		}
		m := message(f.offset, "d1", ts, v)
		m.Timestamp = time.UnixMilli(f.now + f.offset)
		f.offset++
		f.collect(processOne(f.tk, m))
	}
	f.now += 5000
	f.send(minuteMS, 5000, 0, 20)
	records := f.of("temperature_high")
	require.Len(t, records, 2)
	for _, a := range records {
		require.True(t, a.Historical)
	}
	require.Equal(t, cut, records[0].RaisedAt)
	require.Zero(t, f.state().ClockOffsetMS)
	require.Empty(t, f.of(deviceClock))
}

func TestOffsetInPlainWords(t *testing.T) {
	for ms, want := range map[int64]string{
		61_000: "1 min 1 s ahead", -59_600: "1 min 0 s behind", 5000: "5 s ahead", 8 * hourMS: "8 h 0 min ahead",
		-25 * hourMS: "1 d 1 h behind", -366 * 24 * hourMS: "1 years 1 days behind",
	} {
		require.Equal(t, want, plainOffset(ms))
	}
}

// TestWrongClocksAreLiveOnTheScreen goes through Kafka and the hub.
func TestWrongClocksAreLiveOnTheScreen(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(1)
	l := p.listen()
	p.startReady()
	start := time.Now().UnixMilli()
	offsets := map[string]int64{"right": 0, "ahead": 8 * hourMS, "slow": -5 * hourMS, "dead": year2000 - start}
	newest := func(device string) (e wire.FrameEntry) {
		if all := l.of(device); len(all) > 0 {
			e = all[len(all)-1]
		}
		return e
	}
	require.Eventually(t, func() bool {
		now := time.Now().UnixMilli()
		var records []kafkatest.Record
		for device, off := range offsets {
			records = append(records, reading(device, now+off, 95))
		}
		p.produce(records...)
		for device, off := range offsets {
			e := newest(device)
			if e.Backfill || now-e.Timestamp > 2000 || max(off-e.ClockOffset, e.ClockOffset-off) > 2000 {
				return false
			}
		}
		return true
	}, waitTimeout, 500*time.Millisecond)
	require.Len(t, p.alerts(4), 4)
	p.states(func(s map[string]telemetry.DeviceState) bool {
		return s["ahead"].ClockOffsetMS > 7*hourMS && s["slow"].ClockOffsetMS < -4*hourMS &&
			s["dead"].ClockOffsetMS < -20*365*24*hourMS && s["right"].ClockOffsetMS == 0
	})
}
