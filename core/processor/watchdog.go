package processor

import (
	"fmt"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// deviceOffline is the type of the alarm of a silent device.
	deviceOffline = "device_offline"
	// parentPatience is how long a silent device waits for the alarm of its gateway,
	// which another member may have to raise, to be put under it.
	parentPatience = 15_000
	// judgeSlack is added to what a reading may take: heartbeats and looks come every
	// second.
	judgeSlack = 2_000
	// knownFor is how long ago a device must have sent for its gateway to be expected.
	knownFor = 86_400_000
)

// verdict is what the alarm stage was told of a condition that is judged here.
type verdict struct {
	told   bool // since the start, and since the rules changed
	holds  bool
	parent string
}

// lookAtGateways learns what there is to know of the gateways that readings came from.
func (t *task) lookAtGateways(now int64) {
	for _, s := range t.gateways {
		if s.name == intake.Direct {
			continue
		}
		if s.live != 0 {
			t.p.gateways.Alive(s.name, s.live)
			s.live = 0
		}
		s.verdict, _ = t.p.gateways.Look(s.name, now)
		if s.verdict.Presence != gateways.Gone {
			s.gone, s.alarm = 0, ""
			continue
		}
		if s.gone == 0 {
			s.gone = now
		}
		if id := t.p.peers.DownAlarm(s.name, now); id != "" {
			s.alarm = id
		}
	}
}

// watchSilence raises and clears the alarm of a silent device. While it is not clear
// whether its gateway is there, nothing is said. When the gateway is known to be down the
// alarm is put under the gateway's, and stays there until the gateway is back, has sent
// what it had in its buffer, and the device has had its time to send.
func (t *task) watchSilence(d *device, now int64) {
	s := &d.presence.State
	if s.DeviceID == "" {
		return // nothing was ever read from it
	}
	offline := s.Presence == telemetry.PresenceOffline
	v := verdict{told: true, holds: offline}
	if offline {
		from := t.source([]byte(s.Gateway))
		if !t.mayJudge(from, d, now) {
			return
		}
		v.parent = from.alarm
	}
	if v == d.silence {
		return
	}
	window := d.presence.Window()
	t.tell(d, alarm.Watch{
		Device: d.id, Type: deviceOffline, Holds: offline, Since: s.Since, Now: now,
		Severity:  telemetry.SeverityMedium,
		Threshold: telemetry.Threshold{Parameter: "silence_seconds", Operator: ">", Value: seconds(window)},
		Value:     seconds(max(now-s.LastSeen, window)),
		Message:   fmt.Sprintf("%s has sent nothing for more than %s", d.id, (time.Duration(window) * time.Millisecond).Round(time.Second)),
		Location:  s.Location, Model: s.Info.Model, Gateway: s.Gateway, Parent: v.parent,
	})
	// An on-delay may run, or no rule may want an alarm: then it is asked again.
	if _, live := d.alarm.Live(deviceOffline); live || !offline {
		d.silence = v
	}
}

// mayJudge reports whether it can be said why a silent device is silent.
func (t *task) mayJudge(from *source, d *device, now int64) bool {
	if from.name == intake.Direct {
		return true
	}
	switch from.verdict.Presence {
	case gateways.Up:
		// What it said before the device fell silent says nothing: both may be gone. And
		// it takes a while to show that nothing comes through.
		since := d.presence.State.Since
		alone := from.verdict.Heard > since && now-since > gateways.OnTheWay+judgeSlack && from.verdict.Flows
		return alone && now-max(from.verdict.Back, from.backfilled) > d.presence.Window()
	case gateways.Gone:
		return from.alarm != "" || now-from.gone > parentPatience
	case gateways.Unknown, gateways.Doubtful:
	}
	return false
}

// watchGateways raises and clears the alarms of the gateways whose ids belong to this
// partition.
func (t *task) watchGateways(now int64) {
	for _, id := range t.p.gateways.Known() {
		if t.p.partitionOf(id) != t.partition {
			continue
		}
		v, ok := t.p.gateways.Look(id, now)
		if !ok {
			continue
		}
		for i := range v.Findings {
			t.find(v, &v.Findings[i], now)
		}
	}
}

// find tells the alarm stage of a finding, if that is news.
func (t *task) find(v gateways.Verdict, f *gateways.Finding, now int64) {
	told := t.told[v.Gateway]
	if told == nil {
		told = make(map[string]verdict)
		t.told[v.Gateway] = told
	}
	is := verdict{told: true, holds: f.Holds}
	if told[f.Type] == is {
		return
	}
	d, ok := t.devices[v.Gateway]
	if !ok {
		if !f.Holds {
			return // nothing there to be cleared
		}
		d = t.addDevice(v.Gateway)
	}
	t.tell(d, alarm.Watch{
		Device: d.id, Type: f.Type, Holds: f.Holds, Since: now, Now: now, Severity: f.Severity,
		Threshold: f.Threshold, Value: f.Value, Message: f.Message,
		Location: telemetry.Location{Building: v.Building}, Gateway: d.id,
	})
	if _, live := d.alarm.Live(f.Type); live || !f.Holds {
		told[f.Type] = is
	}
}

// tell hands a condition that was judged here to the alarm stage.
func (t *task) tell(d *device, w alarm.Watch) {
	var keep bool
	d.alarm, t.changes, keep = t.book.rules.Watch(d.alarm, w, t.changes[:0])
	if keep {
		t.keep(d)
	}
	t.publish(d)
}

// downAlarms returns the alarms of the gateways of this partition that are down.
func (t *task) downAlarms() map[string]string {
	var down map[string]string
	for id, told := range t.told {
		if !told[gateways.Down].holds {
			continue
		}
		if d, ok := t.devices[id]; ok {
			if a, live := d.alarm.Live(gateways.Down); live && a.Status == telemetry.AlertActive {
				if down == nil {
					down = make(map[string]string)
				}
				down[id] = a.AlertID
			}
		}
	}
	return down
}

// expect makes the gateways known that the restored state names: those that have alarms,
// and those that devices sent through not long ago.
func (t *task) expect(now int64) {
	expected := make(map[string]struct{})
	for id, d := range t.devices {
		if a, live := d.alarm.Live(gateways.Down); live && a.Source == telemetry.SourceWatchdog {
			expected[id] = struct{}{}
		}
		s := &d.presence.State
		if s.DeviceID != "" && s.Gateway != intake.Direct && now-s.LastSeen < knownFor {
			expected[s.Gateway] = struct{}{}
		}
	}
	for id := range expected {
		t.p.gateways.Know(id)
	}
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }
