// Package rig is the machinery of the outage drill: it starts the real programs as
// processes, keeps a steady load on them, reads device-data back, and judges each fault by
// test/oracle. It contains no faults: the caller passes them to Run as values of type
// Fault. Run blocks until every fault was tried or its context ends, and leaves nothing
// running.
package rig

import (
	"context"
	"time"

	"industrial-iot-monitor/test/cluster"
)

// Fault is one thing that can go wrong, and the expected behaviour of the product. That
// nothing acknowledged is lost, duplicated or out of order is always expected.
type Fault struct {
	Name    string // short, lower case, with hyphens
	Breaks  string // what it breaks, in a few words
	Expects string // further expectations, in a few words
	Times   int    // how often, in the full drill
	Quick   int    // how often, in the quick one; 0: not at all
	Site    Site   // the cluster it needs
	// QuickSite replaces Site in the quick drill.
	QuickSite *Site

	// Possible returns why the fault cannot be tried on this machine, nil when it can.
	Possible func() error
	// Run breaks things while the load runs, r.Times times. It reports unmet expectations
	// with r.Check or r.Recovered and goes on; an error means that the fault could not be
	// tried as intended.
	Run func(ctx context.Context, r *Round) error
}

// Broker says which Kafka a fault needs.
type Broker int

// Brokers.
const (
	AnyBroker  Broker = iota
	RealBroker        // Apache Kafka, which the fault may stop and start
	DevBroker         // the embedded broker, which can be made to misbehave
)

// Site describes the cluster that a fault needs. Faults with equal sites share one in the
// quick drill, one after the other; in the full one each has its own.
type Site struct {
	Gateways int // 0 means 3
	Bridges  int // 0 means 1
	Cores    int // 0 means 1
	Broker   Broker
	OwnHub   bool // the hub is a process of its own
	Lines    bool // gateways reach the hub through lines that can be broken: Round.Lines
	Redis    bool // there is a Redis for the portal: Round.Redis
	Proxy    bool // bridges reach Kafka through a proxy that can break their requests: Round.Proxy
	// Strays is how many devices go astray, beside the load: Round.Strays. Their first readings are as
	// old as a day, so the fault must be the only one of its site.
	Strays int
	// Env is added to every program's environment, as in "A=1;B=2".
	Env  string
	Load Load
}

// Load is what the devices send: a mixed fleet by NATS, another by MQTT with QoS 1,
// concentrators that send batches, and meters with payloads of their own. Some devices have wrong clocks, and some messages are
// sent again although they were acknowledged.
type Load struct {
	// Rate in readings a second; 0 means DefaultRate.
	Rate int
	// Interval between two readings of one device; 0 means 200 ms.
	Interval time.Duration
	// Excursions is how many labelled faults start in a minute in the whole fleet.
	Excursions int
	// Backlog is how many unacknowledged readings a device keeps; 0 means 3000.
	Backlog int
	// Unrepeated true: no acknowledged message is sent again, as where a gateway gets an
	// empty disk and with it forgets what it has stored.
	Unrepeated bool
	// Timeout is how long a device waits for an acknowledgement; 0 means 2 s.
	Timeout time.Duration
}

// Rates of the load, readings a second.
const (
	DefaultRate  = 5_600 // a little above PromisedRate
	PromisedRate = 5_000
)

func (l *Load) defaults() {
	if l.Rate == 0 {
		l.Rate = DefaultRate
	}
	if l.Interval == 0 {
		l.Interval = 200 * time.Millisecond
	}
	if l.Backlog == 0 {
		l.Backlog = 3000
	}
	if l.Timeout == 0 {
		l.Timeout = 2 * time.Second
	}
}

func (s *Site) defaults() {
	if s.Gateways == 0 {
		s.Gateways = 3
	}
	s.Bridges, s.Cores = max(s.Bridges, 1), max(s.Cores, 1)
	s.Load.defaults()
}

// programs are the processes of a site except brokers and simulators.
func (s *Site) programs() []string {
	var names []string
	for i := range s.Gateways {
		names = append(names, cluster.Gateway(i))
	}
	for i := range s.Bridges {
		names = append(names, cluster.Numbered(cluster.Bridge, i))
	}
	for i := range s.Cores {
		names = append(names, cluster.Numbered(cluster.Core, i))
	}
	return append(names, cluster.Portal)
}
