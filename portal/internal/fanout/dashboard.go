package fanout

import (
	"encoding/json"
	"net/netip"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/state"
)

// watchers are told one after the other.
type watchers [2]state.Watcher

// Added implements plant.Watcher.
func (w watchers) Added(d *state.Device) {
	for _, v := range w {
		v.Added(d)
	}
}

// Readings implements plant.Watcher.
func (w watchers) Readings(updated []*state.Device) {
	for _, v := range w {
		v.Readings(updated)
	}
}

// Alert implements plant.Watcher.
func (w watchers) Alert(a *state.Alert) {
	for _, v := range w {
		v.Alert(a)
	}
}

// carrier is a client as its session on the board knows it.
type carrier struct{ c *client }

// Wake implements board.Client.
func (v carrier) Wake(urgent bool) {
	if urgent {
		v.c.poke(v.c.urgent)
		return
	}
	v.c.poke(v.c.wake)
}

// TooSlow implements board.Client.
func (v carrier) TooSlow(why string) { v.c.close(CloseSlow, why) }

// Command implements board.Client.
func (v carrier) Command(raw json.RawMessage, answer func(any)) error {
	c := v.c
	if c.commands == nil {
		return &dashboard.RequestError{Code: codeBadRequest, Message: "commands are not taken here"}
	}
	select {
	case c.working <- struct{}{}:
	default:
		return &dashboard.RequestError{Code: codeRateLimited, Message: "too many commands are under way; send this one again later"}
	}
	c.workers.Go(func() {
		defer func() { <-c.working }()
		defer c.survive()
		answer(c.commands(raw))
	})
	return nil
}

// openSession gives a client of the dashboard's dialect its session.
func (c *client) openSession() {
	if c.hub.board == nil || c.ws.Subprotocol() != dashboard.Subprotocol {
		return
	}
	c.session = c.hub.board.Open(carrier{c}, dashboard.ClientLimits{
		MessageBytes: c.hub.limits.MessageBytes, MessagesPerSecond: c.hub.limits.RatePerSecond,
	})
}

// handleBoard does what a message in the dashboard's dialect asks for.
func (c *client) handleBoard(data []byte) {
	cost, ok := c.session.Handle(data)
	c.allowance -= cost
	if ok {
		c.hub.counts.accepted.Add(1)
		return
	}
	c.hub.counts.rejected.Add(1)
}

// gatherBoard adds what the client's session has to b and tells whether there is more. end
// is the close frame that is due after it, nil when none is.
func (c *client) gatherBoard(b *batch, end *closing) (more bool) {
	v := dashboard.Batch{Buf: b.buf, Received: b.received}
	more = c.session.Gather(&v, batchBytes)
	b.buf, b.shared, b.received = v.Buf, v.Shared, v.Received
	b.readings, b.alerts = v.Readings, v.Alerts
	switch {
	case end == nil:
		return more
	case more || b.shared != nil: // the close frame does not go with a shared one
		return true
	}
	b.finish(end)
	return false
}

// roomFrom tells whether one more connection from an address may be open. It is called with
// h.mu held.
func (h *Hub) roomFrom(a netip.Addr) bool {
	return h.limits.PerAddress == 0 || !a.IsValid() || h.from[a] < h.limits.PerAddress
}

// count keeps how many connections there are of a client's address and dialect. It is
// called with h.mu held.
func (h *Hub) count(c *client, by int) {
	h.counts.dialects[c.dialect()].open.Add(int64(by))
	if !c.from.IsValid() {
		return
	}
	if h.from[c.from] += by; h.from[c.from] <= 0 {
		delete(h.from, c.from)
	}
}
