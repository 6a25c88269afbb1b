package publisher

import (
	"math/rand/v2"
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// The life of a message: one reading of a device, or of each device of a concentrator. All
// methods here are called with the worker's lock held, except those that links call: acked,
// ackedAny, later, refused, linkUp and linkLost.

// makeMessage gives the sender a new message at t (ms since 1970) or the next free
// millisecond: timestamps of a device strictly increase, since they identify its readings.
func (w *worker) makeMessage(sender int, t int64) {
	s := &w.senders[sender]
	readings := w.size(sender)
	s.last = max(t, s.last+1)
	if from, _ := w.block(sender); w.opts.Batch == 1 && w.gen.Silent(from, s.last) {
		return // the device is to send nothing: nothing is due
	}
	w.stats.Due += readings
	switch {
	case s.phase == idle:
		w.begin(sender, s.last)
	case len(s.backlog) < w.opts.Backlog:
		s.backlog = append(s.backlog, s.last)
		w.stats.Backlog += int(readings)
	default:
		w.stats.GivenUp += readings
	}
}

// size returns the readings in a message of the sender.
func (w *worker) size(sender int) uint64 {
	from, to := w.block(sender)
	return uint64(to - from)
}

// begin makes a message the sender's current one and sends it.
func (w *worker) begin(sender int, timestamp int64) {
	w.senders[sender].timestamp = timestamp
	w.sendFirst(sender)
}

// sendFirst sends the current message as if for the first time.
func (w *worker) sendFirst(sender int) {
	s := &w.senders[sender]
	s.serial++
	s.sent, s.tries = 0, 0
	w.send(sender)
}

// send attempts to send the current message.
func (w *worker) send(sender int) {
	s := &w.senders[sender]
	now := w.now()
	s.tries++
	if s.tries == 1 {
		s.firstSent = now
	}
	w.encode(sender, s.timestamp)
	l := w.link(sender)
	s.phase = inFlight
	w.stats.InFlight += w.open(sender)
	if err := l.send(sender, s.serial, w.buf); err != nil {
		w.stats.Errors++
		w.wait(sender)
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
	w.deadlines.add(timer{at: now + w.opts.AckTimeout, sender: int32(sender), serial: s.serial, attempts: s.tries})
}

// encode sets buf to the sender's message at t: a reading, or a JSON array of readings.
func (w *worker) encode(sender int, t int64) {
	from, to := w.block(sender)
	w.buf = w.buf[:0]
	if w.opts.Batch == 1 {
		w.buf = w.gen.Append(w.buf, from, t)
		return
	}
	for i := from; i < to; i++ {
		mark := byte(',')
		if i == from {
			mark = '['
		}
		w.buf = w.gen.Append(append(w.buf, mark), i, t)
	}
	w.buf = append(w.buf, ']')
}

// wait schedules a resend of the message in flight.
func (w *worker) wait(sender int) {
	s := &w.senders[sender]
	s.phase = waiting
	w.stats.InFlight -= w.open(sender)
	w.stats.Waiting += w.open(sender)
	w.retries.add(timer{at: w.now() + pause(int(s.tries)), sender: int32(sender), serial: s.serial})
}

// done ends the current message and begins the next of the backlog.
func (w *worker) done(sender int) {
	s := &w.senders[sender]
	w.leave(sender)
	s.repeating = false
	if len(s.backlog) > 0 {
		next := s.backlog[0]
		s.backlog = slices.Delete(s.backlog, 0, 1)
		w.stats.Backlog -= int(w.size(sender))
		w.begin(sender, next)
	}
}

// leave ends the current phase.
func (w *worker) leave(sender int) {
	s := &w.senders[sender]
	if s.phase == inFlight {
		w.stats.InFlight -= w.open(sender)
	} else {
		w.stats.Waiting -= w.open(sender)
	}
	s.phase = idle
}

// open returns the readings of the sender's current message that are not acknowledged.
func (w *worker) open(sender int) int {
	if w.senders[sender].repeating {
		return 0
	}
	return int(w.size(sender))
}

// isCurrent reports whether an answer with this serial is for the current message.
func (w *worker) isCurrent(sender int, serial uint32) bool {
	return sender < len(w.senders) && w.senders[sender].phase != idle && w.senders[sender].serial == serial
}

// acked handles an acknowledgement, and the readings of a batch that were refused. A late
// answer to an earlier attempt counts: the gateway has the message.
func (w *worker) acked(sender int, serial uint32, refused []wire.BatchRefusal) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if w.isCurrent(sender, serial) {
		w.settle(sender, refused)
	}
}

// ackedAny handles an acknowledgement of whatever message is in flight, for links on which
// it cannot be for another one.
func (w *worker) ackedAny(sender int) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if w.senders[sender].phase == inFlight {
		w.settle(sender, nil)
	}
}

// settle counts the acknowledgement of the current message, and sends it again if it is one
// to repeat.
func (w *worker) settle(sender int, refused []wire.BatchRefusal) {
	s := &w.senders[sender]
	if s.repeating {
		w.done(sender)
		return
	}
	w.count(sender, refused)
	if w.opts.Repeat > 0 && rand.Float64() < w.opts.Repeat {
		w.stats.Repeated++
		w.leave(sender)
		s.repeating = true
		w.sendFirst(sender)
		return
	}
	w.done(sender)
}

// count counts the readings of an acknowledged message.
func (w *worker) count(sender int, refused []wire.BatchRefusal) {
	s := &w.senders[sender]
	_ = w.latency.RecordValue(int64(w.now() - s.firstSent)) // within the histogram's week
	for i := range refused {
		w.countRefused(sender, &refused[i].Error)
	}
	from, to := w.block(sender)
	for i := from; i < to; i++ {
		if slices.ContainsFunc(refused, func(r wire.BatchRefusal) bool { return from+r.Index == i }) {
			continue
		}
		w.stats.Acked++
		if s.sent > 1 {
			w.stats.AckedLate++
		}
		if w.opts.Ledger != nil {
			w.opts.Ledger.Acked(w.opts.Fleet.ID(i), w.opts.Fleet.Timestamp(i, s.timestamp), int(s.sent))
		}
	}
}

// later handles the answer "retry later".
func (w *worker) later(sender int, serial uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isCurrent(sender, serial) || w.senders[sender].phase != inFlight {
		return
	}
	w.stats.Later++
	w.wait(sender)
}

// refused handles a permanent refusal of a whole message.
func (w *worker) refused(sender int, serial uint32, e *wire.ReplyError) {
	w.mu.Lock()
	defer w.unlockAndFlush()
	if !w.isCurrent(sender, serial) {
		return
	}
	if !w.senders[sender].repeating {
		for range w.size(sender) {
			w.countRefused(sender, e)
		}
	}
	w.done(sender)
}

func (w *worker) countRefused(sender int, e *wire.ReplyError) {
	w.stats.Refused++
	if w.stats.Refused <= maxRefusalsLogged {
		w.log.Warn("reading refused", "subject", w.subjects[sender], "reason", e.Reason, "field", e.Field, "err", e.Message)
	}
}

// maxRefusalsLogged bounds the log lines of a gateway that refuses everything.
const maxRefusalsLogged = 5

// linkUp counts a new connection.
func (w *worker) linkUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Connections++
}

// linkLost is called when a connection ended; its messages in flight are sent again.
// broke is false if it was closed on purpose.
func (w *worker) linkLost(index int, broke bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Connections--
	if broke {
		w.stats.Lost++
	}
	for s := index; s < len(w.senders); s += len(w.links) {
		if w.senders[s].phase == inFlight {
			w.wait(s)
		}
	}
}
