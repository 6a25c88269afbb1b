package fanout

import (
	"slices"

	"industrial-iot-monitor/portal/internal/state"
)

// codeNotRecoverable tells a client that came back that not everything since its `since`
// is held any more.
const codeNotRecoverable = "not_recoverable"

// replay is a device whose readings a client missed. Where it is in them is a time, for
// what was read already is not there a second time.
type replay struct {
	index int
	since int64 // ms; readings up to here were sent
}

// catchUp queues what a client missed of a device: the readings since then that are still
// held, then the newest one. It tells whether that is all of them. Called with the plant
// locked.
func (r *router) catchUp(c *client, id string, since int64) (complete bool) {
	d := r.broadcaster.model.Device(id)
	if d == nil {
		return r.broadcaster.recent.Complete(-1, since)
	}
	if d.HasReading() && d.Timestamp() > since {
		c.replays = append(c.replays, replay{d.Index, since})
	}
	return r.broadcaster.recent.Complete(d.Index, since)
}

// gatherReplays adds missed readings to b and tells whether there is room for more. It is
// called within a View, before the queue is looked at: what is queued is newer.
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

// keepReplays removes the missed readings of devices that f says no to.
func (c *client) keepReplays(f func(d *state.Device) bool) {
	c.replays = slices.DeleteFunc(c.replays, func(r replay) bool { return !f(c.broadcaster.model.DeviceAt(r.index)) })
}
