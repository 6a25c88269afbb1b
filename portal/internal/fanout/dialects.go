package fanout

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// dialect is a WebSocket dialect.
type dialect uint8

const (
	simpleDialect dialect = iota
	dashboardDialect
	dialects // how many there are
)

var dialectNames = [dialects]string{"simple", "dashboard"}

func (c *client) dialect() dialect {
	if c.session != nil {
		return dashboardDialect
	}
	return simpleDialect
}

// reason is why a connection ended.
type reason uint8

const (
	endedByClient reason = iota // with a close frame
	endedGone                   // without a close frame
	endedShutdown
	endedSlow
	endedPongTimeout
	endedTooBig
	endedSignedOut
	reasons
)

var reasonNames = [reasons]string{"client", "gone", "shutdown", "slow", "no_pong", "too_big", "signed_out"}

// dialectCounters are the totals of one dialect.
type dialectCounters struct {
	open, bytes, messages atomic.Int64
	ends                  [reasons]atomic.Int64
}

// ended counts the end of a client's connection.
func (n *counters) ended(c *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	why := endedByClient
	if c.closing == nil {
		why = endedGone
	} else {
		switch c.closing.code {
		case closeGoneSilent:
			why = endedGone
		case CloseShutdown:
			why = endedShutdown
		case CloseSlow:
			why = endedSlow
		case CloseNoPong:
			why = endedPongTimeout
		case closeTooBig:
			why = endedTooBig
		case CloseEnded:
			why = endedSignedOut
		}
	}
	n.dialects[c.dialect()].ends[why].Add(1)
}

// byDialect shows the figures of each dialect.
func (n *counters) byDialect() []prometheus.Collector {
	var cs []prometheus.Collector
	for i, name := range dialectNames {
		d := &n.dialects[i]
		labels := prometheus.Labels{"dialect": name}
		cs = append(cs,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "portal_dialect_connections", Help: "WebSocket connections that are open now, by dialect.", ConstLabels: labels,
			}, func() float64 { return float64(d.open.Load()) }),
			counter("portal_dialect_messages_total", "Messages written to WebSocket clients, by dialect; the sum is what the page shows as sent.", "dialect", name, &d.messages),
			counter("portal_dialect_sent_bytes_total", "Bytes written to WebSocket clients, by dialect.", "dialect", name, &d.bytes),
		)
		for k, reason := range reasonNames {
			v := &d.ends[k]
			cs = append(cs, prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "portal_dialect_ends_total", Help: "WebSocket connections that ended, by dialect and reason.",
				ConstLabels: prometheus.Labels{"dialect": name, "reason": reason},
			}, func() float64 { return float64(v.Load()) }))
		}
	}
	return cs
}
