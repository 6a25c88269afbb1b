package fanout

import (
	"fmt"
	"maps"
	"slices"

	"industrial-iot-monitor/portal/internal/state"
)

// router knows who wants what. It is the plant's watcher, and everything in it is
// guarded by the plant's lock.
type router struct {
	broadcaster *Broadcaster

	all     []*client            // those that want every device
	listed  int                  // how many devices are listed, each counted once for each client
	byIndex [][]*client          // those that list a device, by the device's number
	waiting map[string][]*client // those that list a device nobody has heard of yet
}

// subscription is what one client wants: all devices except some, or a list.
type subscription struct {
	all    bool
	except map[string]struct{} // with all
	ids    map[string]struct{} // without
}

func newRouter(h *Broadcaster) *router {
	return &router{broadcaster: h, waiting: make(map[string][]*client)}
}

// Added implements state.Observer.
func (r *router) Added(d *state.Device) {
	r.byIndex = append(r.byIndex, r.waiting[d.ID]) // devices are numbered from 0 without gaps
	delete(r.waiting, d.ID)
}

// Readings implements state.Observer.
func (r *router) Readings(updated []*state.Device) {
	if len(r.all) == 0 && r.listed == 0 {
		return
	}
	conflated := 0
	for _, c := range r.all {
		excepting := len(c.sub.except) > 0
		for _, d := range updated {
			if excepting && c.sub.excepts(d.ID) {
				continue
			}
			if !c.queue.push(d.Index, false) {
				conflated++
			}
		}
		c.poke(c.wake)
	}
	if r.listed > 0 {
		for _, d := range updated {
			for _, c := range r.byIndex[d.Index] {
				if !c.queue.push(d.Index, false) {
					conflated++
				}
				c.poke(c.wake)
			}
		}
	}
	r.broadcaster.counts.conflated.Add(int64(conflated))
}

// Alert implements state.Observer.
func (r *router) Alert(a *state.Alert) {
	if len(r.all) == 0 && r.listed == 0 {
		return
	}
	frame := appendMessage(nil, alertHead, a.Raw)
	var full []*client
	give := func(c *client) {
		if !c.queueAlert(frame) {
			full = append(full, c)
		}
	}
	for _, c := range r.all {
		if !c.sub.excepts(a.DeviceID) {
			give(c)
		}
	}
	for _, c := range r.listeners(a.DeviceID) {
		give(c)
	}
	for _, c := range full {
		r.detach(c)
		c.close(CloseSlow, "too slow: alerts were not taken")
	}
}

// listeners returns the clients that list a device.
func (r *router) listeners(id string) []*client {
	if d := r.broadcaster.model.Device(id); d != nil {
		return r.byIndex[d.Index]
	}
	return r.waiting[id]
}

// setListeners replaces them.
func (r *router) setListeners(id string, list []*client) {
	if d := r.broadcaster.model.Device(id); d != nil {
		r.byIndex[d.Index] = list
		return
	}
	if len(list) == 0 {
		delete(r.waiting, id)
		return
	}
	r.waiting[id] = list
}

// subscribe adds devices to what c wants and queues their newest readings and active
// alerts; with since also the readings before that are newer than it.
func (r *router) subscribe(c *client, ids []string, since *int64) error {
	if c.detached {
		return nil
	}
	if c.sub.all {
		for _, id := range ids {
			if c.sub.excepts(id) {
				delete(c.sub.except, id)
				r.snapshot(c, id, since)
			}
		}
		return nil
	}
	if err := r.roomFor(c, ids); err != nil {
		return err
	}
	if c.sub.ids == nil {
		c.sub.ids = make(map[string]struct{}, len(ids))
	}
	for _, id := range ids {
		if _, has := c.sub.ids[id]; has {
			continue
		}
		c.sub.ids[id] = struct{}{}
		r.listed++
		r.setListeners(id, append(r.listeners(id), c))
		r.snapshot(c, id, since)
	}
	return nil
}

// roomFor tells whether c may list ids too.
func (r *router) roomFor(c *client, ids []string) error {
	n := len(c.sub.ids)
	for _, id := range ids {
		if _, has := c.sub.ids[id]; !has {
			n++
		}
	}
	if limit := r.broadcaster.limits.Subscriptions; n > limit {
		return &refusal{codeTooMany, fmt.Sprintf("%d device ids would be subscribed, %d at most can be; nothing was changed; for all devices send subscribe_all", n, limit)}
	}
	return nil
}

// subscribeAll makes c want everything and queues what it does not have yet.
func (r *router) subscribeAll(c *client, since *int64) {
	switch {
	case c.detached:
		return
	case c.sub.all:
		for id := range c.sub.except {
			r.snapshot(c, id, since)
		}
		c.sub.except = nil
		return
	}
	had := maps.Clone(c.sub.ids)
	r.unlist(c)
	c.sub = subscription{all: true}
	r.all = append(r.all, c)
	for _, d := range r.broadcaster.model.Devices() {
		if _, has := had[d.ID]; !has {
			r.snapshotReading(c, d.ID, since)
		}
	}
	r.broadcaster.model.AllOpenAlerts(func(a *state.Alert) {
		if _, has := had[a.DeviceID]; !has {
			c.queueSnapshot(a)
		}
	})
	c.poke(c.urgent)
}

// snapshotReading queues the newest reading of a device, or what was missed since a time.
func (r *router) snapshotReading(c *client, id string, since *int64) {
	if since != nil {
		c.missed = !r.catchUp(c, id, *since) || c.missed
		return
	}
	if d := r.broadcaster.model.Device(id); d != nil && d.HasReading() {
		c.queue.push(d.Index, true)
	}
}

// snapshot queues what is known of a device now.
func (r *router) snapshot(c *client, id string, since *int64) {
	r.snapshotReading(c, id, since)
	r.broadcaster.model.OpenAlerts(id, c.queueSnapshot)
	c.poke(c.urgent)
}

// unsubscribe removes devices from what c wants; without a list, everything.
func (r *router) unsubscribe(c *client, ids *[]string) error {
	if c.detached {
		return nil
	}
	if ids == nil {
		r.unlist(c)
		c.queue.keep(func(int) bool { return false })
		c.replays = nil
		return nil
	}
	if c.sub.all {
		if n := len(c.sub.except) + len(*ids); n > r.broadcaster.limits.Subscriptions {
			return &refusal{codeTooMany, fmt.Sprintf("%d device ids would be excepted, %d at most can be; nothing was changed", n, r.broadcaster.limits.Subscriptions)}
		}
		if c.sub.except == nil {
			c.sub.except = make(map[string]struct{}, len(*ids))
		}
	}
	for _, id := range *ids {
		if c.sub.all {
			c.sub.except[id] = struct{}{}
			continue
		}
		r.remove(c, id)
	}
	c.queue.keep(func(index int) bool { return c.sub.wants(r.broadcaster.model.DeviceAt(index).ID) })
	c.keepReplays(func(d *state.Device) bool { return c.sub.wants(d.ID) })
	return nil
}

// remove takes one device off c's list.
func (r *router) remove(c *client, id string) {
	if _, has := c.sub.ids[id]; !has {
		return
	}
	delete(c.sub.ids, id)
	r.listed--
	list := r.listeners(id)
	if i := slices.Index(list, c); i >= 0 {
		r.setListeners(id, slices.Delete(list, i, i+1))
	}
}

// unlist ends every subscription of c.
func (r *router) unlist(c *client) {
	for id := range c.sub.ids {
		r.remove(c, id)
	}
	if i := slices.Index(r.all, c); i >= 0 {
		r.all = slices.Delete(r.all, i, i+1)
	}
	c.sub = subscription{}
}

// detach ends every subscription of c for good and frees what waits for it.
func (r *router) detach(c *client) {
	r.unlist(c)
	c.queue, c.replays, c.alerts, c.detached = queue{}, nil, nil, true
	if c.session != nil {
		c.session.Close()
	}
}

// excepts tells whether the subscription leaves a device out.
func (s *subscription) excepts(id string) bool {
	_, has := s.except[id]
	return has
}

// wants tells whether the subscription covers a device.
func (s *subscription) wants(id string) bool {
	if s.all {
		return !s.excepts(id)
	}
	_, has := s.ids[id]
	return has
}
