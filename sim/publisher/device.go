package publisher

import (
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// The life of a reading. All methods here are called with the worker's lock held, except
// those that links call: acked, ackedAny, later, refused, linkUp and linkLost.

// makeReading gives the device a new reading at t (ms since 1970) or the next free
// millisecond: timestamps of a device strictly increase, since they identify its readings.
func (w *worker) makeReading(d int, t int64) {
	s := &w.devices[d]
	w.stats.Due++
	s.last = max(t, s.last+1)
	switch {
	case s.phase == idle:
		w.begin(d, s.last)
	case len(s.backlog) < w.opts.Backlog:
		s.backlog = append(s.backlog, s.last)
		w.stats.Backlog++
	default:
		w.stats.GivenUp++
	}
}

// begin makes a reading the device's current one and sends it.
func (w *worker) begin(d int, timestamp int64) {
	s := &w.devices[d]
	s.timestamp = timestamp
	s.serial++
	s.sent, s.tries = 0, 0
	w.send(d)
}

// send attempts to send the current reading.
func (w *worker) send(d int) {
	s := &w.devices[d]
	now := w.now()
	s.tries++
	if s.tries == 1 {
		s.firstSent = now
	}
	w.buf = w.gen.Append(w.buf[:0], w.base+d, s.timestamp)
	l := w.link(d)
	s.phase = inFlight
	w.stats.InFlight++
	if err := l.send(d, s.serial, w.buf); err != nil {
		w.stats.Errors++
		w.wait(d)
		return
	}
	s.sent++
	w.stats.Sent++
	if s.sent > 1 {
		w.stats.Resent++
	}
	if last := len(w.unflushed) - 1; last < 0 || w.unflushed[last] != l {
		w.unflushed = append(w.unflushed, l)
	}
	w.deadlines.add(timer{at: now + w.opts.AckTimeout, device: int32(d), serial: s.serial, attempts: s.tries})
}

// wait schedules a resend of the reading in flight.
func (w *worker) wait(d int) {
	s := &w.devices[d]
	s.phase = waiting
	w.stats.InFlight--
	w.stats.Waiting++
	w.retries.add(timer{at: w.now() + pause(int(s.tries)), device: int32(d), serial: s.serial})
}

// done ends the current reading and begins the next of the backlog.
func (w *worker) done(d int) {
	s := &w.devices[d]
	if s.phase == inFlight {
		w.stats.InFlight--
	} else {
		w.stats.Waiting--
	}
	s.phase = idle
	if len(s.backlog) > 0 {
		next := s.backlog[0]
		s.backlog = slices.Delete(s.backlog, 0, 1)
		w.stats.Backlog--
		w.begin(d, next)
	}
}

// isCurrent reports whether an answer with this serial is for the current reading.
func (w *worker) isCurrent(d int, serial uint32) bool {
	return d < len(w.devices) && w.devices[d].phase != idle && w.devices[d].serial == serial
}

// acked handles an acknowledgement. A late answer to an earlier attempt counts: the gateway
// has the reading.
func (w *worker) acked(d int, serial uint32) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if w.isCurrent(d, serial) {
		w.settle(d)
	}
}

// ackedAny handles an acknowledgement of whatever reading is in flight, for links on which
// it cannot be for another one.
func (w *worker) ackedAny(d int) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if w.devices[d].phase == inFlight {
		w.settle(d)
	}
}

// settle counts the acknowledgement of the current reading.
func (w *worker) settle(d int) {
	s := &w.devices[d]
	w.stats.Acked++
	if s.sent > 1 {
		w.stats.AckedLate++
	}
	_ = w.latency.RecordValue(int64(w.now() - s.firstSent)) // within the histogram's week
	if w.opts.Ledger != nil {
		w.opts.Ledger.Acked(w.opts.Fleet.ID(w.base+d), s.timestamp, int(s.sent))
	}
	w.done(d)
}

// later handles the answer "retry later".
func (w *worker) later(d int, serial uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isCurrent(d, serial) || w.devices[d].phase != inFlight {
		return
	}
	w.stats.Later++
	w.wait(d)
}

// refused handles a permanent refusal.
func (w *worker) refused(d int, serial uint32, e *wire.ReplyError) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if !w.isCurrent(d, serial) {
		return
	}
	w.stats.Refused++
	if w.stats.Refused <= maxRefusalsLogged {
		w.log.Warn("reading refused", "device", w.opts.Fleet.ID(w.base+d), "reason", e.Reason, "field", e.Field, "err", e.Message)
	}
	w.done(d)
}

// maxRefusalsLogged bounds the log lines of a gateway that refuses everything.
const maxRefusalsLogged = 5

// linkUp counts a new connection.
func (w *worker) linkUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Connections++
}

// linkLost is called when a connection ended; its readings in flight are sent again.
// broke is false if it was closed on purpose.
func (w *worker) linkLost(index int, broke bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Connections--
	if broke {
		w.stats.Lost++
	}
	for d := index; d < len(w.devices); d += len(w.links) {
		if w.devices[d].phase == inFlight {
			w.wait(d)
		}
	}
}
