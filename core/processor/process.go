package processor

import (
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/presence"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/wire"
)

// process runs a chunk of records through the stages and flushes the results.
func (t *task) process(chunk []*sarama.ConsumerMessage) {
	start := time.Now()
	now := start.UnixMilli()
	t.reloadRules()
	t.reloadSensors()
	for _, m := range chunk {
		t.record(m, now)
	}
	t.counts.uncounted = t.windows.Dropped()
	t.p.live.Flush()
	t.endTraces(len(chunk))
	t.progress.advance(chunk[len(chunk)-1].Offset+1, now)
	t.out.moved = true
	t.flush(now)
	t.p.metrics.chunk(&t.counts, len(chunk), time.Since(start))
}

// record runs one record through the stages.
func (t *task) record(m *sarama.ConsumerMessage, now int64) {
	o := originOf(m)
	if o.TraceParent != nil {
		t.trace(m, &o)
	}
	t.progress.written = o.Written
	t.progress.newest = max(t.progress.newest, o.Received)
	payload, refusal := t.intake.Accept(m.Key, m.Value, &o)
	if refusal != nil {
		t.counts.refused++
		t.out.letters = append(t.out.letters, newDeadLetter(t.p.cfg.DeadLetters, m, refusal))
		return
	}
	for _, kind := range t.intake.Unknown {
		t.p.metrics.unknownUnits.WithLabelValues(kind.Name).Inc()
	}
	r := &t.intake.Reading
	if t.late(r, &o) {
		t.counts.removed++
		t.watchdog.source(o.Gateway).received(&o, now)
		t.counts.reading(&o, now)
		return
	}
	d, ok := t.devices[r.DeviceID]
	if !ok {
		d = t.addDevice(r.DeviceID)
	}
	from := t.watchdog.source(o.Gateway)
	p := o.Place(&d.clock, r)
	if len(r.Sensors) > 0 || !r.Offline { // that a device is offline leaves its values on the screen
		t.values(m, p, d, from.name, payload, &o, now)
	}
	t.presence.observe(d, presence.Input{
		Reading: r, At: p.At, ClockOffset: p.Offset, Received: o.Received, Old: p.Old, Gateway: from.name, Heard: aliveAt(&o, now), Now: now,
	})
	from.received(&o, now)
	t.counts.reading(&o, now)
}

// originOf returns what a record says about where its reading comes from.
func originOf(m *sarama.ConsumerMessage) intake.Origin {
	o := intake.Origin{Written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		o.ReadHeader(h.Key, h.Value)
	}
	return o
}

// values passes the values of the accepted reading to the stages, and to screens what the
// live path does not bring.
func (t *task) values(m *sarama.ConsumerMessage, p intake.Placed, d *device, gateway string, payload []byte, o *intake.Origin, now int64) {
	r := &t.intake.Reading
	if t.windows.Add(now, &d.windows, p.At, r) {
		t.counts.late++
	}
	t.alarms.reading(d, alarm.Input{
		Reading: r, At: p.At, Restart: p.Found, Gateway: gateway, Received: p.Received, Waited: p.Waited, Now: now,
		Partition: t.partition, Offset: m.Offset,
	}, p.Backfill, t.out)
	t.detect(d, p, gateway, m.Offset, now)
	if gateway == intake.Direct || t.unshown(o) {
		if o.TraceParent != nil {
			t.p.live.Trace(gateway, t.traced())
		}
		t.p.live.Add(gateway, wire.FrameEntry{
			Device: d.id, Timestamp: p.At, Received: o.Received, Backfill: p.Backfill, ClockOffset: p.Offset, Payload: payload, Reading: r,
		})
	}
}

// unshown reports whether the live path has not brought a gateway's reading: it waited there,
// or was written before this task started, when there may have been no core.
func (t *task) unshown(o *intake.Origin) bool {
	return o.Backfill || o.Written < t.progress.started
}

// aliveAt returns when, by the clock in ms, a reading proves its device to have been alive.
func aliveAt(o *intake.Origin, now int64) int64 {
	at := now
	if now-o.Written > behindMS { // catching up; less is within the error of clocks
		at = o.Written
	}
	if o.Backfill {
		at = min(at, o.Received)
	}
	return at
}

// tick runs whatever the clock brings: closing windows, ending delays, detecting missing
// data, forgetting.
func (t *task) tick(now int64) {
	t.reloadRules()
	t.reloadSensors()
	limit := max(windowsPerTick, t.windows.Parameters()/spreadTicks)
	t.out.windows = t.windows.Collect(now, limit, t.out.windows)
	behind := t.progress.isBehind(now)
	t.presence.Advance(now, behind)
	t.watchdog.inspectSources(now)
	for _, d := range t.devices {
		t.presence.check(d, now)
		t.detects.tick(d, now)
		if !behind {
			t.alarms.tick(d, now, t.out)
			if w, news := t.watchdog.silence(d, now); news {
				t.watch(d, w)
			}
			if w, news := t.watchdog.clock(d, now); news {
				t.watch(d, w)
			}
		}
	}
	if !behind {
		t.watchGateways(now)
	}
	t.shareWithPeers(now)
	t.endOrphans(now)
	t.detects.report(now)
	if now-t.detects.marked >= markEvery {
		t.detects.note(t.devices, t.progress.next.Load(), now)
	}
	t.alarms.sweep(now, t.out)
	t.forget(now, behind)
	t.flush(now)
}

// watchGateways raises and clears the alarms of the gateways whose ids belong to this
// partition.
func (t *task) watchGateways(now int64) {
	for _, id := range t.p.gateways.Names() {
		if t.p.partitionOf(id) != t.partition {
			continue
		}
		for _, w := range t.watchdog.findings(id, now) {
			d, ok := t.devices[id]
			if !ok {
				if !w.Holds {
					continue // no alarm to clear
				}
				d = t.addDevice(id)
			}
			t.watch(d, w)
		}
	}
}

// watch passes a condition that the watchdog found to the alarm stage. While a rule's
// on-delay runs, or no rule wants an alarm, the watchdog reports it again.
func (t *task) watch(d *device, w alarm.Finding) {
	t.alarms.watch(d, w, t.out)
	if _, live := d.alarm.Live(w.Type); live || !w.Holds {
		t.watchdog.reported(d, &w)
	}
}

// shareWithPeers updates the values of rooms and publishes them to the other members,
// with the alarms of gateways that are down.
func (t *task) shareWithPeers(now int64) {
	var own []rooms.Values
	if a := &t.alarms; a.comparesRooms() {
		a.rooms.Rebuild(now, t.p.peers.RoomValues(t.partition, now))
		own = a.rooms.Own()
	}
	t.p.peers.Set(t.partition, t.watchdog.downAlarms(t.devices), own)
}
