// Package vitals reports to the hub what a process is: its version, its use of the machine, how
// long the stages take that it runs, and its newest warnings. The figures are those of its own
// metrics. Run blocks until its context ends; a report that cannot be sent is dropped.
package vitals

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// Stage is a stage of the pipeline that a program runs.
type Stage struct {
	Name string // as in wire
	// Seconds is a histogram of durations, Readings a counter of what went through; without one
	// the rate is that of the durations. Series with another value of one of the Labels do not count.
	Seconds  string
	Readings string
	Labels   map[string]string
}

// Options set up a Reporter.
type Options struct {
	Program  string
	Instance string
	Gatherer prometheus.Gatherer
	Log      *slog.Logger // its newest warnings are reported
	Stages   []Stage
	// Facts returns what operators want to know when it changes; nil for none.
	Facts func() map[string]string
	// Lanes returns those that a bridge runs; nil for none.
	Lanes func() []wire.LaneVitals
	// Publish sends a report.
	Publish func(subject string, data []byte) error
	// Listen calls answer with the requests on a subject until the function that it returns is
	// called; the reply is nil for requests that are not meant. Without it the level of the log is
	// not changed from outside.
	Listen func(subject string, answer func(request []byte) (reply []byte)) (stop func(), err error)
}

// Listen returns Options.Listen on a connection.
func Listen(nc *nats.Conn) func(string, func([]byte) []byte) (func(), error) {
	return func(subject string, answer func([]byte) []byte) (func(), error) {
		sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
			if reply := answer(m.Data); reply != nil && m.Reply != "" {
				_ = m.Respond(reply) // it fails when the connection is closed
			}
		})
		if err != nil {
			return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		return func() { _ = sub.Unsubscribe() }, nil // so it does when the connection is closed
	}
}

// Reporter reports one program of a process.
type Reporter struct {
	o       Options
	process *ops.Process
	self    wire.Vitals // what never changes
	last    time.Time
	before  []reading // by stage
	warned  uint64
	level   *ops.Level    // nil: unknown
	soon    chan struct{} // a report is due now
}

// New returns a Reporter of this process. Its first report covers the time from now on.
func New(o Options) (*Reporter, error) {
	if o.Program == "" || o.Instance == "" || o.Gatherer == nil || o.Log == nil || o.Publish == nil {
		return nil, errors.New("vitals: Options.Program, Instance, Gatherer, Log and Publish are required")
	}
	now := time.Now()
	return &Reporter{
		o: o, process: ops.NewProcess(), last: now, before: make([]reading, len(o.Stages)),
		level: ops.LevelOf(o.Log), soon: make(chan struct{}, 1),
		self: wire.Vitals{
			Program: o.Program, Instance: o.Instance, Host: hostname(), PID: os.Getpid(), Version: ops.Version, Started: now.UnixMilli(),
		},
	}, nil
}

func hostname() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "unknown"
}

// Instance names a process that serves on addr for people: the machine, and the port that tells
// several on one apart; without an address the machine alone.
func Instance(addr string) string {
	if _, port, err := net.SplitHostPort(addr); err == nil {
		return net.JoinHostPort(hostname(), port)
	}
	return hostname()
}

// Run reports every wire.VitalsEvery, and when the level of the log is changed, until ctx ends.
func (r *Reporter) Run(ctx context.Context) error {
	if r.o.Listen != nil {
		stop, err := r.o.Listen(wire.LogLevelSubject(r.o.Program), r.AnswerLevel)
		if err != nil {
			return err
		}
		defer stop()
	}
	tick := time.NewTicker(wire.VitalsEvery * time.Millisecond)
	defer tick.Stop()
	for {
		if err := r.report(time.Now()); err != nil {
			r.o.Log.Debug("report not sent", "component", "vitals", "err", err)
		}
		select {
		case <-tick.C:
		case <-r.soon:
		case <-ctx.Done():
			return nil
		}
	}
}

// report sends the figures since the last report.
func (r *Reporter) report(now time.Time) error {
	v := r.self
	use := r.process.Usage()
	v.Time, v.CPUPercent, v.MemoryBytes, v.Goroutines = now.UnixMilli(), use.CPUPercent, use.MemoryBytes, use.Goroutines
	families, err := r.o.Gatherer.Gather()
	if err != nil {
		return fmt.Errorf("gathering metrics: %w", err)
	}
	took := now.Sub(r.last)
	for i, s := range r.o.Stages {
		next := read(families, s)
		v.Stages = append(v.Stages, next.since(r.before[i], s.Name, took))
		r.before[i] = next
	}
	r.last = now
	if r.o.Facts != nil {
		v.Facts = r.o.Facts()
	}
	if r.o.Lanes != nil {
		v.Lanes = r.o.Lanes()
		v.Lanes = v.Lanes[:min(len(v.Lanes), wire.MaxVitalsLanes)]
	}
	r.reportLevel(&v)
	v.Warnings = r.warnings()
	data, err := v.Encode()
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	return r.o.Publish(wire.VitalsSubject(v.Program), data)
}

// warnings returns those since the last report, the newest if there are too many.
func (r *Reporter) warnings() []wire.Warning {
	lines := ops.Warnings(r.o.Log, r.warned)
	if len(lines) == 0 {
		return nil
	}
	r.warned = lines[len(lines)-1].Number
	lines = lines[max(len(lines)-wire.MaxWarnings, 0):]
	out := make([]wire.Warning, len(lines))
	for i, w := range lines {
		out[i] = wire.Warning{
			Number: w.Number, Time: w.Time.UnixMilli(), Level: strings.ToLower(w.Level.String()), Message: cut(w.Message), Detail: cut(w.Detail),
		}
	}
	return out
}

// cut bounds a text; half a character at the cut is dropped.
func cut(s string) string {
	if len(s) <= wire.MaxWarningDetail {
		return strings.ToValidUTF8(s, "")
	}
	return strings.ToValidUTF8(s[:wire.MaxWarningDetail], "") + "…"
}
