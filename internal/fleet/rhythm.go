package fleet

import (
	"math"
	"slices"
)

// The rhythm of a plant: what a week of it looks like. Times of the day are those at UTC+8.
const (
	week = 7 * day
	zone = 8 * hour

	// ownCourse is the share of a slow course that a device does not share with its room.
	ownCourse = 0.3
	// weekendCrew is the share of the people that are in at the weekend.
	weekendCrew = 0.1
	// weekendLoad is the load of continuous work at the weekend, as a share of that in the week.
	weekendLoad = 0.6
	continuous  = 0.25 // share of the rooms that work around the clock
)

// shifts are the hours in which a room works.
type shifts uint8

const (
	noShifts    shifts = iota // no rhythm
	twoShifts                 // 6 to 22 h, on Saturdays to 14 h
	threeShifts               // around the clock, less at the weekend
)

// at returns the share of its work that a room does at t, 0 to 1.
func (s shifts) at(t int64) float64 {
	weekday, h := clockFace(t)
	switch {
	case s == threeShifts && weekday >= saturday:
		return weekendLoad
	case s == threeShifts, weekday < saturday && h >= 6 && h < 22, weekday == saturday && h >= 6 && h < 14:
		return 1
	}
	return 0
}

const saturday = 5 // days after Monday

// clockFace returns the day of the week, 0 is Monday, and the hour of the day.
func clockFace(t int64) (weekday, h int64) {
	local := t + zone
	return (local/day + 3) % 7, local % day / hour // 1970 began on a Thursday
}

// attendance is the share of the people that come on a day.
func (f *Fleet) attendance(t int64) float64 {
	if weekday, _ := clockFace(t); f.rhythm && weekday >= saturday {
		return weekendCrew
	}
	return 1
}

// join makes the device one of its room: it shares the room's climate, but for an offset of its
// own, and the machines' batches of work.
func (d *device) join(seed uint64) {
	key := hash(mix(seed), keyRoom<<32)
	for _, c := range d.loc.Building + "\x1f" + d.loc.Room {
		key = hash(key, uint64(c))
	}
	d.course = key
	own := between(hash(d.key, keyRoom), 1, -0.8, 0.8)
	d.warmth = between(key, 1, 19, 25) + own
	d.daily = between(key, 2, 0.8, 2.5)
	d.phase = between(key, 3, 0.94, 1.02) // warmest between 13 and 15 h
	d.trend = int64(between(key, 4, 4, 9) * float64(day))
	d.heating = 1.1 * between(key, 5, 1.5, 6)
	d.loadSlot = int64(between(key, 6, 15, 60) * float64(minute))
	d.loadShift = int64(between(key, 7, 0, 1) * float64(d.loadSlot))
	d.shifts = twoShifts
	if unit(hash(key, 8)) < continuous {
		d.shifts = threeShifts
	}
}

// Stops for maintenance: half of the weeks have one for a device, on a working morning.
const (
	stopShare   = 0.5
	stopCooling = 15 * minute // time constant of what the machine cools by
)

// stop returns the stop of the week n since 1970 (Thursday, 0 h UTC).
func (d *device) stop(n int64) (from, to int64, ok bool) {
	key := hash(d.key+keyStop, uint64(n))
	if unit(hash(key, 0)) >= stopShare {
		return 0, 0, false
	}
	workdays := [...]int64{0, 1, 4, 5, 6} // after Thursday
	from = n*week + workdays[hash(key, 1)%uint64(len(workdays))]*day + int64(between(key, 2, 0, 3)*float64(hour))
	return from, from + int64(between(key, 3, 2, 6)*float64(hour)), true
}

// rest lets the machine stand still while it is stopped, cool down and warm up again.
func (m *moment) rest() {
	from, to, ok := m.d.stop(m.t / week)
	m.stopped = ok && m.t >= from && m.t < to
	switch {
	case m.stopped:
		m.level = 0
		m.heat *= math.Exp(-float64(m.t-from) / float64(stopCooling))
	case ok && m.t >= to:
		m.heat *= 1 - math.Exp(-float64(m.t-to)/float64(90*second))
	}
}

// stopNear reports whether a stop overlaps from..to.
func (d *device) stopNear(from, to int64) bool {
	for n := from / week; n <= to/week; n++ {
		if a, b, ok := d.stop(n); ok && a <= to && b >= from {
			return true
		}
	}
	return false
}

// Stops returns the planned stops that overlap from..to (ms since 1970, inclusive), by onset. They
// are labelled for an overview; they are no faults. Without a rhythm there are none.
func (f *Fleet) Stops(from, to int64) []AnomalyLabel {
	if !f.rhythm {
		return nil
	}
	var out []AnomalyLabel
	for i := range f.devices {
		d := &f.devices[i]
		for n := from / week; n <= to/week; n++ {
			if a, b, ok := d.stop(n); ok && a <= to && b > from {
				out = append(out, AnomalyLabel{Device: d.id, Kind: Maintenance, Onset: a, End: b - 1})
			}
		}
	}
	slices.SortFunc(out, byOnset)
	return out
}
