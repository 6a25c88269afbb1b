package publisher

import (
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// The life of a reading. All methods here are called with the worker's lock held,
// except those that links call with an answer or a change of their own: these take it.

// makeReading gives the device a new reading at t (ms since 1970), or at the next free
// millisecond: timestamps of a device strictly increase, they name its readings.
func (w *worker) makeReading(d int, t int64) {
	s := &w.devices[d]
	w.stats.Due++
	s.last = max(t, s.last+1)
	switch {
	case s.phase == idle:
		w.start(d, s.last)
	case len(s.backlog) < w.opts.Backlog:
		s.backlog = append(s.backlog, s.last)
		w.stats.Backlog++
	default:
		w.stats.GivenUp++
	}
}

// start puts a reading into the device's hand and sends it.
func (w *worker) start(d int, timestamp int64) {
	s := &w.devices[d]
	s.timestamp = timestamp
	s.serial++
	s.sent, s.tries = 0, 0
	w.send(d)
}

// send makes one attempt for the reading in hand.
func (w *worker) send(d int) {
	s := &w.devices[d]
	now := w.now()
	s.tries++
	if s.tries == 1 {
		s.firstSent = now
	}
	w.buf = w.gen.Append(w.buf[:0], w.base+d, s.timestamp)
	l := w.link(d)
	s.phase = flying
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
	if last := len(w.touched) - 1; last < 0 || w.touched[last] != l {
		w.touched = append(w.touched, l)
	}
	w.deadlines.add(alarm{at: now + w.opts.AckTimeout, device: int32(d), serial: s.serial, attempts: s.tries})
}

// wait lets a reading that is flying be sent again later.
func (w *worker) wait(d int) {
	s := &w.devices[d]
	s.phase = waiting
	w.stats.InFlight--
	w.stats.Waiting++
	w.retries.add(alarm{at: w.now() + pause(int(s.tries)), device: int32(d), serial: s.serial})
}

// done takes the reading out of the device's hand and goes on with the backlog.
func (w *worker) done(d int) {
	s := &w.devices[d]
	if s.phase == flying {
		w.stats.InFlight--
	} else {
		w.stats.Waiting--
	}
	s.phase = idle
	if len(s.backlog) > 0 {
		next := s.backlog[0]
		s.backlog = slices.Delete(s.backlog, 0, 1)
		w.stats.Backlog--
		w.start(d, next)
	}
}

// inHand reports whether an answer with this serial is about the reading in hand.
func (w *worker) inHand(d int, serial uint32) bool {
	return d < len(w.devices) && w.devices[d].phase != idle && w.devices[d].serial == serial
}

// acked ends a reading well. An answer to an attempt that had been given up counts:
// the gateway has the reading.
func (w *worker) acked(d int, serial uint32) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if w.inHand(d, serial) {
		w.settle(d)
	}
}

// ackedHere ends the reading that is flying, whichever it is: for links on which there
// can be no answer to another one.
func (w *worker) ackedHere(d int) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if w.devices[d].phase == flying {
		w.settle(d)
	}
}

// settle books the acknowledgement of the reading in hand.
func (w *worker) settle(d int) {
	s := &w.devices[d]
	w.stats.Acked++
	if s.sent > 1 {
		w.stats.AckedLate++
	}
	_ = w.latency.RecordValue(int64(w.now() - s.firstSent)) // no reading waits for a week
	if w.opts.Ledger != nil {
		w.opts.Ledger.Acked(w.opts.Fleet.ID(w.base+d), s.timestamp, clampAttempts(s.sent))
	}
	w.done(d)
}

// later is the answer of a gateway that cannot take the reading now.
func (w *worker) later(d int, serial uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.inHand(d, serial) || w.devices[d].phase != flying {
		return
	}
	w.stats.Later++
	w.wait(d)
}

// refused is the answer of a gateway that will never take the reading.
func (w *worker) refused(d int, serial uint32, e *wire.ReplyError) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if !w.inHand(d, serial) {
		return
	}
	w.stats.Refused++
	if w.stats.Refused <= maxRefusalsLogged {
		w.log.Warn("reading refused", "device", w.opts.Fleet.ID(w.base+d), "reason", e.Reason, "field", e.Field, "err", e.Message)
	}
	w.done(d)
}

// maxRefusalsLogged keeps a gateway that refuses everything from filling the log.
const maxRefusalsLogged = 5

// linkUp counts a connection.
func (w *worker) linkUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Connections++
}

// linkLost is called when a connection broke: what was under way on it is sent again.
// broke is false when the connection was closed on purpose.
func (w *worker) linkLost(index int, broke bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Connections--
	if broke {
		w.stats.Lost++
	}
	for d := index; d < len(w.devices); d += len(w.links) {
		if w.devices[d].phase == flying {
			w.wait(d)
		}
	}
}
