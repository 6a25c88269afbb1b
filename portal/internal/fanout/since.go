package fanout

import "industrial-iot-monitor/portal/internal/state"

// codeNotRecoverable is sent to a client that reconnects when some readings since its
// `since` are no longer kept.
const codeNotRecoverable = "not_recoverable"

// replay is a device whose readings a client missed. The position in them is a time, so that
// none is sent twice.
type replay struct {
	index int
	since int64 // ms; readings up to here were sent
}

// queueSnapshot queues the newest reading of a device; with since the kept readings after
// that time too. missed is set when some of those are no longer kept. d is nil when the
// device is unknown. It is called within View.
func (c *client) queueSnapshot(d *state.Device, since *int64) (missed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case d == nil:
		return since != nil && !c.broadcaster.recent.Complete(-1, *since)
	case since == nil:
		if d.HasReading() {
			c.queue.push(d.Index, true)
		}
		return false
	}
	if d.HasReading() && d.Timestamp() > *since {
		c.replays = append(c.replays, replay{d.Index, *since})
	}
	return !c.broadcaster.recent.Complete(d.Index, *since)
}

// gatherReplays adds missed readings to b and reports whether there is room for more. It
// comes before the queue, whose readings are newer.
func (c *client) gatherReplays(b *batch) bool {
	for len(c.replays) > 0 {
		r := &c.replays[0]
		d := c.broadcaster.model.DeviceAt(r.index)
		done := c.broadcaster.recent.Each(r.index, r.since, d.Timestamp(), func(ts int64, text []byte) bool {
			if len(b.buf) >= batchBytes {
				return false
			}
			b.buf = appendMessage(b.buf, dataHead, text)
			b.readings++
			r.since = ts
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
