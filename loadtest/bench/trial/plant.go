package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/freeport"
)

// allinone is the program, and the process, that contains all others.
const allinone = "allinone"

// retention of the embedded broker in bytes of a partition: the oracle reads everything.
const retention = 1 << 40

// busyPrefix starts the names of the busy jobs.
const busyPrefix = "busy-"

// plant is the programs of a trial with their Kafka: a process each, or all in one.
type plant struct {
	*cluster.Cluster

	dir        string
	one        bool
	apache     *cluster.Apache // nil without an Apache Kafka of its own
	kafkaPID   int             // of a Kafka that is no process of the cluster, 0 if unknown
	logDir     string          // with the segments of Kafka's log, "" if unknown
	nats, mqtt []string
	ws         string
}

// newPlant prepares the programs and starts Kafka where it is Apache's.
func newPlant(ctx context.Context, o *Options, load report.Load, w workshop, name string) (_ *plant, err error) {
	p := &plant{dir: filepath.Join(w.dir, name), one: load.One, logDir: filepath.Join(w.dir, name, "kafka")}
	if err := os.MkdirAll(p.dir, 0o750); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	co := cluster.Options{Dir: p.dir, Bin: w.bin, Env: o.env(), Gateways: load.Gateways, OwnHub: load.Kind == report.Drain, Retention: retention}
	switch {
	case len(o.Brokers) > 0:
		p.logDir, p.kafkaPID = "", cluster.ListenerPID(o.Brokers[0])
		co.Brokers, co.Suffix = o.Brokers, "-bench-"+filepath.Base(w.dir)+"-"+name
	case load.Kafka == report.Apache:
		if err := p.startApache(ctx); err != nil {
			return nil, err
		}
		co.Brokers = []string{p.apache.Addr()}
	}
	if load.One {
		err = p.addAllInOne(ctx, &co)
	} else if p.Cluster, err = cluster.New(ctx, co); err == nil {
		p.nats, p.mqtt, p.ws = p.NATS(), p.MQTT(), p.WebSocketURL()
	}
	if err != nil {
		return nil, err
	}
	return p, p.addBusy(load.Busy)
}

func (p *plant) startApache(ctx context.Context) (err error) {
	if err := cluster.ApachePossible(); err != nil {
		return err
	}
	if p.apache, err = cluster.NewApache(filepath.Join(p.dir, "apache")); err != nil {
		return err
	}
	p.logDir = p.apache.LogDir()
	return p.startKafka(ctx)
}

// startKafka starts Kafka with the data it had.
func (p *plant) startKafka(ctx context.Context) error {
	if p.apache == nil {
		return p.Start(ctx, cluster.Kafka)
	}
	if err := p.apache.Start(ctx); err != nil {
		return err
	}
	var err error
	p.kafkaPID, err = p.apache.PID()
	return err
}

func (p *plant) stopKafka() error {
	if p.apache == nil {
		return p.Stop(cluster.Kafka)
	}
	p.kafkaPID = 0
	return p.apache.Stop()
}

// Ports of everything in one process, to which its offset is added.
var plantPorts = []int{4222, 4223, 4224, 1883, 1884, 1885, 4230, 7422, 8080, 8081, 9092, 9106}

// addAllInOne defines the process that contains all programs.
func (p *plant) addAllInOne(ctx context.Context, co *cluster.Options) error {
	offset, err := freeOffset(ctx)
	if err != nil {
		return err
	}
	addr := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)) }
	env := map[string]string{"DEMO_DATA_DIR": p.dir, "DEMO_DEVICES": "0", "DEMO_PORT_OFFSET": strconv.Itoa(offset), "DEMO_KAFKA_RETENTION": strconv.Itoa(retention)}
	if p.apache != nil {
		env["KAFKA_BROKERS"] = p.apache.Addr()
	} else {
		co.Brokers, p.logDir = []string{addr(9092)}, filepath.Join(p.dir, "devkafka")
	}
	maps.Copy(env, co.Env)
	if p.Cluster, err = cluster.New(ctx, *co); err != nil {
		return err
	}
	p.Add(allinone, cluster.Program{Binary: allinone, HTTP: addr(8080), Env: env})
	p.nats, p.mqtt = []string{addr(4222), addr(4223), addr(4224)}, []string{addr(1883), addr(1884), addr(1885)}
	p.ws = "ws://" + addr(8081) + "/ws"
	return nil
}

// freeOffset returns an offset at which all ports of the plant are free.
func freeOffset(ctx context.Context) (int, error) {
	for offset := 12_000; offset < 22_000; offset += 97 {
		free := true
		for _, port := range plantPorts {
			ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)))
			if err != nil {
				free = false
				break
			}
			if err := ln.Close(); err != nil {
				return 0, err
			}
		}
		if free {
			return offset, nil
		}
	}
	return 0, errors.New("found no free ports for everything in one process")
}

// addBusy defines processes that use as much CPU as they get.
func (p *plant) addBusy(n int) error {
	for i := range n {
		name := busyPrefix + strconv.Itoa(i+1)
		p.Add(name, cluster.Program{Args: []string{"-c", "trap 'exit 0' TERM; while :; do :; done"}})
		if err := p.SetBinary(name, "/bin/sh"); err != nil {
			return err
		}
	}
	return nil
}

// start starts the programs and waits until they are ready; the busy jobs are last.
func (p *plant) start(ctx context.Context) error {
	var names []string
	for _, name := range p.Names() {
		if !p.one || name == allinone || strings.HasPrefix(name, busyPrefix) {
			names = append(names, name)
		}
	}
	if err := p.Start(ctx, names...); err != nil || !p.one {
		return err
	}
	return p.awaitAllInOne(ctx)
}

// awaitAllInOne waits until a reading can reach the browsers: /readyz is the portal's alone.
func (p *plant) awaitAllInOne(ctx context.Context) error {
	for {
		log, err := p.Logs(allinone)
		if err != nil || strings.Contains(log, "\nready after ") {
			return err
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for %s to be ready: %w", allinone, err)
		}
	}
}

// addSim defines the simulator.
func (p *plant) addSim(o *Options, load report.Load, more ...string) error {
	addr, err := freeport.Addresses(1)
	if err != nil {
		return err
	}
	p.Add(simName, cluster.Program{Binary: simName, HTTP: addr[0], Env: o.env(), Args: append([]string{
		"-http=" + addr[0],
		"-protocol=" + load.Protocol, "-nats=" + strings.Join(p.nats, ","), "-mqtt=" + strings.Join(p.mqtt, ","),
		fmt.Sprintf("-devices=%d", load.Devices()), fmt.Sprintf("-interval=%s", load.Interval), fmt.Sprintf("-batch=%d", load.Batch),
		"-ledger=" + p.ledger(), "-summary=" + p.summary(), "-progress=1s",
	}, more...)})
	return nil
}

func (p *plant) ledger() string  { return filepath.Join(p.dir, "ledger") }
func (p *plant) summary() string { return filepath.Join(p.dir, "summary.json") }

// stopPrograms stops what reads and writes Kafka. One process stays if its Kafka is inside.
func (p *plant) stopPrograms() error {
	if p.one {
		return nil
	}
	for _, name := range []string{cluster.Portal, cluster.Core, cluster.Bridge} {
		if err := p.Stop(name); err != nil {
			return err
		}
	}
	return nil
}

// close stops everything.
func (p *plant) close() error {
	var errs []error
	if p.Cluster != nil {
		errs = append(errs, p.Close())
	}
	if p.apache != nil && p.kafkaPID != 0 {
		errs = append(errs, p.stopKafka())
	}
	return errors.Join(errs...)
}

// remove stops everything and removes the data, unless it is to be kept.
func (p *plant) remove(keep bool) error {
	err := p.close()
	if !keep {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}

// scrape reads the metrics of all programs, those of the gateways added up. From the end of
// the chain to its start: readings that move on meanwhile are missed rather than counted twice.
func (p *plant) scrape(ctx context.Context) (core, bridge, edges, portal cluster.Metrics, err error) {
	if p.one {
		all, err := p.Metrics(ctx, allinone)
		return all, all, all, all, err
	}
	if core, err = p.Metrics(ctx, cluster.Core); err != nil {
		return core, bridge, edges, portal, err
	}
	if bridge, err = p.Metrics(ctx, cluster.Bridge); err != nil {
		return core, bridge, edges, portal, err
	}
	edges = cluster.Metrics{}
	for i := range p.Gateways() {
		m, err := p.Metrics(ctx, cluster.Gateway(i))
		if err != nil {
			return core, bridge, edges, portal, err
		}
		for series, v := range m {
			edges[series] += v
		}
	}
	portal, err = p.Metrics(ctx, cluster.Portal)
	return core, bridge, edges, portal, err
}
