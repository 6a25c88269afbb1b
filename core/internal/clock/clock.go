// Package clock maps the timestamps of a device to plant time: when its readings were
// taken, by a right clock. The reference is the time at which the gateway received a
// reading. Clock learns how far a device's clock is off, and tells a wrong clock from
// readings that are really old. It is pure: the same readings in the same order give the
// same times. It does no I/O and nothing in it blocks.
package clock

// All times and offsets are in ms. An offset is timestamp - received: a reading's delay
// only ever makes it smaller, so the largest recent one is that of the clock.
const (
	// Late and Ahead are how far a right clock's reading may lag behind the time it was
	// received and be ahead of it.
	Late  = 10_000
	Ahead = 5_000

	// burst is the time within which readings count as having arrived together, and pause
	// the silence before a reading that does not belong to a burst.
	burst = 1_000
	pause = 500
	// confirmed is how long an unexpected clock must run at the pace of the reference. It is
	// longer than a burst.
	confirmed = 3_000
	// The same for a device that continues where it fell silent. It may be sending what it
	// could not send then.
	explained         = 30_000
	explainedArrivals = 3
	// stopped is how long a clock must show the same time, over two more arrivals.
	stopped         = 10_000
	stoppedArrivals = 2
	// jitter is how much two readings' delays may differ.
	jitter = 1_000
	// maxFollow and followPart bound how fast a wrong clock that loses time is followed:
	// one part of the time since the last reading, at most maxFollow.
	maxFollow  = 1_000
	followPart = 100
	// unset is 2001-01-01: an earlier time is that of a clock that was never set. A clock
	// that lost power starts in 1970, 1980 or 2000.
	unset = 978_307_200_000
)

// Clock is the knowledge about the clock of one device. The zero value is that of an unknown
// device. It must not be copied once a reading was placed.
type Clock struct {
	offset int64
	known  bool
	heard  int64 // when the newest reading was received
	// Of the newest live reading, 0 without one.
	ts, received int64

	doubt *doubt // nil while readings fit
}

// doubt is what readings show that do not fit the clock. Few devices have it.
type doubt struct {
	other candidate
	top   arrival
}

// candidate is a clock that readings may show which do not fit the one known. It is
// forgotten when a reading fits: then the others are old.
type candidate struct {
	offset   int64
	since    int64 // when a reading first showed it, 0: none did
	ts       int64 // of that reading
	arrived  int64 // when a reading last agreed
	arrivals int   // later ones that agreed
}

// arrival is the newest of the readings that arrived together and do not fit.
type arrival struct {
	start      int64
	offset, ts int64
}

// Placed is a reading on the plant's time line.
type Placed struct {
	// At is its plant time.
	At int64
	// Offset is how far the device's clock is ahead, negative behind; 0 within the
	// tolerance.
	Offset int64
	// Old is set for a reading that was taken well before it was received: the device kept
	// it. So is one that may show a wrong clock, until the next readings confirm it.
	Old bool
	// Found is set for the reading that shows a wrong clock after others that were taken for
	// old ones and were not.
	Found bool
}

// Restore returns the clock of a device whose offset was stored.
func Restore(offset int64) Clock { return Clock{offset: offset, known: true} }

// Offset returns how far the device's clock is ahead, negative behind; 0 within the
// tolerance.
func (c *Clock) Offset() int64 { return c.offset }

// Fits reports whether a reading confirms that received is right: its timestamp is what the
// device's clock, as it is known, showed then.
func (c *Clock) Fits(ts, received int64) bool {
	d := ts - received - c.offset
	return c.known && d >= -Late && d <= Ahead
}

// Place maps a reading's timestamp. Call it for every reading of the device, in the order of
// arrival.
func (c *Clock) Place(ts, received int64) Placed {
	offset, found := ts-received, false
	alone := received-c.heard >= pause
	c.heard = max(c.heard, received)
	switch {
	case c.offset != 0 && ts == c.ts, offset > c.offset && !c.fits(offset):
		c.offset = offset // it stands still, or was put forward: nothing comes from the future
	case c.fits(offset):
		c.follow(offset, received)
	case right(offset) && alone:
		c.offset = offset // clocks are put right all the time
	case !c.confirm(ts, received):
		return c.old(ts, received)
	default:
		found = true
	}
	if right(c.offset) {
		c.offset = 0
	}
	c.known, c.ts, c.received, c.doubt = true, ts, received, nil
	return Placed{At: ts - c.offset, Offset: c.offset, Found: found}
}

// right reports whether an offset is well within the tolerance, so that jitter does not
// lead out of it again.
func right(offset int64) bool { return offset >= -Late/2 && offset <= Ahead/2 }

// fits reports whether an offset is that of the clock, with a delay.
func (c *Clock) fits(offset int64) bool {
	most := c.offset
	if most == 0 {
		most = Ahead
	}
	return offset-c.offset >= -Late && offset <= most
}

// old places a reading that does not fit the clock.
func (c *Clock) old(ts, received int64) Placed {
	if ts < unset {
		ts = received + c.offset // when it was taken is unknown
	}
	return Placed{At: ts - c.offset, Offset: c.offset, Old: true}
}

// follow adapts the offset of a wrong clock that loses time, slowly: a delayed reading
// looks the same.
func (c *Clock) follow(offset, received int64) {
	if c.offset == 0 || c.received == 0 {
		return
	}
	step := min(max(received-c.received, 0)/followPart, maxFollow)
	c.offset = max(offset, c.offset-step)
}

// confirm looks at a reading from before the clock's time, and reports whether readings now
// show that the clock was put back. Old readings do not: they arrive faster than they were
// taken, or live ones in between show the clock as it was.
func (c *Clock) confirm(ts, received int64) bool {
	if c.doubt == nil {
		c.doubt = new(doubt)
	}
	c.doubt.arrive(ts, received)
	offset, o := ts-received, &c.doubt.other
	if o.since == 0 || received < o.since {
		*o = candidate{offset: offset, since: received, ts: ts, arrived: received}
		return false
	}
	span := received - o.since
	if ts != o.ts && offset-o.offset < -Late {
		return false // an older one of the same burst, or yet another clock: see arrive
	}
	if offset-o.offset > c.slack(ts, span) {
		*o = candidate{offset: offset, since: received, ts: ts, arrived: received} // it catches up
		return false
	}
	if received-o.arrived >= burst {
		o.arrived = received
		o.arrivals++
	}
	if !c.enough(ts, span) {
		return false
	}
	c.offset = max(offset, o.offset)
	if ts == o.ts {
		c.offset = offset
	}
	return true
}

// arrive notes the newest of the readings that arrive together. A whole burst of readings
// that are much older than the candidate shows another one.
func (d *doubt) arrive(ts, received int64) {
	offset, t := ts-received, &d.top
	if received >= t.start && received-t.start <= burst {
		if offset > t.offset {
			t.offset, t.ts = offset, ts
		}
		return
	}
	if t.offset-d.other.offset < -Late && t.ts != d.other.ts {
		d.other = candidate{offset: t.offset, since: t.start, ts: t.ts, arrived: t.start}
	}
	*t = arrival{start: received, offset: offset, ts: ts}
}

// continues reports whether a reading is from the time in which the device was silent.
func (c *Clock) continues(ts int64) bool { return c.ts != 0 && ts > c.ts }

// slack is how much an offset may grow in a time and still be that of one clock.
func (c *Clock) slack(ts, span int64) int64 {
	if c.continues(ts) {
		return jitter + span/100
	}
	return jitter + min(span/20, Late)
}

// enough reports whether the readings since the candidate confirm it.
func (c *Clock) enough(ts, span int64) bool {
	o := &c.doubt.other
	switch {
	case ts == o.ts:
		return span >= stopped && o.arrivals >= stoppedArrivals
	case 2*(ts-o.ts) < span: // the same reading again, or hardly a newer one
		return false
	case c.continues(ts):
		return span >= explained && o.arrivals >= explainedArrivals
	default:
		return span >= confirmed
	}
}
