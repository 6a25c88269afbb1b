package processor

import (
	"fmt"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/peers"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// deviceOffline is the type of the alarm of a silent device.
	deviceOffline = "device_offline"
	// parentWaitMS is how long the alarm of a silent device waits for that of its gateway,
	// its parent, which another member may have to raise.
	parentWaitMS = 15_000
	// slackMS is added to the time a reading may take: heartbeats and ticks come every
	// second.
	slackMS = 2_000
	// expectMS is how recently a device must have sent for its gateway to be expected.
	expectMS = 86_400_000
	// maxSources bounds the memory that headers can claim.
	maxSources = 10_000
)

// watchdog finds devices of a partition, and gateways, that no longer report.
type watchdog struct {
	gateways *gateways.Watchdog
	peers    *peers.Exchange
	sources  map[string]*source   // gateways that readings came from
	reports  map[reportKey]report // of gateways
}

// reportKey is what a report is about.
type reportKey struct{ gateway, alarm string }

// report is a condition as the alarm stage last received it; the zero value if it never
// did under the rules in force.
type report struct {
	made, holds bool
	parent      string // id of the alarm that explains it
}

// source is a gateway as the readings of one partition show it.
type source struct {
	name       string
	live       int64 // ms by Kafka's clock, the newest live reading, 0: none since the last tick
	backfilled int64 // ms by the clock, when the last backfilled reading arrived

	// As of the last tick.
	verdict gateways.Verdict
	gone    int64  // ms by the clock, since when the gateway is down, 0: it is not
	alarm   string // id of its alarm
}

func newWatchdog(g *gateways.Watchdog, p *peers.Exchange) watchdog {
	return watchdog{gateways: g, peers: p, sources: make(map[string]*source), reports: make(map[reportKey]report)}
}

// source returns the gateway named in a record's header. Beyond maxSources new names
// count as no gateway.
func (w *watchdog) source(header []byte) *source {
	if s, ok := w.sources[string(header)]; ok {
		return s
	}
	name := intake.GatewayName(header)
	if len(w.sources) >= maxSources {
		name = intake.Direct
	}
	s, ok := w.sources[name]
	if !ok {
		s = &source{name: name}
		w.sources[name] = s
	}
	return s
}

// received notes that a reading arrived.
func (s *source) received(o *intake.Origin, now int64) {
	if o.Backfill {
		s.backfilled = now
	} else {
		s.live = max(s.live, o.Written)
	}
}

// inspectSources finds out which of the gateways that readings came from are down.
func (w *watchdog) inspectSources(now int64) {
	for _, s := range w.sources {
		if s.name == intake.Direct {
			continue
		}
		if s.live != 0 {
			w.gateways.Alive(s.name, s.live)
			s.live = 0
		}
		s.verdict, _ = w.gateways.Check(s.name, now)
		if s.verdict.Presence != gateways.Gone {
			s.gone, s.alarm = 0, ""
			continue
		}
		if s.gone == 0 {
			s.gone = now
		}
		if id := w.peers.DownAlarm(s.name, now); id != "" {
			s.alarm = id
		}
	}
}

// silence returns whether d is silent if that is news. While the state of its gateway is
// unclear it reports nothing. The alarm of a gateway that is down becomes the parent, and
// stays it until the gateway is back, has sent its buffer, and the device has had its time
// to send.
func (w *watchdog) silence(d *device, now int64) (watch alarm.Finding, news bool) {
	if !d.presence.Known() {
		return watch, false // it never sent a reading
	}
	offline := d.presence.Offline()
	r := report{made: true, holds: offline}
	if offline {
		from := w.source([]byte(d.presence.Gateway()))
		if !from.explains(d, now) {
			return watch, false
		}
		r.parent = from.alarm
	}
	if r == d.silence {
		return watch, false
	}
	window := d.presence.Window()
	return alarm.Finding{
		Device: d.id, Type: deviceOffline, Holds: offline, Since: d.presence.Since(), Now: now,
		Severity:  telemetry.SeverityMedium,
		Threshold: telemetry.Threshold{Parameter: "silence_seconds", Operator: ">", Value: seconds(window)},
		Value:     seconds(max(now-d.presence.LastSeen(), window)), SilentSince: d.presence.LastSeen(),
		Message:  fmt.Sprintf("%s has sent nothing for more than %s", d.id, (time.Duration(window) * time.Millisecond).Round(time.Second)),
		Location: d.presence.Location(), Model: d.presence.Model(), Gateway: d.presence.Gateway(), Parent: r.parent,
	}, true
}

// explains reports whether it is clear why a device of s is silent: the gateway is up and
// its other data arrives, or it is down and has its alarm.
func (s *source) explains(d *device, now int64) bool {
	if s.name == intake.Direct {
		return true
	}
	switch s.verdict.Presence {
	case gateways.Up:
		// A heartbeat from before the device fell silent proves nothing: both may be gone.
		// And it takes a while to show that no data arrives.
		since := d.presence.Since()
		alone := s.verdict.Heard > since && now-since > gateways.OnTheWay+slackMS && s.verdict.Flows
		return alone && now-max(s.verdict.Back, s.backfilled) > d.presence.Window()
	case gateways.Gone:
		return s.alarm != "" || now-s.gone > parentWaitMS
	case gateways.Unknown, gateways.Doubtful:
	}
	return false
}

// findings returns the conditions of a gateway that are news.
func (w *watchdog) findings(gateway string, now int64) (news []alarm.Finding) {
	v, ok := w.gateways.Check(gateway, now)
	if !ok {
		return nil
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		if w.reports[reportKey{gateway, f.Type}] == (report{made: true, holds: f.Holds}) {
			continue
		}
		news = append(news, alarm.Finding{
			Device: gateway, Type: f.Type, Holds: f.Holds, Since: now, Now: now, Severity: f.Severity,
			Threshold: f.Threshold, Value: f.Value, SilentSince: f.SilentSince, Message: f.Message,
			Location: telemetry.Location{Building: v.Building}, Gateway: gateway,
		})
	}
	return news
}

// reported notes that the alarm stage has received a condition of d.
func (w *watchdog) reported(d *device, c *alarm.Finding) {
	r := report{made: true, holds: c.Holds, parent: c.Parent}
	switch c.Type {
	case deviceOffline:
		d.silence = r
	case deviceClock:
		d.wrong.report = r
	default:
		w.reports[reportKey{d.id, c.Type}] = r
	}
}

// forget forgets what was reported about a gateway with the id of a removed device: what
// still holds is reported again.
func (w *watchdog) forget(id string) {
	for about := range w.reports {
		if about.gateway == id {
			delete(w.reports, about)
		}
	}
}

// downAlarms returns the ids of the alarms of this partition's gateways that are down, by
// gateway.
func (w *watchdog) downAlarms(devices map[string]*device) map[string]string {
	down := make(map[string]string)
	for about, r := range w.reports {
		if d, ok := devices[about.gateway]; ok && about.alarm == gateways.Down && r.holds {
			if a, live := d.alarm.Live(gateways.Down); live && a.Status == telemetry.AlertActive {
				down[about.gateway] = a.AlertID
			}
		}
	}
	return down
}

// expect registers the gateways in the restored state: those with alarms, and those that
// devices recently sent through.
func (w *watchdog) expect(devices map[string]*device, now int64) {
	for id, d := range devices {
		if a, live := d.alarm.Live(gateways.Down); live && a.Source == telemetry.SourceWatchdog {
			w.gateways.Expect(id)
		}
		if from := d.presence.Gateway(); d.presence.Known() && from != intake.Direct && now-d.presence.LastSeen() < expectMS {
			w.gateways.Expect(from)
		}
	}
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }
