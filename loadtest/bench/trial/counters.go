package trial

import (
	"context"
	"os"
	"time"

	"industrial-iot-monitor/test/cluster"
)

// clientsName is this process, which contains the WebSocket clients.
const clientsName = "WebSocket clients"

// counters are totals at one moment.
type counters struct {
	at                           time.Time
	accepted, inKafka, processed float64
	conflated                    float64
	usage                        map[string]cluster.Usage
}

// counters reads the programs' metrics and the usage of every process.
func (t *trial) counters(ctx context.Context) (counters, error) {
	c := counters{at: time.Now(), usage: map[string]cluster.Usage{}}
	// From the end of the chain to its start: readings that move on during the scrapes are
	// missed rather than counted twice.
	core, err := t.cluster.Metrics(ctx, cluster.Core)
	if err != nil {
		return c, err
	}
	c.processed = core.Sum("iot_messages_total", `status="success"`)
	bridge, err := t.cluster.Metrics(ctx, cluster.Bridge)
	if err != nil {
		return c, err
	}
	c.inKafka = bridge.Sum("bridge_records_total")
	for i := range t.cluster.Gateways() {
		edge, err := t.cluster.Metrics(ctx, cluster.Gateway(i))
		if err != nil {
			return c, err
		}
		c.accepted += edge.Sum("edge_readings_accepted_total")
	}
	portal, err := t.cluster.Metrics(ctx, cluster.Portal)
	if err != nil {
		return c, err
	}
	c.conflated = portal.Sum("portal_readings_conflated_total")
	return c, t.readUsage(c.usage)
}

// readUsage reads CPU and memory of every process.
func (t *trial) readUsage(to map[string]cluster.Usage) error {
	for _, name := range t.cluster.Names() {
		u, err := t.cluster.Usage(name)
		if err != nil {
			return err
		}
		to[name] = u
	}
	others := map[string]int{clientsName: os.Getpid(), cluster.Kafka: t.kafka}
	for name, pid := range others {
		if _, known := to[name]; known || pid == 0 {
			continue
		}
		u, err := cluster.ProcessUsage(pid)
		if err != nil {
			return err
		}
		to[name] = u
	}
	return nil
}

// fill turns the difference of two moments into rates.
func (r *Result) fill(before, after counters) {
	r.Window = after.at.Sub(before.at)
	s := r.Window.Seconds()
	r.Accepted = (after.accepted - before.accepted) / s
	r.InKafka = (after.inKafka - before.inKafka) / s
	r.Processed = (after.processed - before.processed) / s
	r.Conflated = (after.conflated - before.conflated) / s
	for name, u := range after.usage {
		r.CPU[name] = 100 * (u.CPU - before.usage[name].CPU).Seconds() / s
		r.MaxRSS[name] = u.MaxRSS
	}
}
