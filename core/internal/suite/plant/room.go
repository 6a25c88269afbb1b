package plant

import (
	"context"
	"math"
	"slices"
	"time"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/fleet"
)

// room is the devices of one room. They take turns: a block of readings of all is made, then each
// contestant judges the block, so that the clock is read seldom.
type room struct {
	plant   *plant
	fleet   *fleet.Fleet
	gen     *fleet.Generator
	devices []*roomDevice
	peers   []*peerGroup
	took    []time.Duration // by contestant
	cost    Cost

	samples  []detect.Sample
	columns  []int // of the samples
	verdicts []detect.Verdict
}

// roomDevice is one device with its detectors.
type roomDevice struct {
	id        string
	number    int
	sensors   []string
	values    []float64 // of the block, reading by reading; NaN is missing
	medians   []float64 // of the others in the room, likewise
	detectors []Detector
	latches   [][]latch // by contestant and sensor
	alarms    [][]Alarm // by contestant
}

// peerGroup is the devices of a room that have a sensor.
type peerGroup struct {
	members []member
	sorted  []float64
}

type member struct {
	device *roomDevice
	column int
	newest float64
	at     int64 // ms
}

// blockReadings is how many readings of a device are made at a time.
const blockReadings = 512

func newRoom(p *plant, f *fleet.Fleet, from, to int) *room {
	r := &room{plant: p, fleet: f, gen: f.Generator(), took: make([]time.Duration, len(p.contestants))}
	groups := map[string]*peerGroup{}
	for i := from; i < to; i++ {
		d := &roomDevice{id: f.ID(i), number: i, sensors: f.Sensors(i), alarms: make([][]Alarm, len(p.contestants))}
		d.values = make([]float64, 0, blockReadings*len(d.sensors))
		d.medians = make([]float64, blockReadings*len(d.sensors))
		for _, c := range p.contestants {
			d.detectors = append(d.detectors, c.New())
			d.latches = append(d.latches, make([]latch, len(d.sensors)))
		}
		for k, name := range d.sensors {
			if groups[name] == nil {
				groups[name] = &peerGroup{}
				r.peers = append(r.peers, groups[name])
			}
			groups[name].members = append(groups[name].members, member{device: d, column: k})
		}
		r.devices = append(r.devices, d)
	}
	return r
}

func (r *room) run(ctx context.Context) error {
	o := &r.plant.opts
	interval := o.Interval.Milliseconds()
	end := o.Start + int64(o.Days)*dayMS
	for from := o.Start; from < end; from += blockReadings * interval {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := int(min(blockReadings, (end-from+interval-1)/interval))
		begin := time.Now()
		r.generate(from, interval, n)
		last := time.Now()
		r.cost.Generating += last.Sub(begin)
		for c := range r.took {
			for _, d := range r.devices {
				r.judge(d, c, from, interval, n)
			}
			now := time.Now()
			r.took[c] += now.Sub(last)
			last = now
		}
	}
	for _, d := range r.devices {
		for c, latches := range d.latches {
			d.close(c, latches, end)
		}
	}
	return nil
}

// close ends the alarms that still hold.
func (d *roomDevice) close(contestant int, latches []latch, at int64) {
	for k := range latches {
		if latches[k].on {
			d.end(contestant, k, at)
		}
	}
}

// generate makes a block of n readings of each device, from from on.
func (r *room) generate(from, interval int64, n int) {
	for _, d := range r.devices {
		d.values = d.values[:0]
		for k := range int64(n) {
			var sends bool
			if d.values, sends = r.gen.Values(d.number, from+k*interval, d.values); !sends {
				for range d.sensors {
					d.values = append(d.values, math.NaN())
				}
				continue
			}
			r.cost.Readings++
			r.cost.Values += int64(len(d.sensors))
		}
	}
	for k := range n {
		for _, g := range r.peers {
			g.compare(k, from+int64(k)*interval)
		}
	}
}

// counts reports whether the member's newest value says something about the others at the time at. A machine that
// stands still, with a 0, does not.
func (m *member) counts(at int64) bool {
	return at-m.at <= rooms.MaxAge.Milliseconds() && m.newest != 0
}

// minPeers is how many others must have a value for a comparison.
const minPeers = 2

// compare sets the medians of reading k of the block, which is of time at.
func (g *peerGroup) compare(k int, at int64) {
	g.sorted = g.sorted[:0]
	for i := range g.members {
		m := &g.members[i]
		if v := m.device.values[k*len(m.device.sensors)+m.column]; !math.IsNaN(v) {
			m.newest, m.at = v, at
		}
		if m.counts(at) {
			g.sorted = append(g.sorted, m.newest)
		}
	}
	slices.Sort(g.sorted)
	for i := range g.members {
		m := &g.members[i]
		own := -1
		if m.counts(at) {
			own, _ = slices.BinarySearch(g.sorted, m.newest)
		}
		m.device.medians[k*len(m.device.sensors)+m.column] = medianWithout(g.sorted, own)
	}
}

// medianWithout returns the median of the sorted values but the one at index skip, -1 for none; NaN if
// they are too few.
func medianWithout(sorted []float64, skip int) float64 {
	n := len(sorted)
	if skip >= 0 {
		n--
	}
	if n < minPeers {
		return math.NaN()
	}
	at := func(i int) float64 {
		if skip >= 0 && i >= skip {
			i++
		}
		return sorted[i]
	}
	return (at((n-1)/2) + at(n/2)) / 2
}

// judge lets a contestant judge the block of a device.
func (r *room) judge(d *roomDevice, contestant int, from, interval int64, n int) {
	detector, latches := d.detectors[contestant], d.latches[contestant]
	for k := range n {
		at := from + int64(k)*interval
		if !r.sample(d, k) {
			continue
		}
		r.verdicts = detector.Step(at, r.samples, r.verdicts[:0])
		for i := range r.verdicts {
			column := r.columns[i]
			begins, ends := r.plant.opts.Rule.step(&latches[column], at, &r.verdicts[i])
			if begins {
				d.alarms[contestant] = append(d.alarms[contestant], Alarm{Device: d.id, Sensor: d.sensors[column], From: at})
			}
			if ends {
				d.end(contestant, column, at)
			}
		}
	}
}

// sample sets the samples to reading k of the block. It reports whether there is one.
func (r *room) sample(d *roomDevice, k int) bool {
	r.samples, r.columns = r.samples[:0], r.columns[:0]
	for column, name := range d.sensors {
		v := d.values[k*len(d.sensors)+column]
		if math.IsNaN(v) {
			continue
		}
		s := detect.Sample{Sensor: name, Value: v}
		if median := d.medians[k*len(d.sensors)+column]; !math.IsNaN(median) {
			s.Peers, s.HasPeers = median, true
		}
		r.samples = append(r.samples, s)
		r.columns = append(r.columns, column)
	}
	return len(r.samples) > 0
}

// end ends the newest alarm of a sensor.
func (d *roomDevice) end(contestant, column int, at int64) {
	alarms := d.alarms[contestant]
	for i := len(alarms) - 1; i >= 0; i-- {
		if alarms[i].Sensor == d.sensors[column] {
			alarms[i].To = at
			return
		}
	}
}
