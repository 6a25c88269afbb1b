package fanout

import (
	"slices"

	"industrial-iot-monitor/portal/internal/state"
)

// pending is what a client of the simple dialect has yet to receive. It is guarded by
// client.mu.
type pending struct {
	queue   queue
	replays []replay // sent before the queue
	alerts  []queuedAlert
	news    int      // alerts that are no snapshots: these are limited
	removed []string // ids of devices

	// sent is up to which reading, by number, the client has all that it wants, those in the
	// queue before mark are sent first; 0: not known.
	sent uint64
	mark mark

	// early holds devices whose reading was sent before the router distributed it, with
	// the reading's seq: looking up the newest reading may find one that is still in the
	// inbox. Without it the client would get that reading twice.
	early    map[int]uint64
	earlySeq uint64 // the largest of them
}

// queuedAlert is an alert in a client's queue, and whether it is part of a snapshot.
type queuedAlert struct {
	alert    *state.Alert
	snapshot bool
}

// queueReadings queues new readings of devices that the client subscribes to. The router is
// locked.
func (c *client) queueReadings(events []event) (conflated int) {
	if len(events) == 0 {
		return 0
	}
	excepting := len(c.sub.except) > 0
	c.mu.Lock()
	for i := range events {
		e := &events[i]
		if excepting && c.sub.excepts(e.device.ID) {
			continue
		}
		conflated += e.folded
		if len(c.early) > 0 && e.seq <= c.early[e.device.Index] {
			continue
		}
		if !c.queue.push(e.device.Index, false) {
			conflated++
		}
	}
	c.mu.Unlock()
	poke(c.wake)
	return conflated
}

// queueAlert queues an alert and reports whether there was room. Snapshots do not count
// against the limit.
func (c *client) queueAlert(a *state.Alert, snapshot bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !snapshot {
		if c.news >= c.broadcaster.limits.Alerts {
			return false
		}
		c.news++
	}
	c.alerts = append(c.alerts, queuedAlert{a, snapshot})
	poke(c.urgent)
	return true
}

// queueRemoved drops a removed device from the queues. The client is notified of it unless it
// wants nothing of the device.
func (c *client) queueRemoved(d *state.Device, wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.keep(func(index int) bool { return index != d.Index })
	c.replays = slices.DeleteFunc(c.replays, func(r replay) bool { return r.index == d.Index })
	c.mark.set = false
	delete(c.early, d.Index)
	if wanted && c.seqs {
		c.removed = append(c.removed, d.ID)
		poke(c.urgent)
	}
}

// dropAll frees the queues.
func (c *client) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = pending{}
}

// drop removes queue entries of devices that keep does not want. It is called within View.
func (c *client) drop(keep func(device string) bool) {
	id := func(index int) string { return c.broadcaster.model.DeviceAt(index).ID }
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.keep(func(index int) bool { return keep(id(index)) })
	c.replays = slices.DeleteFunc(c.replays, func(r replay) bool { return !keep(id(r.index)) })
	c.mark.set = false
	c.removed = slices.DeleteFunc(c.removed, func(id string) bool { return !keep(id) })
	c.alerts = slices.DeleteFunc(c.alerts, func(q queuedAlert) bool {
		if keep(q.alert.DeviceID) {
			return false
		}
		if !q.snapshot {
			c.news--
		}
		return true
	})
}

// gatherNews adds alerts, then missed readings, then new ones to b, as far as a batch goes.
// It reports whether more is queued, and whether that includes alerts.
func (c *client) gatherNews(b *batch) (more, moreAlerts bool) {
	c.broadcaster.model.View(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gatherAlerts(b)
		c.gatherRemoved(b)
		more = !c.gatherReplays(b) || !c.gatherReadings(b)
		moreAlerts = len(c.alerts) > 0
	})
	return more || moreAlerts, moreAlerts
}

func (c *client) gatherRemoved(b *batch) {
	for _, id := range c.removed {
		b.buf = append(b.buf, textFrame(removedMessage{typeRemoved, id})...)
	}
	c.removed = nil
}

func (c *client) gatherAlerts(b *batch) {
	for len(c.alerts) > 0 && len(b.buf) < batchBytes {
		q := c.alerts[0]
		b.buf = appendMessage(b.buf, alertHead, q.alert.Raw)
		b.alerts++
		b.messages++
		if !q.snapshot {
			c.news--
		}
		c.alerts[0] = queuedAlert{}
		c.alerts = c.alerts[1:]
	}
	if len(c.alerts) == 0 {
		c.alerts = nil
	}
}

// gatherReadings adds the newest readings of queued devices and reports whether these were
// all.
func (c *client) gatherReadings(b *batch) (done bool) {
	distributed := c.broadcaster.router.distributed.Load()
	if c.earlySeq <= distributed {
		c.early = nil
	}
	c.settle(distributed)
	for len(b.buf) < batchBytes {
		index, snapshot, ok := c.queue.pop()
		if !ok {
			return true
		}
		c.settle(distributed)
		d := c.broadcaster.model.DeviceAt(index)
		if !d.HasReading() {
			continue // it was removed
		}
		b.buf = c.appendNews(b.buf, d)
		b.readings++
		b.messages++
		if !snapshot && d.Live() {
			b.received = append(b.received, d.Received())
		}
		if seq := d.Seq(); seq > distributed {
			if c.early == nil {
				c.early = make(map[int]uint64)
			}
			c.early[index] = seq
			c.earlySeq = max(c.earlySeq, seq)
		}
	}
	return c.queue.length() == 0
}
