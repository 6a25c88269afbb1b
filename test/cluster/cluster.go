// Package cluster builds the real programs and runs them as processes on this machine, for
// end-to-end tests and load tests: gateways, bridge, core, portal, simulators and a Kafka.
// Each has its own ports, data directory and log file, can be stopped, killed and restarted,
// and its CPU and memory are read from /proc. Not for production. Start and Stop block until
// the process is ready or gone.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"industrial-iot-monitor/internal/topology"
)

// Names of the processes.
const (
	Kafka  = "kafka" // only with an embedded broker
	Hub    = "hub"   // only with OwnHub
	Bridge = "bridge"
	Core   = "core"
	Portal = "portal"
)

// Numbered returns the name of the i-th process of a kind, from 0: bridge, bridge-2, ….
func Numbered(kind string, i int) string {
	if i == 0 {
		return kind
	}
	return kind + "-" + strconv.Itoa(i+1)
}

// Gateway returns the name of the i-th gateway's process, which is also its gateway id.
func Gateway(i int) string { return "gw-" + string(rune('a'+i)) }

// Options of a cluster. Dir is required.
type Options struct {
	Dir       string   // for data and logs
	Bin       string   // directory with the programs; empty means to build them into Dir/bin
	Brokers   []string // a running Kafka; empty means an embedded broker as a process
	Nodes     int      // of the embedded broker, 0 means 1
	Retention int64    // of the embedded broker, bytes of a partition; 0 means its default
	Suffix    string   // of topics, group and transactional ids, so that clusters can share a Kafka
	Gateways  int      // 0 means 3
	Bridges   int      // 0 means 1; several need OwnHub
	Cores     int      // 0 means 1
	OwnHub    bool     // the hub is a separate process, not embedded in the bridge
	// Line, when set, receives the hub's address for gateways and returns the address that
	// the i-th gateway dials instead.
	Line func(gateway int, hub string) (string, error)
	// BridgeBrokers, when set, receives the brokers' addresses and returns those that the
	// bridges use instead.
	BridgeBrokers func(brokers []string) ([]string, error)
	// Env is added to the environment of every program.
	Env map[string]string
	// EnvOf, when set, returns what is added to that of one: bridge, core, portal or edge.
	EnvOf func(program string) map[string]string
}

// Cluster is a set of processes. Make it with New and Close it.
type Cluster struct {
	dir, bin string
	brokers  []string
	Topics   topology.Topics
	gateways []endpoints
	portal   string
	history  string
	wsPort   string
	hub      string // for clients
	control  string // of the embedded broker, "" without one

	mu        sync.Mutex
	processes map[string]*process
	order     []string
}

// endpoints of a gateway.
type endpoints struct{ nats, mqtt, http string }

// New builds the programs unless Options.Bin is set, and chooses the ports. It starts none.
func New(ctx context.Context, o Options) (*Cluster, error) {
	if o.Dir == "" {
		return nil, errors.New("cluster: Dir is missing")
	}
	c := &Cluster{dir: o.Dir, bin: o.Bin, brokers: o.Brokers, Topics: topology.Suffixed(o.Suffix), processes: map[string]*process{}}
	if c.bin == "" {
		c.bin = filepath.Join(o.Dir, "bin")
		if err := Build(ctx, c.bin); err != nil {
			return nil, err
		}
	}
	if o.Gateways == 0 {
		o.Gateways = 3
	}
	o.Bridges, o.Cores = max(o.Bridges, 1), max(o.Cores, 1)
	if o.Bridges > 1 && !o.OwnHub {
		return nil, errors.New("cluster: several bridges need OwnHub")
	}
	return c, c.define(o)
}

// Brokers returns the bootstrap servers of the cluster's Kafka.
func (c *Cluster) Brokers() []string { return c.brokers }

// Gateways returns how many gateways there are.
func (c *Cluster) Gateways() int { return len(c.gateways) }

// NATS returns the device addresses of all gateways.
func (c *Cluster) NATS() []string {
	var out []string
	for _, g := range c.gateways {
		out = append(out, g.nats)
	}
	return out
}

// MQTT returns the MQTT addresses of all gateways.
func (c *Cluster) MQTT() []string {
	var out []string
	for _, g := range c.gateways {
		out = append(out, g.mqtt)
	}
	return out
}

// HubURL returns where clients of the hub connect.
func (c *Cluster) HubURL() string { return "nats://" + c.hub }

// KafkaControl returns the base URL of the embedded broker's fault injection, "" without an
// embedded broker.
func (c *Cluster) KafkaControl() string {
	if c.control == "" {
		return ""
	}
	return "http://" + c.control
}

// PortalURL returns the portal's base URL.
func (c *Cluster) PortalURL() string { return "http://" + c.portal }

// HistoryURL returns the historian's base URL.
func (c *Cluster) HistoryURL() string { return "http://" + c.history }

// WebSocketURL returns the WebSocket on WEBSOCKET_PORT.
func (c *Cluster) WebSocketURL() string { return "ws://127.0.0.1:" + c.wsPort + "/ws" }

// Names returns the processes in the order of their definition.
func (c *Cluster) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// Add defines one more process, for example a simulator.
func (c *Cluster) Add(name string, prog Program) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes[name] = &process{
		name: name, prog: prog, bin: filepath.Join(c.bin, prog.Binary), dir: c.dir,
		logFile: filepath.Join(c.dir, name+".log"),
	}
	c.order = append(c.order, name)
}

func (c *Cluster) process(name string) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pr, ok := c.processes[name]; ok {
		return pr, nil
	}
	return nil, fmt.Errorf("cluster: unknown process %q", name)
}

// StartAll starts every defined process that does not run, and waits until all are ready.
func (c *Cluster) StartAll(ctx context.Context) error { return c.Start(ctx, c.Names()...) }

// Start starts processes without waiting in between, except for a broker, and then waits
// until all of them are ready.
func (c *Cluster) Start(ctx context.Context, names ...string) error {
	var started []*process
	for _, name := range names {
		pr, err := c.process(name)
		if err != nil {
			return err
		}
		if pr.running() {
			continue
		}
		if err := pr.start(); err != nil {
			return err
		}
		started = append(started, pr)
		if name == Kafka {
			if err := pr.awaitReady(ctx); err != nil {
				return err
			}
		}
	}
	for _, pr := range started {
		if err := pr.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop sends SIGTERM to a process and waits until it is gone. An exit code other than 0 and a
// stop longer than StopTime are errors.
func (c *Cluster) Stop(name string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	return pr.stop()
}

// StopTime is how long a program may take to stop: the promised 5 s, doubled for a busy
// machine.
const StopTime = 10 * time.Second

// Kill ends a process at once (SIGKILL) and waits until it is gone.
func (c *Cluster) Kill(name string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	return pr.signalAndWait(os.Kill, StopTime)
}

// Signal sends a signal to a running process.
func (c *Cluster) Signal(name string, s os.Signal) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	return pr.signal(s)
}

// Suspend stops a process until SIGCONT and returns when none of its system calls is in progress
// any more.
func (c *Cluster) Suspend(name string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	if err := pr.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	cmd, _ := pr.state()
	if err := awaitSuspended(cmd.Process.Pid); err != nil {
		return fmt.Errorf("suspending %s: %w", name, err)
	}
	return nil
}

// Wait waits until a process exits by itself; an exit code other than 0 is an error.
func (c *Cluster) Wait(ctx context.Context, name string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	return pr.wait(ctx)
}

// Running reports whether a process runs.
func (c *Cluster) Running(name string) bool {
	pr, err := c.process(name)
	return err == nil && pr.running()
}

// Close stops the running processes in reverse order and kills those that do not stop.
func (c *Cluster) Close() error {
	names := c.Names()
	slices.Reverse(names)
	var errs []error
	for _, name := range names {
		if c.Running(name) {
			errs = append(errs, c.Stop(name))
		}
	}
	return errors.Join(errs...)
}

// Logs returns the output of a process over all its starts.
func (c *Cluster) Logs(name string) (string, error) {
	pr, err := c.process(name)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(pr.logFile)
	return string(b), err
}
