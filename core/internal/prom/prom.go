// Package prom answers PromQL from the history of readings: the engine of Prometheus over the archive, and
// the part of Prometheus' HTTP API that Grafana and other clients of it need (docs/adr/0029). It is not a
// database: it keeps nothing and reads what the Source has. Requests block while they are answered; their
// number, time and memory are bounded.
package prom

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"industrial-iot-monitor/core/internal/archive"
)

// Prefix is the part of a path before that of Prometheus' API, as in /prom/api/v1/query: what a client of
// Prometheus takes as the address of the server.
const Prefix = "/prom"

// Source has the values. archive.Archive is one.
type Source interface {
	// Entries returns the entries of a sensor, of a device, or of both; "" stands for all.
	Entries(ctx context.Context, sensor, device string) ([]archive.Entry, error)
	// Values returns the first values of an entry in a range, and where to go on.
	Values(ctx context.Context, e *archive.Entry, from, to int64) (times []int64, values []float64, next int64, err error)
}

// Options of an API. Source, Log and Registry are required; of the others 0 stands for the value here.
type Options struct {
	Source   Source
	Log      *slog.Logger
	Registry prometheus.Registerer

	Lookback   time.Duration // how long a value counts after its time: 15 minutes
	Timeout    time.Duration // of a request, waiting included: 30 s
	MaxSamples int           // that a query may hold in memory, 16 bytes each: 5 million
	MaxSeries  int           // that a selector may match: 20,000
	Concurrent int           // requests answered at the same time: 2
	Waiting    int           // requests that wait for it: 64
}

const (
	// A device that sends every ten minutes, the longest usual interval, has a value all the time.
	usualLookback   = 15 * time.Minute
	usualTimeout    = 30 * time.Second
	usualSamples    = 5_000_000
	usualSeries     = 20_000
	usualConcurrent = 2 // as many as cores: a query computes more than it waits
	usualWaiting    = 64
	// maxPoints is Prometheus' own bound.
	maxPoints = 11_000
	maxForm   = 1 << 20
)

// API answers requests below Prefix. It is safe for concurrent use.
type API struct {
	o       Options
	parser  parser.Parser
	engine  *promql.Engine
	mux     *http.ServeMux
	turns   chan struct{} // of requests being answered
	queue   chan struct{} // and of those with the ones that wait
	metrics *metrics
}

// New returns an API.
func New(o Options) *API {
	usual(&o.Lookback, usualLookback)
	usual(&o.Timeout, usualTimeout)
	usual(&o.MaxSamples, usualSamples)
	usual(&o.MaxSeries, usualSeries)
	usual(&o.Concurrent, usualConcurrent)
	usual(&o.Waiting, usualWaiting)
	p := parser.NewParser(parser.Options{})
	a := &API{
		o: o, parser: p, mux: http.NewServeMux(), metrics: newMetrics(o.Registry),
		turns: make(chan struct{}, o.Concurrent), queue: make(chan struct{}, o.Concurrent+o.Waiting),
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: o.Log, MaxSamples: o.MaxSamples, Timeout: o.Timeout, LookbackDelta: o.Lookback, Parser: p,
			EnableAtModifier: true, EnableNegativeOffset: true,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		}),
	}
	a.routes()
	return a
}

func usual[T comparable](v *T, usual T) {
	var none T
	if *v == none {
		*v = usual
	}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }
