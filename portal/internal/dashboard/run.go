package dashboard

import (
	"bytes"
	"context"
	"time"

	"industrial-iot-monitor/portal/internal/state"
)

// Run makes deltas and snapshots until ctx ends.
func (p *Publisher) Run(ctx context.Context) error {
	tick := time.NewTicker(p.limits.Every)
	defer tick.Stop()
	later := time.NewTimer(time.Hour) // for devices that were sent less than DeviceEvery ago
	defer later.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.everySecond()
		case <-p.work:
			p.wakeForAlerts()
			p.makeSnapshots()
			later.Reset(p.sendDevices())
		case <-later.C:
			later.Reset(p.sendDevices())
		}
	}
}

// everySecond publishes what goes out once a second.
func (p *Publisher) everySecond() {
	now := p.model.Now()
	p.rounds++
	fleet, sensors := p.scanNeeds()
	if !sensors {
		p.columns.close()
	}
	if fleet || sensors {
		p.scanAndPublish(now, sensors)
	}
	for _, t := range p.followed() {
		switch t.kind {
		case kindBuilding:
			if data, known := p.buildingData(t.arg); known {
				p.publish(t, now, data, 0)
			}
		case kindStats, kindGateways:
			p.publish(t, now, p.figures(t.kind), 0)
		case kindSensors:
			if data := p.figures(t.kind); !bytes.Equal(data, p.inventory) {
				p.inventory = data
				p.publish(t, now, data, 0)
			}
		default: // not once a second, or after a scan
		}
	}
}

// followed returns the topics with subscribers.
func (p *Publisher) followed() []*topic {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*topic
	for _, t := range p.topics {
		if len(t.subs) > 0 && t.kind != kindDevice {
			out = append(out, t)
		}
	}
	return out
}

// scanNeeds reports which scans have subscribers.
func (p *Publisher) scanNeeds() (fleet, sensors bool) {
	p.tallies.on = false
	for _, t := range p.followed() {
		switch t.kind {
		case kindBuilding:
			fleet, p.tallies.on = true, true
		case kindFleet, kindFact:
			fleet = true
		case kindSensor:
			sensors = true
		default:
		}
	}
	return fleet, sensors
}

// figures returns the data of topic stats, gateways or sensors.
func (p *Publisher) figures(k kind) []byte {
	get := p.opts.Stats
	switch k {
	case kindGateways:
		get = p.opts.Gateways
	case kindSensors:
		get = p.opts.Sensors
	default: // stats
	}
	if get == nil {
		return []byte("{}")
	}
	return p.encode(get())
}

// scanAndPublish looks at every device and publishes what changed.
func (p *Publisher) scanAndPublish(now int64, sensors bool) {
	p.scan(now, sensors)
	for _, t := range p.followed() {
		var parts [][]byte
		switch t.kind {
		case kindFleet:
			parts = p.fleetChanges()
		case kindSensor:
			parts = p.columnChanges(p.columns.all[t.arg])
		case kindFact:
			parts = p.columnChanges(p.facts[t.arg])
		default:
			continue
		}
		for _, data := range parts {
			quiet := now - t.lastSent
			if data != nil || quiet < 0 || quiet >= signOfLife*p.limits.Every.Milliseconds() {
				t.lastSent = now
				p.publish(t, now, orEmpty(data), 0)
			}
		}
	}
}

// signOfLife is after how many rounds without a change an empty delta goes out.
const signOfLife = 5

func orEmpty(data []byte) []byte {
	if data == nil {
		return []byte("{}")
	}
	return data
}

// maxData is how long the data of one message may be.
func (p *Publisher) maxData() int { return p.limits.FrameBytes - 2*envelopeRoom - maxBuildingName*6 }

// fleetChanges returns the data of the deltas of topic fleet, one nil when nothing changed.
func (p *Publisher) fleetChanges() [][]byte {
	out := newPacker(p.maxData())
	for _, i := range p.changes.rows {
		p.buf = p.cells[i].appendRow(p.buf[:0])
		out.add("devices", p.buf)
	}
	for _, i := range p.changes.states {
		p.buf = p.cells[i].appendChange(p.buf[:0], i)
		out.add("states", p.buf)
	}
	return orNil(out)
}

func (p *Publisher) columnChanges(x *column) [][]byte {
	out := newPacker(p.maxData())
	if x != nil {
		for _, i := range x.changed {
			p.buf = x.appendTo(p.buf[:0], i)
			out.add("values", p.buf)
		}
	}
	return orNil(out)
}

func orNil(p *packer) [][]byte {
	if p.items == 0 && len(p.done) == 0 {
		return [][]byte{nil}
	}
	return p.finish("")
}

// publish publishes a delta and wakes the subscribers.
func (p *Publisher) publish(t *topic, now int64, data []byte, received int64) {
	if len(data) > p.maxData() {
		p.metrics.tooLarge.Inc()
		p.log.Error("message exceeds the frame limit, dropped", "topic_kind", kindNames[t.kind], "bytes", len(data))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.publish(deltaFrame(t, t.seq+1, now, data), received)
	p.wake(t)
}

// wake wakes the subscribers of a topic. It is called with mu held.
func (p *Publisher) wake(t *topic) {
	for _, sub := range t.subs {
		if !sub.fresh {
			sub.session.enqueue(sub)
			sub.session.client.Wake(false)
		}
	}
}

// wakeForAlerts wakes the subscribers of alerts, and closes those that are too far behind.
func (p *Publisher) wakeForAlerts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.news {
		return
	}
	p.news = false
	for _, sub := range p.alerts.subs {
		if sub.started && sub.behind() > int64(p.limits.QueueBytes) {
			sub.session.client.TooSlow("too slow: alerts were not taken")
			continue
		}
		if !sub.fresh {
			sub.session.enqueue(sub)
			sub.session.client.Wake(true)
		}
	}
}

// deviceNews is the next delta of a device's topic.
type deviceNews struct {
	t        *topic
	data     []byte
	received int64
}

// sendDevices publishes the newest reading of each device that is due, and returns when to
// look again.
func (p *Publisher) sendDevices() (again time.Duration) {
	now, every := p.model.Now(), p.limits.DeviceEvery.Milliseconds()
	due, again := p.dueDevices(now, every)
	for len(due) > 0 {
		n := min(len(due), 100)
		var news []deviceNews
		p.model.View(func() {
			for _, t := range due[:n] {
				if d := p.model.Device(t.arg); d != nil && d.HasReading() {
					received := d.Received()
					if !d.Live() {
						received = 0
					}
					news = append(news, deviceNews{t, p.appendDevice(nil, d), received})
				}
			}
		})
		for _, v := range news {
			p.publish(v.t, now, v.data, v.received)
		}
		due = due[n:]
	}
	return again
}

// dueDevices pops the devices from p.dirty that were not sent within the last every ms.
func (p *Publisher) dueDevices(now, every int64) (due []*topic, again time.Duration) {
	again = time.Hour
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.dirty[:0]
	for _, t := range p.dirty {
		wait := t.lastSent + every - now
		switch {
		case len(t.subs) == 0:
			t.dirty = false
		case wait > 0 && wait <= every: // not when the clock was put back
			rest = append(rest, t)
			again = min(again, time.Duration(wait)*time.Millisecond)
		default:
			t.dirty, t.lastSent = false, now
			due = append(due, t)
		}
	}
	clear(p.dirty[len(rest):])
	p.dirty = rest
	return due, again
}

var _ state.Observer = (*Publisher)(nil)
