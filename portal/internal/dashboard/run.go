package dashboard

import (
	"context"
	"time"

	"industrial-iot-monitor/portal/internal/state"
)

// Run makes deltas and snapshots until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	tick := time.NewTicker(b.limits.Every)
	defer tick.Stop()
	later := time.NewTimer(time.Hour) // for devices that were sent a moment ago
	defer later.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.everySecond()
		case <-b.work:
			b.wakeForAlerts()
			b.makeSnapshots()
			later.Reset(b.sendDevices())
		case <-later.C:
			later.Reset(b.sendDevices())
		}
	}
}

// everySecond publishes what goes out once a second.
func (b *Board) everySecond() {
	now := b.plant.Now()
	if fleet, sensors := b.scanNeeds(); fleet || sensors {
		b.scanAndTell(now, sensors)
	}
	for _, t := range b.followed() {
		switch t.kind {
		case kindBuilding:
			if data, known := b.buildingData(t.arg); known {
				b.tell(t, now, data, 0)
			}
		case kindStats, kindGateways:
			b.tell(t, now, b.figures(t.kind), 0)
		default: // not once a second, or after a scan
		}
	}
}

// followed returns the topics that somebody follows.
func (b *Board) followed() []*topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*topic
	for _, t := range b.topics {
		if len(t.subs) > 0 && t.kind != kindDevice {
			out = append(out, t)
		}
	}
	return out
}

// scanNeeds tells whether somebody follows what a scan finds.
func (b *Board) scanNeeds() (fleet, sensors bool) {
	b.tallies.on = false
	for _, t := range b.followed() {
		switch t.kind {
		case kindBuilding:
			fleet, b.tallies.on = true, true
		case kindFleet:
			fleet = true
		case kindSensor:
			sensors = true
		default:
		}
	}
	return fleet, sensors
}

// figures returns the data of topic stats or gateways.
func (b *Board) figures(k kind) []byte {
	get := b.opts.Stats
	if k == kindGateways {
		get = b.opts.Gateways
	}
	if get == nil {
		return []byte("{}")
	}
	return b.encode(get())
}

// scanAndTell looks at every device and publishes what changed.
func (b *Board) scanAndTell(now int64, sensors bool) {
	b.scan(now, sensors)
	for _, t := range b.followed() {
		var parts [][]byte
		switch t.kind {
		case kindFleet:
			parts = b.fleetChanges()
		case kindSensor:
			parts = b.sensorChanges(t.param)
		default:
			continue
		}
		for _, data := range parts {
			quiet := now - t.lastSent
			if data != nil || quiet < 0 || quiet >= signOfLife*b.limits.Every.Milliseconds() {
				t.lastSent = now
				b.tell(t, now, orEmpty(data), 0)
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

// dataMost is how long the data of one message may be.
func (b *Board) dataMost() int { return b.limits.FrameBytes - 2*envelopeRoom - maxBuildingName*6 }

// fleetChanges returns the data of the deltas of topic fleet, one nil when nothing changed.
func (b *Board) fleetChanges() [][]byte {
	p := newPacker(b.dataMost())
	for _, i := range b.changes.rows {
		b.buf = b.cells[i].appendRow(b.buf[:0])
		p.add("devices", b.buf)
	}
	for _, i := range b.changes.states {
		b.buf = b.cells[i].appendChange(b.buf[:0], i)
		p.add("states", b.buf)
	}
	return orNil(p)
}

func (b *Board) sensorChanges(sensor int) [][]byte {
	p := newPacker(b.dataMost())
	for _, i := range b.changes.values[sensor] {
		b.buf = b.cells[i].appendValue(b.buf[:0], i, sensor)
		p.add("values", b.buf)
	}
	return orNil(p)
}

func orNil(p *packer) [][]byte {
	if p.items == 0 && len(p.done) == 0 {
		return [][]byte{nil}
	}
	return p.finish("")
}

// tell publishes a delta and wakes who follows the topic.
func (b *Board) tell(t *topic, now int64, data []byte, received int64) {
	if len(data) > b.dataMost() {
		b.metrics.tooLarge.Inc()
		b.log.Error("message is larger than a frame may be, left out", "topic_kind", kindNames[t.kind], "bytes", len(data))
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t.publish(deltaFrame(t, t.seq+1, now, data), received)
	b.wake(t)
}

// wake wakes everybody who follows a topic. It is called with the board locked.
func (b *Board) wake(t *topic) {
	for _, sub := range t.subs {
		if !sub.fresh {
			sub.session.enqueue(sub)
			sub.session.client.Wake(false)
		}
	}
}

// wakeForAlerts wakes everybody who follows the alerts, and gives those up that are too far
// behind.
func (b *Board) wakeForAlerts() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.news {
		return
	}
	b.news = false
	for _, sub := range b.alerts.subs {
		if sub.started && sub.behind() > int64(b.limits.QueueBytes) {
			sub.session.client.TooSlow("too slow: alerts were not taken")
			continue
		}
		if !sub.fresh {
			sub.session.enqueue(sub)
			sub.session.client.Wake(true)
		}
	}
}

// deviceNews is what a device's topic is to say.
type deviceNews struct {
	t        *topic
	data     []byte
	received int64
}

// sendDevices publishes the newest reading of each device that is due, and returns when to
// look again.
func (b *Board) sendDevices() (again time.Duration) {
	now, every := b.plant.Now(), b.limits.DeviceEvery.Milliseconds()
	due, again := b.dueDevices(now, every)
	for len(due) > 0 {
		n := min(len(due), 100)
		var news []deviceNews
		b.plant.View(func() {
			for _, t := range due[:n] {
				if d := b.plant.Device(t.arg); d != nil && d.HasReading() {
					received := d.Received()
					if d.Backfill() {
						received = 0
					}
					news = append(news, deviceNews{t, appendDevice(nil, d), received})
				}
			}
		})
		for _, v := range news {
			b.tell(v.t, now, v.data, v.received)
		}
		due = due[n:]
	}
	return again
}

// dueDevices takes the devices off b.dirty that were not sent a moment ago.
func (b *Board) dueDevices(now, every int64) (due []*topic, again time.Duration) {
	again = time.Hour
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.dirty[:0]
	for _, t := range b.dirty {
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
	clear(b.dirty[len(rest):])
	b.dirty = rest
	return due, again
}

var _ state.Watcher = (*Board)(nil)
