package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/freeport"
	"industrial-iot-monitor/test/soak/trend"
)

// plants are the ways to run the chain: each defines the processes of a plant and returns the address
// of its WebSocket.
var plants = map[string]func(o options, c *cluster.Cluster) (socket string, err error){
	processes: defineProcesses,
	allInOne:  defineAllInOne,
}

// Names of the plants.
const (
	processes = "processes"
	allInOne  = "allinone" // also of its only process
)

const simulator = "sim"

// retention bounds a partition of the embedded broker in bytes: so few that the oldest
// records are deleted before the plant counts as warm.
const retention = 2 << 20

// plant is a running chain.
type plant struct {
	name    string
	cluster *cluster.Cluster
	viewers []*client
}

// start starts a plant and its clients. With an error it may return a plant to be closed.
func start(ctx context.Context, o options, name, bin string) (*plant, error) {
	dir := filepath.Join(o.Dir, name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	c, err := cluster.New(ctx, cluster.Options{
		Dir: dir, Bin: bin, Retention: retention, Env: map[string]string{"OPS_PPROF": "true"},
	})
	if err != nil {
		return nil, err
	}
	p := &plant{name: name, cluster: c}
	socket, err := plants[name](o, c)
	if err != nil {
		return p, err
	}
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := c.Start(ready, p.processes()...); err != nil {
		return p, err
	}
	for i := range o.Clients {
		var ids []string
		if i%2 == 1 {
			for k := range 100 {
				ids = append(ids, fleet.DeviceID(k*o.Devices/100))
			}
		}
		v, err := connect(ready, socket, ids)
		if err != nil {
			return p, err
		}
		p.viewers = append(p.viewers, v)
	}
	return p, nil
}

// processes returns the names of the plant's processes.
func (p *plant) processes() []string {
	if p.name == allInOne {
		return []string{allInOne}
	}
	return p.cluster.Names()
}

func defineProcesses(o options, c *cluster.Cluster) (string, error) {
	addr, err := freeport.Addresses(1)
	if err != nil {
		return "", err
	}
	c.Add(simulator, cluster.Program{
		Binary: "sim", HTTP: addr[0], Env: map[string]string{"OPS_PPROF": "true"},
		Args: []string{
			"-http=" + addr[0], "-nats=" + strings.Join(c.NATS(), ","), "-repeat=0.01", "-excursions=6",
			fmt.Sprintf("-devices=%d", o.Devices), fmt.Sprintf("-interval=%s", o.Interval),
		},
	})
	return c.WebSocketURL(), nil
}

func defineAllInOne(o options, c *cluster.Cluster) (string, error) {
	offset := 14_000 + rand.N(8_000) // the demo's ports stay below the system's ephemeral range
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)) }
	c.Add(allInOne, cluster.Program{Binary: allInOne, HTTP: at(8080), Env: map[string]string{
		"DEMO_DATA_DIR": "data", "DEMO_DEVICES": strconv.Itoa(o.Devices), "DEMO_INTERVAL": o.Interval.String(),
		"DEMO_PORT_OFFSET": strconv.Itoa(offset), "DEMO_KAFKA_RETENTION": strconv.Itoa(retention), "OPS_PPROF": "true",
	}})
	return "ws://" + at(8081) + "/ws", nil
}

// looks adds how to look at each process.
func (p *plant) looks(to map[string]trend.Look) {
	for _, name := range p.processes() {
		to[name] = func(ctx context.Context) (trend.Sample, error) {
			f, err := p.cluster.Footprint(name)
			s := trend.Sample{RSS: float64(f.RSS), Files: float64(f.Files)}
			if err != nil || name == cluster.Kafka { // which serves no metrics
				return s, err
			}
			m, err := p.cluster.Metrics(ctx, name)
			s.Goroutines = m["go_goroutines"]
			s.Heap = m["go_memstats_next_gc_bytes"] / (1 + m["go_gc_gogc_percent"]/100)
			s.Garbage = max(m["go_memstats_heap_alloc_bytes"]-s.Heap, 0) + m["go_memstats_heap_idle_bytes"] - m["go_memstats_heap_released_bytes"]
			return s, err
		}
	}
}

func (p *plant) close() error {
	var errs []error
	for _, v := range p.viewers {
		errs = append(errs, v.close())
	}
	return errors.Join(append(errs, p.cluster.Close())...)
}
