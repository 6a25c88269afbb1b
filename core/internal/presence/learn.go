package presence

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

// begin initialises d from its first reading.
func (d *Device) begin(in Input) {
	*d = Device{
		known: true, online: in.Now-in.Heard <= unknownWindow, since: in.Now, lastSeen: in.At,
		gateway: newText(in.Gateway), info: newInfo(&in.Reading.Location, &in.Reading.Info), jitter: spread(in.Reading.DeviceID),
		battery: pack(telemetry.Optional{}),
	}
}

// learn updates d from a reading; from one that is late only that it came.
func (t *Tracker) learn(d *Device, in Input) {
	r := in.Reading
	d.arrive(in)
	if in.At <= d.lastSeen {
		return
	}
	d.lastSeen = in.At
	if d.gateway.String() != in.Gateway {
		d.gateway, d.dirty = newText(in.Gateway), true
	}
	if !d.info.is(r) {
		d.info = newInfo(&r.Location, &r.Info)
		t.Expect(d)
		d.dirty = true
	}
	d.info.battery, d.info.signal = pack(r.Info.Battery), pack(r.Info.SignalStrength)
	if d.info.battery.differs(d.battery, batteryStep) {
		d.dirty = true
	}
	if !d.dirty && d.gaps.turned() && d.intervalChanged() && (d.recorded == 0 || in.Now-d.written >= relearn) {
		d.dirty = true
	}
}

// arrive learns the gap before a reading. Readings that arrive in one message have none, so
// that a device that sends sixty at once each minute has the interval of a minute; nor have
// those of a backlog that its device had kept.
func (d *Device) arrive(in Input) {
	if in.Old {
		return
	}
	if gap := in.Received - d.arrived; d.arrived != 0 && gap > 0 {
		d.gaps.add(gap)
	}
	d.arrived = max(d.arrived, in.Received)
}

// interval returns the sending interval expected of d in ms, 0 while it is unknown. The
// announced one is the longest pause that the device makes; that of the catalogue is the
// usual setting of its model, and counts until the device's own is learned.
func (d *Device) interval() int64 {
	learned := d.gaps.interval()
	switch announced := int64(d.info.interval * 1000); {
	case announced > 0:
		return max(announced, learned)
	case d.gaps.n < maxGaps && d.expected > 0:
		return max(d.expected, learned)
	case learned > 0:
		return learned
	default:
		return d.restored
	}
}

// intervalChanged reports whether the recorded interval is off by half or more.
func (d *Device) intervalChanged() bool {
	now, then := d.interval(), d.recorded
	return now > 0 && (2*now >= 3*then || 3*now <= 2*then)
}

// maxGaps is how many gaps are kept.
const maxGaps = 8

// gaps are the last gaps between readings, in ms.
type gaps struct {
	ms [maxGaps]uint32
	n  uint8 // gaps seen, up to twice maxGaps, then between once and twice
}

func (g *gaps) add(ms int64) {
	g.ms[g.n%maxGaps] = uint32(min(ms, math.MaxUint32))
	g.n++
	if g.n == 2*maxGaps {
		g.n = maxGaps
	}
}

// turned reports whether to compute the interval again, which is not worth it at every gap.
func (g *gaps) turned() bool { return g.n == 3 || g.n == maxGaps }

// interval returns the second longest of the gaps, 0 before the third: a single outage does
// not count, but repeated pauses do, so that a device that sends in bursts is not offline
// between them.
func (g *gaps) interval() int64 {
	if g.n < 3 {
		return 0
	}
	_, second := g.top()
	return second
}

// longest returns the longest gap, 0 before the first.
func (g *gaps) longest() int64 {
	first, _ := g.top()
	return first
}

// top returns the longest gap and the second longest.
func (g *gaps) top() (first, then int64) {
	var longest, second uint32
	for _, ms := range g.ms[:min(g.n, maxGaps)] {
		switch {
		case ms > longest:
			longest, second = ms, longest
		case ms > second:
			second = ms
		}
	}
	return int64(longest), int64(second)
}
