package processor

import (
	"fmt"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// deviceClock is the type of the alarm of a device whose clock is wrong.
	deviceClock = "device_clock"
	// clockAlarmMS is the offset that raises it. A smaller one may be that of the gateway's
	// clock, which is not known better: its devices would all raise alarms.
	clockAlarmMS = intake.ClockSlack
	// clockStandsMS is how long an offset must stand: one wrong timestamp is no incident.
	clockStandsMS = 10_000
)

// wrongClock is what the watchdog knows about the wrong clock of a device.
type wrongClock struct {
	report
	since int64 // ms by the clock, when the offset was first seen, 0: there is none
}

// clock returns whether d's clock is wrong if that is news. Its readings are processed on
// plant time, so the alarm is low: somebody should set the clock.
func (w *watchdog) clock(d *device, now int64) (watch alarm.Finding, news bool) {
	offset := d.presence.ClockOffset()
	size := max(offset, -offset)
	switch {
	case size == 0 || size < clockAlarmMS/2:
		d.wrong.since = 0
	case size > clockAlarmMS && d.wrong.since == 0:
		d.wrong.since = now
	}
	r := report{made: true, holds: d.wrong.since != 0 && (d.wrong.holds || now-d.wrong.since >= clockStandsMS)}
	if r == d.wrong.report || !r.holds && !d.wrong.made && d.wrong.since != 0 {
		return watch, false
	}
	f := alarm.Finding{
		Device: d.id, Type: deviceClock, Holds: r.holds, Since: now, Now: now, Severity: telemetry.SeverityLow,
		Threshold: telemetry.Threshold{Parameter: "clock_offset_seconds", Operator: ">", Value: seconds(clockAlarmMS)},
		Value:     seconds(offset), Location: d.presence.Location(), Model: d.presence.Model(), Gateway: d.presence.Gateway(),
		Message: "the clock of " + d.id + " is right again",
	}
	if offset < 0 {
		f.Threshold.Operator, f.Threshold.Value = "<", -f.Threshold.Value
	}
	if r.holds {
		f.Since = d.wrong.since
		f.Message = "the clock of " + d.id + " is " + plainOffset(offset)
	}
	return f, true
}

// plainOffset returns an offset in words, for example "8 h 0 min ahead".
func plainOffset(ms int64) string {
	direction := "ahead"
	if ms < 0 {
		direction, ms = "behind", -ms
	}
	d := (time.Duration(ms) * time.Millisecond).Round(time.Second)
	days, hours, minutes, secs := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days >= 365:
		return fmt.Sprintf("%d years %d days %s", days/365, days%365, direction)
	case days > 0:
		return fmt.Sprintf("%d d %d h %s", days, hours, direction)
	case hours > 0:
		return fmt.Sprintf("%d h %d min %s", hours, minutes, direction)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s %s", minutes, secs, direction)
	default:
		return fmt.Sprintf("%d s %s", secs, direction)
	}
}
