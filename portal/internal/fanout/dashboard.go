package fanout

import (
	"encoding/json"
	"net/netip"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/screens"
)

// dashboardClient is a client as seen by its session.
type dashboardClient struct{ c *client }

// Wake implements dashboard.Client.
func (v dashboardClient) Wake(urgent bool) {
	if urgent {
		poke(v.c.urgent)
		return
	}
	poke(v.c.wake)
}

// TooSlow implements dashboard.Client.
func (v dashboardClient) TooSlow(why string) { v.c.close(CloseSlow, why) }

// Present implements dashboard.Client.
func (v dashboardClient) Present(name string) {
	if v.c.present != nil {
		v.c.present(name)
	}
}

// Screen implements dashboard.Client. Reports that come too often do not count.
func (v dashboardClient) Screen(report []byte) {
	c, b := v.c, v.c.broadcaster
	now := b.model.Now()
	if b.screens == nil || now-c.screened.Load() < screens.MinGapMS {
		return
	}
	if r, ok := screens.Parse(report); ok {
		c.screened.Store(now)
		b.screens.Take(c, r, now)
	}
}

// Command implements dashboard.Client.
func (v dashboardClient) Command(raw json.RawMessage, answer func(any)) error {
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
		defer c.recoverPanic()
		answer(c.commands(raw))
	})
	return nil
}

// openSession gives a client of the dashboard's dialect its session.
func (c *client) openSession(who dashboard.Caller) {
	if c.broadcaster.publisher == nil || c.ws.Subprotocol() != dashboard.Subprotocol {
		return
	}
	c.session = c.broadcaster.publisher.Open(dashboardClient{c}, dashboard.ClientLimits{
		MessageBytes: c.broadcaster.limits.MessageBytes, MessagesPerSecond: c.broadcaster.limits.RatePerSecond,
	}, who)
}

// handleDashboard executes a message in the dashboard's dialect.
func (c *client) handleDashboard(data []byte) {
	cost, ok := c.session.Handle(data)
	c.allowance -= cost
	if ok {
		c.broadcaster.counts.accepted.Add(1)
		return
	}
	c.broadcaster.counts.rejected.Add(1)
}

// gatherDashboard adds frames of the client's session to b and reports whether there is more. end
// is the close frame that is due after it, nil when none is.
func (c *client) gatherDashboard(b *batch, end *closing) (more bool) {
	v := dashboard.Batch{Buf: b.buf, Received: b.received}
	more = c.session.Gather(&v, batchBytes)
	b.buf, b.shared, b.received = v.Buf, v.Shared, v.Received
	b.messages += v.Messages
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

// roomFrom reports whether one more connection from an address may be open. It is called with
// b.mu held.
func (b *Broadcaster) roomFrom(a netip.Addr) bool {
	return b.limits.PerAddress < 0 || !a.IsValid() || b.from[a] < b.limits.PerAddress
}

// count keeps how many connections there are of a client's address and dialect. It is
// called with b.mu held.
func (b *Broadcaster) count(c *client, by int) {
	b.counts.dialects[c.dialect()].open.Add(int64(by))
	if !c.from.IsValid() {
		return
	}
	if b.from[c.from] += by; b.from[c.from] <= 0 {
		delete(b.from, c.from)
	}
}
