package fanout

import (
	"errors"
	"os"
	"time"
)

// batchBytes is how many bytes a writer gathers for one write. One write of this size
// costs about as much as eight of the size of one message.
const batchBytes = 64 << 10

// batchesPerFlush is how many batches a writer sends before it pauses.
const batchesPerFlush = 4

// batch holds the bytes of one write. Pausing writers hold none.
type batch struct {
	buf      []byte
	shared   []byte  // a frame that other clients get too; buf is empty then
	received []int64 // gateway receive times of the live readings in buf
	messages int     // of any kind
	readings int     // device_data messages, snapshots included
	alerts   int
	final    *closing // buf ends with this close frame
}

// newBatch returns a batch with room for what most writes have; the others let it grow. With
// thousands of clients hundreds of batches are in use at a time, some by clients that do not read.
func newBatch() any { return &batch{buf: make([]byte, 0, batchBytes/16)} }

func (b *batch) reset() {
	b.buf, b.shared, b.received = b.buf[:0], nil, b.received[:0]
	b.messages, b.readings, b.alerts, b.final = 0, 0, 0, nil
}

// data returns the bytes to write.
func (b *batch) data() []byte {
	if b.shared != nil {
		return b.shared
	}
	return b.buf
}

// write sends queued messages until the connection ends.
func (c *client) write() {
	defer c.hangUp()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case <-c.wake:
		case <-c.urgent:
		case <-c.gone:
			c.flush() // a close frame may be due
			return
		}
		for more := true; more; {
			var alive bool
			if more, alive = c.flush(); !alive {
				return
			}
			if pause := c.broadcaster.pause(); pause > 0 {
				timer.Reset(pause)
				more = c.rest(timer) || more
			}
		}
	}
}

// rest waits for the timer, or less long when something urgent comes; then it returns
// true.
func (c *client) rest(timer *time.Timer) bool {
	select {
	case <-timer.C:
		return false
	case <-c.urgent:
	case <-c.gone:
	}
	timer.Stop()
	return true
}

// flush writes some batches at most. It reports whether there is more, and whether the
// connection is alive.
func (c *client) flush() (more, alive bool) {
	b, ok := c.broadcaster.batches.Get().(*batch)
	if !ok {
		return false, false // newBatch makes nothing else
	}
	defer c.broadcaster.batches.Put(b)
	more = true
	for range batchesPerFlush {
		b.reset()
		more = c.gather(b)
		if len(b.data()) > 0 && !c.send(b) {
			return false, false
		}
		if b.final != nil {
			return false, false
		}
		if !more {
			break
		}
	}
	return more, true
}

// gather fills b and reports whether there is more.
func (c *client) gather(b *batch) bool {
	end := c.gatherControl(b)
	if end != nil && end.code != CloseShutdown {
		b.finish(end)
		return false
	}
	if c.session != nil {
		return c.gatherDashboard(b, end)
	}
	more, moreAlerts := c.gatherNews(b)
	if end != nil && !moreAlerts { // alerts raised before the end are still sent
		b.finish(end)
	}
	return more
}

func (b *batch) finish(end *closing) {
	b.final = end
	if end.code != closeGoneSilent {
		b.buf = appendClose(b.buf, end.code, end.text)
	}
}

// gatherControl adds pong, ping and error messages to b, and returns the close that is due.
func (c *client) gatherControl(b *batch) *closing {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil && c.closing.code == closeGoneSilent {
		return c.closing
	}
	b.buf = append(b.buf, c.pong...)
	if c.ping {
		b.buf = appendControl(b.buf, opPing, nil)
	}
	for _, n := range c.notes {
		b.buf = append(b.buf, n...)
	}
	b.messages += len(c.notes)
	c.pong, c.ping, c.notes = nil, false, nil
	return c.closing
}

// send writes a batch. It returns false when the connection is over.
func (c *client) send(b *batch) bool {
	rest, progress := b.data(), time.Now()
	for len(rest) > 0 {
		// In steps, because a write does not report when its last byte was accepted.
		step := c.broadcaster.limits.WriteStallTimeout / 4
		if err := c.raw.SetWriteDeadline(time.Now().Add(step)); err != nil {
			return false
		}
		n, err := c.raw.Write(rest)
		rest = rest[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return false
		case n > 0:
			progress = time.Now()
		case time.Since(progress) >= c.broadcaster.limits.WriteStallTimeout:
			c.cutStalled(b, len(b.data())-len(rest))
			return false
		}
	}
	c.broadcaster.account(c, b)
	return true
}

// cutStalled ends a connection that accepted no byte for WriteStallTimeout: its queues are
// freed at once, and it has CloseTimeout to read the rest of the current frame and the close
// frame.
func (c *client) cutStalled(b *batch, sent int) {
	c.broadcaster.detach(c)
	c.close(CloseSlow, "too slow: nothing was taken") // so that the reader's end is no second one
	c.broadcaster.counts.closed(CloseSlow)
	last := b.data()[sent:frameEnd(b.data(), sent)]
	last = appendClose(append([]byte(nil), last...), CloseSlow, "too slow: nothing was taken")
	_ = c.raw.SetWriteDeadline(time.Now().Add(c.broadcaster.limits.CloseTimeout)) // the Write tells
	_, _ = c.raw.Write(last)                                                      // best effort: the client does not read
}

// hangUp ends the connection after the last write: the reader gets a moment to see the
// client's answer to the close frame.
func (c *client) hangUp() {
	_ = c.raw.CloseWrite()
	_ = c.raw.SetReadDeadline(time.Now().Add(closeWait)) // a dead connection ends the reader by itself
}

// account counts a batch that was written.
func (b *Broadcaster) account(c *client, sent *batch) {
	n := int64(len(sent.data()))
	b.counts.bytes.Add(n)
	b.counts.dialects[c.dialect()].bytes.Add(n)
	b.counts.dialects[c.dialect()].messages.Add(int64(sent.messages))
	b.counts.readings.Add(int64(sent.readings))
	b.counts.alerts.Add(int64(sent.alerts))
	if sent.final != nil {
		b.counts.closed(sent.final.code)
	}
	if sent.messages == 0 {
		return
	}
	now := b.model.Now()
	b.meterMu.Lock()
	defer b.meterMu.Unlock()
	b.messages.Add(now, sent.messages)
	if sent.readings == 0 {
		return
	}
	b.pushed.Add(now, sent.readings-len(sent.received))
	for _, at := range sent.received {
		b.pushed.AddAge(now, now-at)
	}
}
