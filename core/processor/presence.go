package processor

import (
	"encoding/json"
	"log/slog"
	"sync/atomic"

	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/presence"
	"industrial-iot-monitor/internal/telemetry"
)

// presenceStage tracks which devices of a partition are online and adds changed device
// states to a batch.
type presenceStage struct {
	*presence.Tracker
	log     *slog.Logger
	offsets *clock.Offsets
	changed []*device // device states to write
	// Counts of devices, read by metrics. The clocks are those with an offset.
	online, ahead, behind atomic.Int64
}

// observe learns from a reading of d.
func (p *presenceStage) observe(d *device, in presence.Input) {
	was, offset := d.presence.Online(), d.presence.ClockOffset()
	p.update(d, was, p.Observe(&d.presence, in))
	p.clock(d, offset)
}

// clock counts and publishes the offset of d's clock, which was another one before.
func (p *presenceStage) clock(d *device, was int64) {
	is := d.presence.ClockOffset()
	p.countClock(was, is)
	if was != 0 || is != 0 {
		p.offsets.Set(d.id, is)
	}
}

// check finds out whether d went offline, or whether its record is due.
func (p *presenceStage) check(d *device, now int64) {
	p.update(d, d.presence.Online(), p.Check(&d.presence, now))
}

// update lists d to be written and counts it; was is whether it was online before.
func (p *presenceStage) update(d *device, was, write bool) {
	if write && !d.stateChanged {
		d.stateChanged = true
		p.changed = append(p.changed, d)
	}
	p.count(was, d.presence.Online())
}

func (p *presenceStage) count(was, is bool) {
	switch {
	case is && !was:
		p.online.Add(1)
	case was && !is:
		p.online.Add(-1)
	}
}

// countClock counts a device whose clock's offset was and is now.
func (p *presenceStage) countClock(was, is int64) {
	if (was > 0) == (is > 0) && (was < 0) == (is < 0) {
		return
	}
	add := func(offset, n int64) {
		switch {
		case offset > 0:
			p.ahead.Add(n)
		case offset < 0:
			p.behind.Add(n)
		}
	}
	add(was, -1)
	add(is, 1)
}

// encode adds the changed device states to out.
func (p *presenceStage) encode(out *batch) {
	for _, d := range p.changed {
		if !d.stateChanged {
			continue // removed since
		}
		d.stateChanged = false
		data, err := json.Marshal(recordOf(d))
		if err != nil {
			p.log.Error("device state not encodable, not stored", "device", d.id, "err", err)
			continue
		}
		out.devices[d.id] = data
	}
	clear(p.changed)
	p.changed = p.changed[:0]
}

// deviceRecord is the value of a record in device-state.
type deviceRecord struct {
	telemetry.DeviceState
	// SeenUntil is the event time in ms from which on readings are new to the alarm stage,
	// if that is not LastSeen because the device's clock was fast.
	SeenUntil int64 `json:"seen_until,omitempty"`
}

func recordOf(d *device) *deviceRecord {
	r := &deviceRecord{DeviceState: d.presence.State(d.id)}
	if seen := d.alarm.Seen(); seen != 0 && seen < r.LastSeen {
		r.SeenUntil = seen
	}
	return r
}

// seenUntil returns the event time up to which the alarm stage has seen readings, as far
// as the record shows at now.
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
