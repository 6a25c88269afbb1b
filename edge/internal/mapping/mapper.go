package mapping

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/mapping/sparkplug"
	"industrial-iot-monitor/internal/reload"
	"industrial-iot-monitor/internal/telemetry"
)

// Options of a Mapper. Log is required.
type Options struct {
	File       string // EDGE_MAPPINGS_FILE; empty: no mappings
	Building   string // of mappings that name none
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are not exported
}

// Mapper maps messages with the mappings in force. It is safe for concurrent use.
type Mapper struct {
	o       Options
	metrics *metrics
	current atomic.Pointer[Set]
	nodes   *sparkplug.Nodes
	pool    sync.Pool
	*reload.File

	mu      sync.Mutex
	changed chan struct{} // closed when other mappings are in force
}

// New reads the file for the first time, when an invalid one is an error. Run reloads it
// when it changes; an invalid one then changes nothing.
func New(o Options) (*Mapper, error) {
	if o.Log == nil {
		return nil, errors.New("mapping: Options.Log is required")
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	o.Log = o.Log.With("component", "mapping")
	m := &Mapper{o: o, nodes: sparkplug.New(), changed: make(chan struct{})}
	m.metrics = newMetrics(o.Registerer, m)
	m.current.Store(&Set{topics: newNode(), subjects: newNode()})
	var err error
	m.File, err = reload.Open(reload.Options{
		Path: o.File, Var: "EDGE_MAPPINGS_FILE", Name: "mappings", Use: m.use,
		Failed: m.metrics.failed.Inc, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// use puts the mappings in data in force.
func (m *Mapper) use(data []byte) error {
	set, err := Load(data, m.o.Building)
	if err != nil {
		return err
	}
	m.metrics.follow(m.current.Load(), set)
	m.current.Store(set)
	m.mu.Lock()
	close(m.changed)
	m.changed = make(chan struct{})
	m.mu.Unlock()
	m.metrics.loaded.Inc()
	return nil
}

// Subjects returns the NATS subjects of the mappings in force, and a channel that is closed
// when others are.
func (m *Mapper) Subjects() ([]string, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current.Load().Subjects(), m.changed
}

// Map maps a message that was published to topic. It returns nil if there is no mapping
// for it, else a result that is valid until Release. Readings and captures alias payload
// and topic, which must not change before that.
func (m *Mapper) Map(levels Levels, topic string, payload []byte, received time.Time) *Result {
	set := m.current.Load()
	if len(set.routes) == 0 {
		return nil
	}
	r, ok := m.pool.Get().(*Result)
	if !ok {
		r = &Result{mapper: m}
	}
	to := set.match(levels, topic, &r.scratch)
	if to == nil {
		r.Release()
		return nil
	}
	r.reset(set, to, received)
	switch {
	case to.mapping.format == Ignore:
	case len(payload) > MaxBytes:
		r.refuse(telemetry.ReasonTooLarge, "", "%d bytes; want at most %d", len(payload), MaxBytes)
	case to.mapping.format == Sparkplug:
		r.sparkplug(r.levels, payload)
	case to.mapping.format == Value:
		r.bare(payload)
	default:
		r.json(payload)
	}
	r.done()
	m.metrics.count(r)
	return r
}

// Release gives the memory of r back. r and its readings must not be used any more.
func (r *Result) Release() {
	if cap(r.buf) <= maxKept && cap(r.payload.Metrics) <= maxKeptMetrics {
		r.mapper.pool.Put(r)
	}
}

// Memory of a result that is not kept for the next message.
const (
	maxKept        = 256 << 10
	maxKeptMetrics = 1000
)
