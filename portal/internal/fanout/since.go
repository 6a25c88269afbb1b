package fanout

import (
	"math/rand/v2"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/recent"
	"industrial-iot-monitor/portal/internal/state"
)

// A client that reconnects says in `since` what it has seen. Times cannot say it: devices have
// clocks of their own, and a slow client gets readings in another order than they were taken.
// So device_data has a position, `seq`, for clients that ask for it: when a client has that
// message it has every reading up to there, or a newer one of the same device. A position is the number of a reading, see
// state.Device.Seq, plus a random base, so that one of an earlier run of the portal is
// recognised. Positions are so large that none can be taken for a time.

// codeNotRecoverable is sent to a client that reconnects when some readings since its
// `since` may be missing.
const codeNotRecoverable = "not_recoverable"

// leastPosition is the smallest position. JavaScript's numbers are exact up to twice that.
const leastPosition = 1 << 52

// newBase returns the position of reading 0. Two bases are almost never so near each other
// that a position of one run is one of the other.
func newBase() uint64 { return leastPosition + rand.Uint64N(leastPosition-1<<40) }

// resume is where a client wants to go on.
type resume struct {
	after  recent.Position
	seq    uint64 // all readings up to here were seen; 0: it is a time
	time   int64  // ms; readings up to here were seen, as far as clocks are right
	missed bool   // it is of no use: readings may be missing
}

// resumeAt interprets a client's `since`; nil: it has none.
func (r *router) resumeAt(since *int64) *resume {
	switch {
	case since == nil:
		return nil
	case *since < leastPosition:
		// A time from the future is by a fast clock, and a reading missed may be before it.
		return &resume{after: recent.AfterTime(*since), time: *since, missed: *since > r.model.Now()+clockTolerance}
	}
	seq := uint64(*since) - r.base // may wrap
	return &resume{after: recent.AfterSeq(seq), seq: seq, missed: seq > r.distributed.Load()}
}

// clockTolerance is how far, in ms, times of readings may be ahead of ours.
const clockTolerance = 5_000

// has reports whether the client has seen the newest reading of d.
func (p *resume) has(d *state.Device) bool {
	if p.time != 0 || p.seq == 0 {
		return d.Timestamp() <= p.time
	}
	return d.Seq() <= p.seq
}

// replay is a device whose readings a client missed.
type replay struct {
	index int
	after recent.Position // readings up to here were sent
}

// queueSnapshot queues the newest reading of a device; with since also the kept readings after
// that. missed is set when some of those may be missing. d is nil when the device is unknown.
// It is called within View.
func (c *client) queueSnapshot(d *state.Device, since *resume) (missed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent, c.mark.set = 0, false // until it has this one
	held := c.broadcaster.recent
	switch {
	case since == nil:
		if d != nil && d.HasReading() {
			c.queue.push(d.Index, true)
		}
		return false
	case d == nil:
		return since.missed || !held.Complete(-1, since.after)
	case since.missed, since.seq == 0 && d.ClockOffset() != 0: // a time says nothing about it
		if d.HasReading() {
			c.queue.push(d.Index, true)
		}
		return true
	}
	if d.HasReading() && !since.has(d) {
		c.replays = append(c.replays, replay{d.Index, since.after})
	}
	return !held.Complete(d.Index, since.after)
}

// gatherReplays adds missed readings to b and reports whether there is room for more. It
// comes before the queue, whose readings are newer.
func (c *client) gatherReplays(b *batch) bool {
	for len(c.replays) > 0 {
		r := &c.replays[0]
		d := c.broadcaster.model.DeviceAt(r.index)
		done := c.broadcaster.recent.Each(r.index, r.after, d.Seq(), func(seq uint64, text []byte) bool {
			if len(b.buf) >= batchBytes {
				return false
			}
			if !wire.IsObject(text) {
				return true // of a forged frame, see state.Device.Payload
			}
			b.buf = appendReading(b.buf, text, 0, 0)
			b.readings++
			b.messages++
			r.after = r.after.Advance(seq)
			return true
		})
		if !done {
			return false
		}
		if d.HasReading() {
			c.queue.push(r.index, true)
		}
		c.replays = c.replays[1:]
	}
	c.replays = nil
	return true
}

// mark is an entry of a client's queue: once it and those before it are sent, the client has
// every reading up to seq.
type mark struct {
	at  uint64 // the queue's popped will be this
	seq uint64
	set bool
}

// settle updates c.sent. Of readings up to distributed all that the client wants are in its
// queue, or sent.
func (c *client) settle(distributed uint64) {
	if c.queue.length() == 0 {
		c.sent, c.mark.set = distributed, false
		return
	}
	if c.mark.set && c.queue.popped >= c.mark.at {
		c.sent, c.mark.set = c.mark.seq, false
	}
	if !c.mark.set {
		c.mark = mark{c.queue.pushed(), distributed, true}
	}
}

// appendNews appends the newest reading of a device, with the position that the client has
// reached with it if it asked for that.
func (c *client) appendNews(dst []byte, d *state.Device) []byte {
	if !c.seqs {
		return appendReading(dst, d.Payload(), 0, 0)
	}
	position := uint64(0)
	if c.sent != 0 {
		position = c.broadcaster.router.base + c.sent
	}
	return appendReading(dst, d.Payload(), d.ClockOffset(), position)
}
