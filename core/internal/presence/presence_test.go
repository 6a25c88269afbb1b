package presence

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = int64(1_700_000_000_000)

func newTracker() *Tracker { return New(Options{Refresh: 10 * time.Minute}, t0) }

func reading(ts int64) *telemetry.Reading {
	return &telemetry.Reading{
		DeviceID: "d1", Timestamp: ts,
		Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"},
		Info:     telemetry.DeviceInfo{Model: "m", Firmware: "1", Battery: telemetry.Some(85), SignalStrength: telemetry.Some(-45)},
	}
}

// observe gives d a reading of time now.
func observe(t *Tracker, d *Device, now int64) bool {
	return t.Observe(d, Input{Reading: reading(now), At: now, Received: now, Gateway: "gw-a", Heard: now, Now: now})
}

// advance ticks every second from one time to another and returns the times in ms after
// t0 at which the device was to be written.
func advance(t *Tracker, d *Device, from, to int64, behind bool) []int64 {
	var written []int64
	for now := from; now <= to; now += 1000 {
		t.Advance(now, behind)
		if t.Check(d, now) {
			written = append(written, now-t0)
		}
	}
	return written
}

func TestFirstReadingMakesADevice(t *testing.T) {
	tr := newTracker()
	var d Device
	require.True(t, observe(tr, &d, t0))
	require.Equal(t, telemetry.DeviceState{
		DeviceID: "d1", Presence: telemetry.PresenceOnline, Since: t0, LastSeen: t0, Gateway: "gw-a",
		Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"},
		Info:     telemetry.DeviceInfo{Model: "m", Firmware: "1", Battery: telemetry.Some(85), SignalStrength: telemetry.Some(-45)},
	}, d.State("d1"))
	require.False(t, observe(tr, &d, t0+5000), "nothing new")
	require.Equal(t, t0+5000, d.State("d1").LastSeen)
}

// leave announces at ms that d is offline.
func leave(t *Tracker, d *Device, heard, now int64) bool {
	r := reading(now)
	r.Offline = true
	return t.Observe(d, Input{Reading: r, At: now, Received: now, Gateway: "gw-a", Heard: heard, Now: now})
}

// TestAnnouncedOfflineTakesEffectAtOnce has the next reading bring the device back, but
// none that was taken before the announcement.
func TestAnnouncedOfflineTakesEffectAtOnce(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	observe(tr, &d, t0+5000)
	require.True(t, leave(tr, &d, t0+6000, t0+6000))
	require.Equal(t, telemetry.PresenceOffline, d.State("d1").Presence)
	require.Equal(t, t0+6000, d.State("d1").Since)
	require.Equal(t, t0+5000, d.State("d1").LastSeen, "it is no reading of its sensors")
	late := Input{Reading: reading(t0 + 5500), At: t0 + 5500, Received: t0 + 5500, Gateway: "gw-a", Heard: t0 + 5500, Now: t0 + 6100}
	tr.Observe(&d, late)
	require.False(t, d.Online())
	require.False(t, leave(tr, &d, t0+6200, t0+6200), "said before")
	require.True(t, observe(tr, &d, t0+7000))
	require.True(t, d.Online())
	require.False(t, leave(tr, &d, t0+6500, t0+7100), "it has sent something since")
	require.True(t, d.Online())
}

func TestUnknownDeviceMayStartOffline(t *testing.T) {
	tr := newTracker()
	var d Device
	require.True(t, leave(tr, &d, t0, t0))
	require.Equal(t, telemetry.PresenceOffline, d.State("d1").Presence)
	require.Equal(t, "A栋", d.State("d1").Location.Building)
	require.True(t, observe(tr, &d, t0+1000))
	require.True(t, d.Online())
}

func TestOfflineAfterThreeMissedIntervals(t *testing.T) {
	for _, interval := range []int64{100, 300, 500, 1000, 2000, 5000, 10_000, 60_000} {
		t.Run(fmt.Sprint(interval, "ms"), func(t *testing.T) {
			tr := newTracker()
			var d Device
			now := t0
			for i := range int64(20) {
				now = t0 + i*interval
				tr.Advance(now, false)
				observe(tr, &d, now)
				require.False(t, tr.Check(&d, now) && !d.Online())
			}
			last := now
			for d.Online() {
				now += 100
				tr.Advance(now, false)
				tr.Check(&d, now)
			}
			silence := now - last
			require.Greater(t, silence, 3*interval)
			require.LessOrEqual(t, silence, max(3*interval, minWindow)+slack+100)
			require.Equal(t, interval, d.State("d1").IntervalMS)
			require.Equal(t, now, d.State("d1").Since)
			require.Equal(t, last, d.State("d1").LastSeen)

			require.True(t, observe(tr, &d, now+1000), "back again")
			require.True(t, d.Online())
			require.Equal(t, now+1000, d.State("d1").Since)
		})
	}
}

func TestUnknownIntervalIsGivenTime(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	offline := advance(tr, &d, t0, t0+unknownWindow+10_000, false)
	require.EqualValues(t, unknownWindow+1000, offline[len(offline)-1])
	require.False(t, d.Online())

	d = Device{}
	observe(tr, &d, t0)
	observe(tr, &d, t0+1000)
	require.Equal(t, []int64{33_000}, advance(tr, &d, t0+1000, t0+60_000, false), "it sends often")
}

// TestSlowSensorIsNotOfflineWhileItIsCommissioned: from the first reading of a sensor that
// sends every ten minutes on, even if one is lost.
func TestSlowSensorIsNotOfflineWhileItIsCommissioned(t *testing.T) {
	const every = 600_000
	for lost := range int64(6) {
		tr := newTracker()
		var d Device
		for i := range int64(10) {
			now := t0 + i*every
			if i == 0 || i != lost {
				observe(tr, &d, now)
			}
			for end := now + every; now < end; now += 1000 {
				tr.Advance(now, false)
				tr.Check(&d, now)
				require.True(t, d.Online(), "%s after the start, reading %d lost", time.Duration(now-t0)*time.Millisecond, lost)
			}
		}
		require.EqualValues(t, every, d.State("d1").IntervalMS)
	}
}

// announce returns a device that has sent a first reading, then others every second, and how
// long it may be silent after each.
func announce(tr *Tracker, interval float64, readings int) (d Device, windows []int64) {
	for i := range int64(readings) {
		r := reading(t0 + i*1000)
		r.Info.IntervalS = interval
		tr.Observe(&d, Input{Reading: r, At: r.Timestamp, Received: r.Timestamp, Gateway: "gw-a", Heard: r.Timestamp, Now: r.Timestamp})
		windows = append(windows, d.Window())
	}
	return d, windows
}

func TestAnnouncedIntervalIsExpected(t *testing.T) {
	const hours3 = 3*3_600_000 + slack
	d, windows := announce(newTracker(), 3600, 12)
	for i, w := range windows {
		require.EqualValues(t, hours3, w, "reading %d: more often is welcome", i)
	}
	require.EqualValues(t, 3_600_000, d.State("d1").IntervalMS)
	tr := newTracker()
	back := tr.Restore(d.State("d1"), t0)
	require.EqualValues(t, hours3, back.Window())
	_, windows = announce(newTracker(), 0.2, 12)
	require.EqualValues(t, missed*1000+slack, windows[11], "it is slower than it says")
}

func TestIntervalOfTheModelCountsUntilTheDevicesOwnIsLearned(t *testing.T) {
	interval := 10 * time.Minute
	tr := New(Options{Refresh: time.Minute, IntervalOf: func(model string) (time.Duration, bool) {
		return interval, model == "m"
	}}, t0)
	d, windows := announce(tr, 0, 9)
	for i, w := range windows[:8] {
		require.EqualValues(t, 3*600_000+slack, w, i)
	}
	require.EqualValues(t, missed*1000+slack, windows[8], "it is set to send every second")

	d, _ = announce(tr, 0, 1)
	interval = time.Hour
	tr.Expect(&d)
	require.EqualValues(t, 3*3_600_000+slack, d.Window(), "the catalogue has changed")
	r := reading(t0 + 1000)
	r.Info.Model = "other"
	tr.Observe(&d, Input{Reading: r, At: t0 + 1000, Received: t0 + 1000, Heard: t0 + 1000, Now: t0 + 1000})
	require.EqualValues(t, firstWindow+slack, d.Window())
}

// TestBatchesHaveTheirOwnInterval: sixty readings at once each minute, then a backlog.
func TestBatchesHaveTheirOwnInterval(t *testing.T) {
	tr := newTracker()
	var d Device
	now := t0
	send := func(at int64, old bool) {
		tr.Observe(&d, Input{Reading: reading(at), At: at, Received: now, Old: old, Gateway: "gw-a", Heard: now, Now: now})
	}
	for range 10 {
		now += 60_000
		for i := range int64(60) {
			send(now-60_000+i*1000, i < 50)
		}
		for end := now + 60_000; now < end; now += 1000 {
			tr.Advance(now, false)
			tr.Check(&d, now)
			require.True(t, d.Online())
		}
		now -= 60_000
	}
	require.EqualValues(t, 60_000, d.State("d1").IntervalMS)
	require.EqualValues(t, 3*60_000+slack, d.Window())
	for i := range int64(100) {
		now += 5
		send(t0+i*1000, true)
	}
	require.EqualValues(t, 3*60_000+slack, d.Window(), "a backlog says nothing about the interval")
}

func TestIrregularSenders(t *testing.T) {
	tests := []struct {
		name string
		gaps []int64 // repeated
	}{
		{"jitter of a half", []int64{5000, 7500, 2500, 6000, 4000}},
		{"bursts of two", []int64{100, 10_000}},
		{"bursts of four", []int64{100, 100, 100, 10_000}},
		{"every third is lost", []int64{1000, 2000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker()
			var d Device
			now := t0
			for i := range 200 {
				next := now + tt.gaps[i%len(tt.gaps)]
				for ; now < next; now += 100 {
					tr.Advance(now, false)
					tr.Check(&d, now)
					require.True(t, i < 10 || d.Online(), "reading %d", i)
				}
				observe(tr, &d, now)
			}
		})
	}
}

func TestOneOutageDoesNotChangeTheInterval(t *testing.T) {
	tr := newTracker()
	var d Device
	now := t0
	for range 8 {
		now += 1000
		observe(tr, &d, now)
	}
	now += 3_600_000
	observe(tr, &d, now)
	require.EqualValues(t, 1000, d.gaps.interval())
}

func TestIntervalIsWrittenWhenItIsLearned(t *testing.T) {
	tr := newTracker()
	var d Device
	var written []int
	for i := range 40 {
		if observe(tr, &d, t0+int64(i)*2000) {
			written = append(written, i)
		}
	}
	require.Equal(t, []int{0, 3}, written)
	require.EqualValues(t, 2000, d.State("d1").IntervalMS)
}

func TestRestartGivesEverybodyTime(t *testing.T) {
	hourAgo := telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOnline, LastSeen: t0 - 3_600_000, IntervalMS: 5000}
	tr := newTracker()
	d := tr.Restore(hourAgo, t0)
	require.Equal(t, []int64{17_000}, advance(tr, &d, t0, t0+30_000, false), "a whole window from the start on")

	tr = newTracker()
	d = tr.Restore(hourAgo, t0)
	observe(tr, &d, t0+2000)
	require.EqualValues(t, 0, d.gaps.n, "the gap to the record says nothing")
	require.Equal(t, []int64{19_000}, advance(tr, &d, t0+2000, t0+30_000, false))
}

func TestRestoredOfflineDeviceStaysOffline(t *testing.T) {
	tr := newTracker()
	d := tr.Restore(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, LastSeen: t0 - 9_000_000, IntervalMS: 1000}, t0)
	require.Empty(t, advance(tr, &d, t0, t0+3_600_000, false))
	require.True(t, observe(tr, &d, t0+3_600_000))
	require.True(t, d.Online())
}

func TestNobodyGoesOfflineWhileWeCatchUp(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	observe(tr, &d, t0+1000)
	require.Empty(t, advance(tr, &d, t0+1000, t0+120_000, true))
	require.Equal(t, []int64{152_000}, advance(tr, &d, t0+121_000, t0+200_000, false))
}

func TestOurOwnSleepIsNotTheDevices(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0-1000)
	observe(tr, &d, t0)
	tr.Advance(t0+1000, false)
	tr.Advance(t0+300_000, false) // the process was stopped in between
	require.False(t, tr.Check(&d, t0+300_000))
	require.Equal(t, []int64{332_000}, advance(tr, &d, t0+301_000, t0+400_000, false))
}

func TestBackfillIsNoSignOfLife(t *testing.T) {
	tr := newTracker()
	old := Input{Reading: reading(t0 - 3_600_000), At: t0 - 3_600_000, Received: t0 - 3_600_000, Gateway: "gw-a", Heard: t0 - 3_590_000, Now: t0}
	var unknown Device
	require.True(t, tr.Observe(&unknown, old))
	require.False(t, unknown.Online(), "a device whose first reading is backfilled")

	off := tr.Restore(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, IntervalMS: 1000}, t0)
	tr.Observe(&off, old)
	require.False(t, off.Online())
	require.Equal(t, t0-3_600_000, off.State("d1").LastSeen, "it was seen, though")
}

func TestBatteryThatIsNoLongerReportedIsWritten(t *testing.T) {
	tr := newTracker()
	var d Device
	for i, battery := range []telemetry.Optional{telemetry.Some(1), {}} { // too small a change for a value
		now := t0 + int64(i)*60_000
		in := Input{Reading: reading(now), At: now, Received: now, Gateway: "gw-a", Heard: now, Now: now}
		in.Reading.Info.Battery = battery
		require.True(t, tr.Observe(&d, in))
		require.Equal(t, battery, d.State("d1").Info.Battery)
	}
}

func TestChangesAreWritten(t *testing.T) {
	tests := []struct {
		name  string
		bend  func(*Input)
		write bool
	}{
		{"room", func(in *Input) { in.Reading.Location.Room = "302" }, true},
		{"firmware", func(in *Input) { in.Reading.Info.Firmware = "2" }, true},
		{"gateway", func(in *Input) { in.Gateway = "gw-b" }, true},
		{"battery by five", func(in *Input) { in.Reading.Info.Battery.Value = 80 }, true},
		{"battery by four", func(in *Input) { in.Reading.Info.Battery.Value = 81 }, false},
		{"signal", func(in *Input) { in.Reading.Info.SignalStrength.Value = -90 }, false},
		{"late room", func(in *Input) { in.Reading.Location.Room = "302"; in.At = t0 - 1 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker()
			var d Device
			observe(tr, &d, t0)
			in := Input{Reading: reading(t0 + 5000), At: t0 + 5000, Received: t0 + 5000, Gateway: "gw-a", Heard: t0 + 5000, Now: t0 + 5000}
			tt.bend(&in)
			require.Equal(t, tt.write, tr.Observe(&d, in))
			require.False(t, tr.Check(&d, t0+6000))
			if tt.write {
				require.Equal(t, in.Reading.Location, d.State("d1").Location)
				require.Equal(t, in.Reading.Info, d.State("d1").Info)
				require.Equal(t, in.Gateway, d.State("d1").Gateway)
			}
		})
	}
}

func TestRestlessDeviceIsWrittenOnceASecond(t *testing.T) {
	tr := newTracker()
	var d Device
	n := 0
	for i := range int64(1000) { // ten seconds at 100 readings a second, moving each time
		now := t0 + i*10
		r := reading(now)
		r.Location.Room = fmt.Sprint(i)
		if tr.Observe(&d, Input{Reading: r, At: now, Received: now, Gateway: "gw-a", Heard: now, Now: now}) {
			n++
		}
	}
	require.Equal(t, 10, n)
	require.True(t, tr.Check(&d, t0+11_000), "the last place is not forgotten")
	require.Equal(t, "999", d.State("d1").Location.Room)
}

func TestRecordIsRefreshed(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	var written []int64
	for now := t0; now < t0+3_600_000; now += 1000 {
		tr.Advance(now, false)
		observe(tr, &d, now)
		if tr.Check(&d, now) {
			written = append(written, now)
		}
	}
	require.GreaterOrEqual(t, len(written), 4)
	require.LessOrEqual(t, len(written), 6)
}
