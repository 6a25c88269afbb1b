package processor

import (
	"encoding/json"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/presence"
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
	// settleMS is how long after the start nothing is said about what does not come.
	settleMS = 5_000
)

// process sends a chunk of records through the stages and hands over what came of it.
func (t *task) process(chunk []*sarama.ConsumerMessage) {
	start := time.Now()
	now := start.UnixMilli()
	t.follow()
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
	t.lastWritten = o.Written
	payload, refusal := t.intake.Accept(m.Key, m.Value, &o.Origin)
	if refusal != nil {
		t.out.letters = append(t.out.letters, bury(t.p.cfg.DeadLetters, m, refusal))
		return
	}
	r := &t.intake.Reading
	switch o.Clock {
	case intake.ClockAhead:
		t.ahead++
	case intake.ClockBehind:
		t.behind++
	case intake.ClockGood:
	}
	d, ok := t.devices[r.DeviceID]
	if !ok {
		d = t.addDevice(r.DeviceID)
	}
	if t.windows.Add(now, &d.windows, r) {
		t.late++
	}
	t.judge(d, r, o, m.Offset, now)
	t.observe(d, r, o, now)
	t.p.live.Add(o.from.name, wire.FrameEntry{
		Device: d.id, Timestamp: r.Timestamp, Received: o.Received, Backfill: o.Backfill, Payload: payload,
	})
	if o.Backfill {
		o.from.backfilled = now
		return
	}
	o.from.live = max(o.from.live, o.Written)
	t.tally.add(float64(now-o.Received) / 1000)
}

// judge runs the alarm stage.
func (t *task) judge(d *device, r *telemetry.Reading, o sourced, offset, now int64) {
	in := alarm.Input{
		Reading: r, Gateway: o.from.name, Received: o.Received, Waited: o.Waited(), Now: now,
		Partition: t.partition, Offset: offset,
	}
	if !o.Backfill && t.comparing() {
		t.rooms.Put(&d.room, r)
		in.Room = t.rooms.View(&d.room, &t.view)
	}
	var keep bool
	d.alarm, t.changes, keep = t.book.rules.Step(d.alarm, in, t.changes[:0])
	if keep {
		t.keep(d)
	}
	if len(t.changes) > 0 {
		t.publish(d)
	}
}

// observe runs the presence stage.
func (t *task) observe(d *device, r *telemetry.Reading, o sourced, now int64) {
	heard := now
	if now-o.Written > behindMS { // we are catching up; less is a matter of clocks
		heard = o.Written
	}
	if o.Backfill {
		heard = min(heard, o.Received)
	}
	wasOnline := d.presence.Online()
	if t.presence.Observe(&d.presence, presence.Input{Reading: r, Gateway: o.from.name, Heard: heard, Now: now}) {
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
		data, err := json.Marshal(recordOf(d))
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

// tick does what the clock brings: closing windows, delays that are over, what is
// missing, forgetting.
func (t *task) tick(now int64) {
	t.follow()
	limit := max(windowsPerTick, len(t.devices)*int(telemetry.NumAnalog)/spreadTicks)
	t.out.windows = t.windows.Collect(now, limit, t.out.windows)
	behind := t.isBehind(now)
	t.presence.Advance(now, behind)
	t.lookAtGateways(now)
	for _, d := range t.devices {
		wasOnline := d.presence.Online()
		if t.presence.Check(&d.presence, now) {
			t.write(d)
			t.countTurn(wasOnline, d.presence.Online())
		}
		if !behind {
			t.time(d, now)
			t.watchSilence(d, now)
		}
	}
	if !behind {
		t.watchGateways(now)
	}
	t.shareRooms(now)
	if now-t.lastSwept > sweepMS {
		t.lastSwept = now
		t.sweep(now)
	}
	t.encode()
	t.handOver(now)
}

// isBehind reports whether readings wait that are older than what the clock says: then
// it is not for the clock to say what did not come.
func (t *task) isBehind(now int64) bool {
	if t.lastProcessed == 0 {
		// Nothing was read yet. There may be much to read.
		return now-t.started < settleMS || t.lag() > 0 && now-t.started < behindMS
	}
	return now-t.lastProcessed < 2*tickEvery.Milliseconds() && now-t.lastWritten > behindMS
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

// deviceRecord is the value of a record in device-state.
type deviceRecord struct {
	telemetry.DeviceState
	// SeenUntil is the event time in ms from which on readings are new to the alarm stage,
	// where that is not LastSeen: the device's clock was fast.
	SeenUntil int64 `json:"seen_until,omitempty"`
}

func recordOf(d *device) *deviceRecord {
	r := &deviceRecord{DeviceState: d.presence.State}
	if seen := d.alarm.Seen(); seen != 0 && seen < r.LastSeen {
		r.SeenUntil = seen
	}
	return r
}

// seenUntil returns until when readings were seen, as far as a record of now can tell.
func (r *deviceRecord) seenUntil(now int64) int64 {
	if r.SeenUntil != 0 {
		return r.SeenUntil
	}
	return min(r.LastSeen, now)
}

func decodeDeviceState(data []byte) (deviceRecord, error) {
	var r deviceRecord
	err := json.Unmarshal(data, &r)
	return r, err
}
