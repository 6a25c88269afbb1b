package processor

import (
	"encoding/json"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/presence"
	"industrial-iot-monitor/core/internal/validate"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// rememberMS is how long a device's alarm state is kept after the last alarm
	// cleared, so that a late reading does not raise it again after a restart.
	rememberMS = 3_600_000
	// sweepMS is how often states to forget are looked for.
	sweepMS = 60_000
	// behindMS is how old what is being processed must be to say that the partition is
	// catching up. A reading then proves its device to have been alive at that time, not
	// now, and devices that are silent are given the benefit of the doubt.
	behindMS = 10_000
)

// process sends a chunk of records through the stages and hands over what came of it.
func (t *task) process(chunk []*sarama.ConsumerMessage) {
	start := time.Now()
	now := start.UnixMilli()
	refused := len(t.out.letters)
	for _, m := range chunk {
		t.one(m, now)
	}
	t.p.live.Flush()
	refused = len(t.out.letters) - refused
	t.next.Store(chunk[len(chunk)-1].Offset + 1)
	t.moved.Store(now)
	t.lastProcessed = now
	t.out.moved = true
	t.encode()
	t.handOver(now)
	t.count(len(chunk), refused, time.Since(start))
}

// one sends one record through the stages.
func (t *task) one(m *sarama.ConsumerMessage, now int64) {
	o := t.origin(m)
	t.lastWritten = o.written
	refusal := validate.Check(validate.Record{
		Key: m.Key, Value: m.Value, Received: o.received, Written: o.written,
	}, &t.reading, &t.layout)
	if refusal != nil {
		t.out.letters = append(t.out.letters, bury(t.p.cfg.DeadLetters, m, refusal))
		return
	}
	r := &t.reading
	d, ok := t.devices[r.DeviceID]
	if !ok {
		d = t.addDevice(r.DeviceID)
	}
	payload := t.p.limits.Apply(t.scratch, m.Value, r, &t.layout)
	if len(payload) != len(m.Value) || len(payload) > 0 && &payload[0] != &m.Value[0] {
		t.scratch = payload // it may have grown
	}
	if t.windows.Add(now, &d.windows, r) {
		t.late++
	}
	t.judge(d, r, o)
	t.observe(d, r, o, now)
	t.p.live.Add(o.gateway, wire.FrameEntry{
		Device: d.id, Timestamp: r.Timestamp, Received: o.received, Backfill: o.backfill, Payload: payload,
	})
	if !o.backfill {
		t.tally.add(float64(now-o.received) / 1000)
	}
}

// judge runs the alarm stage.
func (t *task) judge(d *device, r *telemetry.Reading, o origin) {
	var keep bool
	d.alarm, t.alerts, keep = t.p.rules.Step(d.alarm, alarm.Input{
		Reading: r, Gateway: o.gateway, Received: o.received, Waited: o.waited(),
	}, t.alerts[:0])
	if keep && !d.alarmed {
		d.alarmed = true
		t.alarmed = append(t.alarmed, d)
	}
	for i := range t.alerts {
		a := &t.alerts[i]
		data, err := json.Marshal(a)
		if err != nil {
			t.p.log.Error("alert cannot be encoded", "alert", a.AlertID, "err", err)
			continue
		}
		t.out.alerts = append(t.out.alerts, alertRecord{d.id, a.Status, a.Severity, data})
	}
}

// observe runs the presence stage.
func (t *task) observe(d *device, r *telemetry.Reading, o origin, now int64) {
	heard := now
	if now-o.written > behindMS { // we are catching up; less is a matter of clocks
		heard = o.written
	}
	if o.backfill {
		heard = min(heard, o.received)
	}
	wasOnline := d.presence.Online()
	if t.presence.Observe(&d.presence, presence.Input{Reading: r, Gateway: o.gateway, Heard: heard, Now: now}) {
		t.write(d)
		t.countTurn(wasOnline, d.presence.Online())
	}
}

// write puts d on the list of device states to write.
func (t *task) write(d *device) {
	if !d.changed {
		d.changed = true
		t.changed = append(t.changed, d)
	}
}

func (t *task) countTurn(was, is bool) {
	switch {
	case is && !was:
		t.online.Add(1)
	case was && !is:
		t.online.Add(-1)
	}
}

func (t *task) countOnline() {
	n := int64(0)
	for _, d := range t.devices {
		if d.presence.Online() {
			n++
		}
	}
	t.online.Store(n)
}

// encode writes the listed states as they are now.
func (t *task) encode() {
	for _, d := range t.alarmed {
		d.alarmed = false
		data, err := d.alarm.Encode()
		if err != nil {
			t.p.log.Error("alarm state cannot be encoded", "device", d.id, "err", err)
			continue
		}
		t.out.alarms[d.id] = data
		d.recorded = true
		t.recorded[d] = struct{}{}
	}
	for _, d := range t.changed {
		d.changed = false
		data, err := json.Marshal(&d.presence.State)
		if err != nil {
			t.p.log.Error("device state cannot be encoded", "device", d.id, "err", err)
			continue
		}
		t.out.devices[d.id] = data
	}
	clear(t.alarmed)
	clear(t.changed)
	t.alarmed, t.changed = t.alarmed[:0], t.changed[:0]
}

// tick does what the clock brings: closing windows, missing devices, forgetting.
func (t *task) tick(now int64) {
	limit := max(windowsPerTick, len(t.devices)*int(telemetry.NumAnalog)/spreadTicks)
	t.out.windows = t.windows.Collect(now, limit, t.out.windows)
	behind := now-t.lastProcessed < 2*tickEvery.Milliseconds() && now-t.lastWritten > behindMS
	t.presence.Advance(now, behind)
	for _, d := range t.devices {
		wasOnline := d.presence.Online()
		if t.presence.Check(&d.presence, now) {
			t.write(d)
			t.countTurn(wasOnline, d.presence.Online())
		}
	}
	if now-t.lastSwept > sweepMS {
		t.lastSwept = now
		t.sweep(now)
	}
	t.encode()
	t.handOver(now)
}

// sweep removes the alarm states of devices of which nothing needs to be known any more.
func (t *task) sweep(now int64) {
	for d := range t.recorded {
		if d.alarm.Forgettable(now, rememberMS) {
			t.out.alarms[d.id] = nil
			d.recorded = false
			delete(t.recorded, d)
		}
	}
}

// finish hands over the open windows after run has ended.
func (t *task) finish() {
	t.out.windows = t.windows.Flush(t.out.windows)
	t.handOver(time.Now().UnixMilli())
}

// watch notes how far the partition has grown.
func (t *task) watch(high, now int64) {
	if high > t.high.Load() {
		t.high.Store(high)
		t.grew.Store(now)
	}
}

func decodeDeviceState(data []byte) (telemetry.DeviceState, error) {
	var s telemetry.DeviceState
	err := json.Unmarshal(data, &s)
	return s, err
}
