package fanout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"industrial-iot-monitor/portal/internal/state"
)

// model is the part of state.Model that the fan-out reads. Device, DeviceAt, Devices and
// the alerts are read within View.
type model interface {
	View(f func())
	Device(id string) *state.Device
	DeviceAt(index int) *state.Device
	Devices() []*state.Device
	OpenAlerts(device string, f func(*state.Alert))
	AllOpenAlerts(f func(*state.Alert))
	Now() int64
	Release(indexes []int)
}

// router distributes changes of the model to the queues of the clients that subscribe. It is
// a state.Observer.
type router struct {
	model  model
	limits *Limits
	counts *counters
	inbox  inbox

	// subscriptions counts clients that subscribe to all and listed devices, each once per
	// client. With none, nothing enters the inbox.
	subscriptions atomic.Int64
	// distributed is the seq up to which readings are in the clients' queues.
	distributed atomic.Uint64

	// base makes numbers of readings positions that no other run of the portal gives out.
	base uint64

	mu    sync.Mutex
	all   []*client            // subscribed to every device
	lists map[string][]*client // subscribed to a device, by its id
	spare []event
}

// subscription is what one client subscribes to: all devices except some, or a list.
type subscription struct {
	all    bool
	except map[string]struct{} // with all
	ids    map[string]struct{} // without
}

func newRouter(m model, l *Limits, n *counters) *router {
	return &router{model: m, limits: l, counts: n, inbox: newInbox(), lists: make(map[string][]*client), base: newBase()}
}

// Added implements state.Observer.
func (r *router) Added(*state.Device) {}

// Removed implements state.Observer.
func (r *router) Removed(d *state.Device) { r.inbox.addRemoved(d) }

// Described implements state.Observer. The simple dialect has no names.
func (r *router) Described(*state.Device) {}

// Readings implements state.Observer.
func (r *router) Readings(updated []*state.Device) {
	r.inbox.addReadings(updated, r.subscriptions.Load() > 0)
}

// Alert implements state.Observer.
func (r *router) Alert(a *state.Alert) {
	if r.subscriptions.Load() > 0 {
		r.inbox.addAlert(a)
	}
}

// run distributes changes until ctx ends.
func (r *router) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.inbox.ready:
			r.distribute()
		}
	}
}

// distribute empties the inbox into the clients' queues.
func (r *router) distribute() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.distributeLocked()
}

func (r *router) distributeLocked() {
	in := r.inbox.drain(r.spare)
	events := in.events
	for _, a := range in.alerts {
		r.queueAlert(a)
	}
	conflated := 0
	for _, c := range r.all {
		conflated += c.queueReadings(events)
	}
	if len(r.lists) > 0 {
		for i := range events {
			for _, c := range r.lists[events[i].device.ID] {
				conflated += c.queueReadings(events[i : i+1])
			}
		}
	}
	r.counts.conflated.Add(int64(conflated))
	r.spare = events
	r.distributed.Store(in.seq)
	r.distributeRemoved(in.gone)
}

// distributeRemoved drops removed devices from the queues of the clients, notifies them, and
// frees the devices' indexes.
func (r *router) distributeRemoved(removed []*state.Device) {
	if len(removed) == 0 {
		return
	}
	indexes := make([]int, 0, len(removed))
	for _, d := range removed {
		indexes = append(indexes, d.Index)
		for _, c := range r.all {
			c.queueRemoved(d, !c.sub.excepts(d.ID))
		}
		for _, c := range r.lists[d.ID] {
			c.queueRemoved(d, true)
		}
	}
	r.model.Release(indexes)
}

// queueAlert queues an alert for every client that subscribes to its device. Clients whose
// queue is full are closed.
func (r *router) queueAlert(a *state.Alert) {
	var full []*client
	offer := func(c *client) {
		if !c.queueAlert(a, false) {
			full = append(full, c)
		}
	}
	for _, c := range r.all {
		if !c.sub.excepts(a.DeviceID) {
			offer(c)
		}
	}
	for _, c := range r.lists[a.DeviceID] {
		offer(c)
	}
	for _, c := range full {
		r.detach(c)
		c.close(CloseSlow, "too slow: alerts were not taken")
	}
}

// apply changes c's subscription and queues the snapshot that goes with it. missed is set
// when readings since a time are no longer kept.
//
// The model cannot change within View, so the snapshot and the changes distributed before
// and after it meet without gap. Alerts raised until then go to the clients first, or c
// would get them twice; readings may follow, because a device is queued once.
func (r *router) apply(c *client, req request) (missed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.distributeLocked()
	r.model.View(func() {
		for _, a := range r.inbox.drainAlerts() {
			r.queueAlert(a)
		}
		if c.detached {
			return
		}
		switch req.Type {
		case typeSubscribe:
			missed, err = r.subscribe(c, *req.DeviceIDs, r.resumeAt(req.Since))
		case typeSubscribeAll:
			missed = r.subscribeAll(c, r.resumeAt(req.Since))
		case typeUnsubscribe:
			err = r.unsubscribe(c, req.DeviceIDs)
		}
	})
	return missed, err
}

// subscribe adds devices to c's subscription and queues their newest readings and open
// alerts; with since also the kept readings that are newer than that.
func (r *router) subscribe(c *client, ids []string, since *resume) (missed bool, err error) {
	if c.sub.all {
		for _, id := range ids {
			if c.sub.excepts(id) {
				delete(c.sub.except, id)
				missed = r.snapshot(c, id, since) || missed
			}
		}
		return missed, nil
	}
	if err := r.roomFor(c, ids); err != nil {
		return false, err
	}
	if c.sub.ids == nil {
		c.sub.ids = make(map[string]struct{}, len(ids))
	}
	for _, id := range ids {
		if _, has := c.sub.ids[id]; has {
			continue
		}
		c.sub.ids[id] = struct{}{}
		r.subscriptions.Add(1)
		r.lists[id] = append(r.lists[id], c)
		missed = r.snapshot(c, id, since) || missed
	}
	return missed, nil
}

// roomFor returns a refusal when c cannot list ids too.
func (r *router) roomFor(c *client, ids []string) error {
	n := len(c.sub.ids)
	for _, id := range ids {
		if _, has := c.sub.ids[id]; !has {
			n++
		}
	}
	if limit := r.limits.Subscriptions; n > limit {
		return &refusal{codeTooMany, fmt.Sprintf("%d device ids would be subscribed, %d at most can be; nothing was changed; for all devices send subscribe_all", n, limit)}
	}
	return nil
}

// subscribeAll subscribes c to every device and queues snapshots of those that are new to it.
func (r *router) subscribeAll(c *client, since *resume) (missed bool) {
	if c.sub.all {
		for id := range c.sub.except {
			missed = r.snapshot(c, id, since) || missed
		}
		c.sub.except = nil
		return missed
	}
	had := maps.Clone(c.sub.ids)
	r.unlist(c)
	c.sub = subscription{all: true}
	r.all = append(r.all, c)
	r.subscriptions.Add(1)
	for _, d := range r.model.Devices() {
		if _, has := had[d.ID]; !has {
			missed = c.queueSnapshot(d, since) || missed
		}
	}
	r.model.AllOpenAlerts(func(a *state.Alert) {
		if _, has := had[a.DeviceID]; !has {
			c.queueAlert(a, true)
		}
	})
	poke(c.urgent)
	return missed
}

// snapshot queues the newest reading and the open alerts of a device.
func (r *router) snapshot(c *client, id string, since *resume) (missed bool) {
	missed = c.queueSnapshot(r.model.Device(id), since)
	r.model.OpenAlerts(id, func(a *state.Alert) { c.queueAlert(a, true) })
	poke(c.urgent)
	return missed
}

// unsubscribe removes devices from c's subscription, or everything when ids is nil, and
// drops the queue entries of these.
func (r *router) unsubscribe(c *client, ids *[]string) error {
	if ids == nil {
		r.unlist(c)
		c.dropAll()
		return nil
	}
	if c.sub.all {
		if n := len(c.sub.except) + len(*ids); n > r.limits.Subscriptions {
			return &refusal{codeTooMany, fmt.Sprintf("%d device ids would be excepted, %d at most can be; nothing was changed", n, r.limits.Subscriptions)}
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
	c.drop(c.sub.wants)
	return nil
}

// remove takes one device off c's list.
func (r *router) remove(c *client, id string) {
	if _, has := c.sub.ids[id]; !has {
		return
	}
	delete(c.sub.ids, id)
	r.subscriptions.Add(-1)
	list := r.lists[id]
	if i := slices.Index(list, c); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if r.lists[id] = list; len(list) == 0 {
		delete(r.lists, id)
	}
}

// unlist ends every subscription of c.
func (r *router) unlist(c *client) {
	for id := range c.sub.ids {
		r.remove(c, id)
	}
	if i := slices.Index(r.all, c); i >= 0 {
		r.all = slices.Delete(r.all, i, i+1)
		r.subscriptions.Add(-1)
	}
	c.sub = subscription{}
}

// detach ends every subscription of c for good and frees its queues.
func (r *router) detach(c *client) {
	r.unlist(c)
	c.detached = true
	c.dropAll()
}

// excepts reports whether the subscription leaves a device out.
func (s *subscription) excepts(id string) bool {
	_, has := s.except[id]
	return has
}

// wants reports whether the subscription covers a device.
func (s *subscription) wants(id string) bool {
	if s.all {
		return !s.excepts(id)
	}
	_, has := s.ids[id]
	return has
}
