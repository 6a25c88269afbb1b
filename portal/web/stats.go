package web

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/portal/internal/fanout"
	"industrial-iot-monitor/portal/internal/lag"
	"industrial-iot-monitor/portal/internal/meter"
	"industrial-iot-monitor/portal/internal/share"
	"industrial-iot-monitor/portal/internal/state"
)

// stats are the totals at one time. Rates and latencies cover the last ten seconds.
type stats struct {
	Time     int64         `json:"time"`
	Version  string        `json:"version"`
	Socket   string        `json:"websocket_path"`
	Devices  presences     `json:"devices"`
	Alerts   alertCounts   `json:"alerts"`
	Readings readingCounts `json:"readings"`
	Pushed   pushCounts    `json:"pushed"`
	Latency  latencies     `json:"latency_ms"`
	Clients  clientCounts  `json:"clients"`
	Gateways gatewayCounts `json:"gateways"`
	Sources  sources       `json:"sources"`
	Process  processUsage  `json:"process"`
	Kafka    *lag.Lag      `json:"kafka"` // core's consumer lag; null while unknown
	Store    *storeState   `json:"store"` // the portal's database; null without one
	// Redis is what portals share; null without REDIS_URL.
	Redis     *share.Figures `json:"redis"`
	Operators operatorCounts `json:"operators"`
	// Buildings are sorted by name; means cover the last minute.
	Buildings []building `json:"buildings"`
}

type presences struct {
	Total   int `json:"total"`
	Online  int `json:"online"`
	Offline int `json:"offline"`
	Unknown int `json:"unknown"`
}

// alertCounts counts alarms. Those that are shelved, suppressed or out of service count as aside only.
type alertCounts struct {
	Active         int            `json:"active"`         // the condition holds
	Attention      int            `json:"attention"`      // open: active or unacknowledged
	Unacknowledged int            `json:"unacknowledged"` // of these
	Severity       map[string]int `json:"by_severity"`    // those that need attention
	Aside          int            `json:"aside"`
	Kept           int            `json:"kept"` // all that the API can list, including closed ones
}

type readingCounts struct {
	PerSecond float64 `json:"per_second"`
	Total     int64   `json:"total"`
	Backfill  int64   `json:"backfill"`
	Outdated  int64   `json:"outdated"`
}

// pushCounts count messages of any kind to WebSocket clients of both dialects.
type pushCounts struct {
	PerSecond float64 `json:"per_second"`
	Total     int64   `json:"total"`
	Conflated int64   `json:"conflated"`
	Alerts    int64   `json:"alerts"`
	Bytes     int64   `json:"bytes"`
}

// latencies start at the gateway's receipt of a reading; null if none arrived.
type latencies struct {
	ToPortal *quantiles `json:"to_portal"`
	ToSocket *quantiles `json:"to_socket"`
}

type quantiles struct {
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Count int64   `json:"count"`
}

type clientCounts struct {
	Open       int   `json:"open"`
	Limit      int   `json:"limit"`
	ClosedSlow int64 `json:"closed_slow"`
	Refused    int64 `json:"refused"`
}

type gatewayCounts struct {
	Total  int `json:"total"`
	Silent int `json:"silent"`
}

// processUsage is what the process uses that the portal runs in; Shared: the other programs of the plant run in
// it, too.
type processUsage struct {
	ops.Usage
	Shared bool `json:"shared"`
}

// sources reports which of the portal's sources are connected.
type sources struct {
	Hub   bool `json:"hub"`
	Kafka bool `json:"kafka"`
}

type building struct {
	Building string          `json:"building"`
	Devices  presences       `json:"devices"`
	Alerts   int             `json:"active_alerts"` // alarms that need attention
	Means    map[string]mean `json:"means"`         // by parameter
}

type mean struct {
	Mean  float64 `json:"mean"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Count int64   `json:"count"`
}

var severityNames = [...]string{"critical", "high", "medium", "low", "other"}

func (p *Portal) getStats(c *fiber.Ctx) error {
	return c.JSON(p.stats.get())
}

// statsFor is how long the figures are cached.
const statsFor = 500 * time.Millisecond

// statsCache lets many clients share one count of the devices.
type statsCache struct {
	p  *Portal
	mu sync.Mutex
	at time.Time
	v  stats
}

func newStatsCache(p *Portal) *statsCache { return &statsCache{p: p} }

func (s *statsCache) get() stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) >= statsFor {
		s.at, s.v = now, s.p.count()
	}
	return s.v
}

func (p *Portal) count() stats {
	s, h := p.model.Stats(), p.fanout.Stats()
	out := stats{
		Time: s.Time, Version: ops.Version, Socket: p.cfg.WebSocketPath, Devices: presences(s.Devices),
		Alerts: alertCounts{Severity: bySeverity(s.Calling), Unacknowledged: s.Unseen, Aside: s.Aside, Kept: s.Kept},
		Readings: readingCounts{
			PerSecond: s.Received.PerSecond, Total: s.Counts.Readings, Backfill: s.Counts.Backfilled, Outdated: s.Counts.Outdated,
		},
		Pushed:    pushed(h),
		Latency:   latencies{ToPortal: quantilesOf(s.Received), ToSocket: quantilesOf(h.Pushed)},
		Clients:   clientCounts{Open: h.Clients, Limit: h.Limit, ClosedSlow: h.ClosedSlow, Refused: h.Refused},
		Gateways:  gatewayCounts{Total: s.Gateways, Silent: s.Silent},
		Sources:   sources{Hub: p.feed.HubConnected(), Kafka: p.feed.KafkaHealthy()},
		Process:   processUsage{p.process.Usage(), p.together},
		Kafka:     p.lag.Last(),
		Store:     p.storeState(),
		Operators: p.countOperators(),
		Buildings: []building{},
	}
	if p.share != nil {
		out.Redis = new(p.share.Figures())
	}
	for i, n := range s.Active {
		out.Alerts.Active += n
		out.Alerts.Attention += s.Calling[i]
	}
	for _, b := range s.Buildings {
		out.Buildings = append(out.Buildings, buildingOf(b))
	}
	return out
}

func pushed(h fanout.Stats) pushCounts {
	return pushCounts{
		PerSecond: h.PerSecond, Total: h.Messages, Conflated: h.Conflated, Alerts: h.Alerts, Bytes: h.Bytes,
	}
}

func quantilesOf(r meter.Recent) *quantiles {
	if r.Aged == 0 {
		return nil
	}
	return &quantiles{Mean: r.Mean, P50: r.P50, P99: r.P99, Count: r.Aged}
}

func buildingOf(b state.Building) building {
	out := building{Building: b.Name, Devices: presences(b.Devices), Alerts: b.Calling, Means: make(map[string]mean)}
	for name, m := range b.Means {
		out.Means[name] = mean{Mean: m.Mean, Min: m.Min, Max: m.Max, Count: m.Count}
	}
	return out
}
