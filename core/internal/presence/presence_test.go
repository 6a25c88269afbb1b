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
	return t.Observe(d, Input{Reading: reading(now), At: now, Gateway: "gw-a", Heard: now, Now: now})
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
	}, d.State)
	require.False(t, observe(tr, &d, t0+5000), "nothing new")
	require.Equal(t, t0+5000, d.State.LastSeen)
}

// leave announces at ms that d is offline.
func leave(t *Tracker, d *Device, heard, now int64) bool {
	r := reading(now)
	r.Offline = true
	return t.Observe(d, Input{Reading: r, At: now, Gateway: "gw-a", Heard: heard, Now: now})
}

// TestAnnouncedOfflineTakesEffectAtOnce has the next reading bring the device back, but
// none that was taken before the announcement.
func TestAnnouncedOfflineTakesEffectAtOnce(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	observe(tr, &d, t0+5000)
	require.True(t, leave(tr, &d, t0+6000, t0+6000))
	require.Equal(t, telemetry.PresenceOffline, d.State.Presence)
	require.Equal(t, t0+6000, d.State.Since)
	require.Equal(t, t0+5000, d.State.LastSeen, "it is no reading of its sensors")
	late := Input{Reading: reading(t0 + 5500), At: t0 + 5500, Gateway: "gw-a", Heard: t0 + 5500, Now: t0 + 6100}
	tr.Observe(&d, late)
	require.False(t, d.Online())
	require.False(t, leave(tr, &d, t0+6200, t0+6200), "said before")
	require.True(t, observe(tr, &d, t0+7000))
	require.True(t, d.Online())
	require.False(t, leave(tr, &d, t0+6500, t0+7100), "it was heard of since")
	require.True(t, d.Online())
}

func TestUnknownDeviceMayStartOffline(t *testing.T) {
	tr := newTracker()
	var d Device
	require.True(t, leave(tr, &d, t0, t0))
	require.Equal(t, telemetry.PresenceOffline, d.State.Presence)
	require.Equal(t, "A栋", d.State.Location.Building)
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
			require.Equal(t, interval, d.State.IntervalMS)
			require.Equal(t, now, d.State.Since)
			require.Equal(t, last, d.State.LastSeen)

			require.True(t, observe(tr, &d, now+1000), "back again")
			require.True(t, d.Online())
			require.Equal(t, now+1000, d.State.Since)
		})
	}
}

func TestUnknownIntervalIsGivenTime(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	require.Equal(t, []int64{31_000}, advance(tr, &d, t0, t0+60_000, false))
	require.False(t, d.Online())
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
	require.EqualValues(t, 2000, d.State.IntervalMS)
}

func TestRestartGivesEverybodyTime(t *testing.T) {
	hourAgo := telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOnline, LastSeen: t0 - 3_600_000, IntervalMS: 5000}
	tr := newTracker()
	d := Restore(hourAgo, t0)
	require.Equal(t, []int64{17_000}, advance(tr, &d, t0, t0+30_000, false), "a whole window from the start on")

	tr = newTracker()
	d = Restore(hourAgo, t0)
	observe(tr, &d, t0+2000)
	require.EqualValues(t, 0, d.gaps.n, "the gap to the record says nothing")
	require.Equal(t, []int64{19_000}, advance(tr, &d, t0+2000, t0+30_000, false))
}

func TestRestoredOfflineDeviceStaysOffline(t *testing.T) {
	tr := newTracker()
	d := Restore(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, LastSeen: t0 - 9_000_000, IntervalMS: 1000}, t0)
	require.Empty(t, advance(tr, &d, t0, t0+3_600_000, false))
	require.True(t, observe(tr, &d, t0+3_600_000))
	require.True(t, d.Online())
}

func TestNobodyGoesOfflineWhileWeCatchUp(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	require.Empty(t, advance(tr, &d, t0, t0+120_000, true))
	require.Equal(t, []int64{151_000}, advance(tr, &d, t0+121_000, t0+200_000, false))
}

func TestOurOwnSleepIsNotTheDevices(t *testing.T) {
	tr := newTracker()
	var d Device
	observe(tr, &d, t0)
	tr.Advance(t0+1000, false)
	tr.Advance(t0+300_000, false) // the process was stopped in between
	require.False(t, tr.Check(&d, t0+300_000))
	require.Equal(t, []int64{331_000}, advance(tr, &d, t0+301_000, t0+400_000, false))
}

func TestBackfillIsNoSignOfLife(t *testing.T) {
	tr := newTracker()
	old := Input{Reading: reading(t0 - 3_600_000), At: t0 - 3_600_000, Gateway: "gw-a", Heard: t0 - 3_590_000, Now: t0}
	var unknown Device
	require.True(t, tr.Observe(&unknown, old))
	require.False(t, unknown.Online(), "a device whose first reading is backfilled")

	off := Restore(telemetry.DeviceState{DeviceID: "d1", Presence: telemetry.PresenceOffline, IntervalMS: 1000}, t0)
	tr.Observe(&off, old)
	require.False(t, off.Online())
	require.Equal(t, t0-3_600_000, off.State.LastSeen, "it was seen, though")
}

func TestBatteryThatIsNoLongerReportedIsWritten(t *testing.T) {
	tr := newTracker()
	var d Device
	for i, battery := range []telemetry.Optional{telemetry.Some(1), {}} { // too small a change for a value
		now := t0 + int64(i)*60_000
		in := Input{Reading: reading(now), At: now, Gateway: "gw-a", Heard: now, Now: now}
		in.Reading.Info.Battery = battery
		require.True(t, tr.Observe(&d, in))
		require.Equal(t, battery, d.State.Info.Battery)
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
			in := Input{Reading: reading(t0 + 5000), At: t0 + 5000, Gateway: "gw-a", Heard: t0 + 5000, Now: t0 + 5000}
			tt.bend(&in)
			require.Equal(t, tt.write, tr.Observe(&d, in))
			require.False(t, tr.Check(&d, t0+6000))
			if tt.write {
				require.Equal(t, in.Reading.Location, d.State.Location)
				require.Equal(t, in.Reading.Info, d.State.Info)
				require.Equal(t, in.Gateway, d.State.Gateway)
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
		if tr.Observe(&d, Input{Reading: r, At: now, Gateway: "gw-a", Heard: now, Now: now}) {
			n++
		}
	}
	require.Equal(t, 10, n)
	require.True(t, tr.Check(&d, t0+11_000), "the last place is not forgotten")
	require.Equal(t, "999", d.State.Location.Room)
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
