package prom

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// version is that of the Prometheus whose engine this is, for clients that look for features.
const version = "3.16.0"

// routes registers the handlers. Paths, parameters and answers are those of
// https://prometheus.io/docs/prometheus/latest/querying/api/.
func (a *API) routes() {
	const api = Prefix + "/api/v1/"
	for path, f := range map[string]handler{"query": a.query, "query_range": a.queryRange, "series": a.series, "labels": a.labelNames} {
		h := a.answered(path, f)
		a.mux.HandleFunc("GET "+api+path, h)
		a.mux.HandleFunc("POST "+api+path, h)
	}
	a.mux.HandleFunc("GET "+api+"label/{name}/values", a.answered("values", a.labelValues))
	a.mux.HandleFunc("GET "+api+"metadata", a.answered("metadata", a.metadata))
	a.mux.HandleFunc("GET "+api+"status/buildinfo", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, &result{data: marshalled(map[string]string{"version": version, "goVersion": runtime.Version()})})
	})
	a.mux.HandleFunc(Prefix+"/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &failure{notFound, fmt.Sprintf("%s %s: the history answers query, query_range, series, labels, label/<name>/values, metadata and status/buildinfo below %s", r.Method, r.URL.Path, api)})
	})
}

// result is what a handler found: the JSON of its data, and what the engine remarks on it.
type result struct {
	data            []byte
	warnings, infos []string
}

type handler func(ctx context.Context, f *form) (*result, error)

// answered makes an HTTP handler of one that waits for its turn.
func (a *API) answered(path string, h handler) http.HandlerFunc {
	seconds := a.metrics.seconds.WithLabelValues(path)
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		out, err := a.answer(w, r, h)
		seconds.Observe(time.Since(start).Seconds())
		if err == nil {
			reply(w, out)
			return
		}
		f := classify(err)
		a.metrics.failed.WithLabelValues(string(f.kind)).Inc()
		if f.kind == internal {
			a.o.Log.Warn("a PromQL request about the history was not answered", "path", r.URL.Path, "err", err)
		}
		refuse(w, f)
	}
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, h handler) (*result, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, &failure{badData, "reading the form: " + err.Error()}
	}
	f := newForm(r)
	limit := f.duration("timeout", a.o.Timeout)
	if f.err != nil {
		return nil, f.err
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(limit, a.o.Timeout))
	defer cancel()
	done, err := a.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return h(ctx, f)
}

// turn waits until fewer than Concurrent requests are being answered. The caller calls done.
func (a *API) turn(ctx context.Context) (done func(), err error) {
	select {
	case a.queue <- struct{}{}:
	default:
		return nil, &failure{unavailable, fmt.Sprintf("%d queries are running or waiting; try again later", cap(a.queue))}
	}
	select {
	case a.turns <- struct{}{}:
		return func() { <-a.turns; <-a.queue }, nil
	case <-ctx.Done():
		<-a.queue
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, &failure{timedOut, fmt.Sprintf("the query waited too long for the %d that are running", cap(a.turns))}
		}
		return nil, ctx.Err()
	}
}

func (a *API) query(ctx context.Context, f *form) (*result, error) {
	at := f.time("time", time.Now())
	opts, limit := f.options()
	if f.err != nil {
		return nil, f.err
	}
	q, err := a.engine.NewInstantQuery(ctx, a, opts, f.query(), at)
	if err != nil {
		return nil, f.bad("query", err)
	}
	return run(ctx, q, limit)
}

func (a *API) queryRange(ctx context.Context, f *form) (*result, error) {
	start, end, step := f.time("start", time.Time{}), f.time("end", time.Time{}), f.duration("step", 0)
	opts, limit := f.options()
	switch {
	case f.err != nil:
		return nil, f.err
	case start.IsZero() || end.IsZero() || step <= 0:
		return nil, &failure{badData, "start, end, step: want two times and the time between two points, more than 0"}
	case end.Before(start):
		return nil, f.bad("end", errBefore)
	case end.Sub(start)/step > maxPoints:
		return nil, f.bad("step", fmt.Errorf("%w: want at most %d points a series", errPoints, maxPoints))
	}
	q, err := a.engine.NewRangeQuery(ctx, a, opts, f.query(), start, end, step)
	if err != nil {
		return nil, f.bad("query", err)
	}
	return run(ctx, q, limit)
}

var (
	errBefore = errors.New("it is before start")
	errAll    = errors.New("want at least one matcher that does not match the empty string")
	errPoints = errors.New("too small for the time between start and end")
)

// run executes a query.
func run(ctx context.Context, q promql.Query, limit int) (*result, error) {
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return nil, r.Err
	}
	out := new(result)
	out.warnings, out.infos = r.Warnings.AsStrings(q.String(), 10, 10)
	value, cut := shorten(r.Value, limit)
	if cut {
		out.warnings = append(out.warnings, errCut)
	}
	out.data = appendResult(nil, value)
	return out, nil
}

const errCut = "results truncated due to limit"

// shorten returns the first series of a value, and whether there are more. A limit of 0 means all.
func shorten[V any](v V, limit int) (V, bool) {
	switch x := any(v).(type) {
	case promql.Vector:
		if limit > 0 && len(x) > limit {
			v, _ = any(x[:limit]).(V)
			return v, true
		}
	case promql.Matrix:
		if limit > 0 && len(x) > limit {
			v, _ = any(x[:limit]).(V)
			return v, true
		}
	}
	return v, false
}

// matching returns the entries that match one of the selectors of a form, each once; without a selector
// all of them.
func (a *API) matching(ctx context.Context, f *form) ([]found, error) {
	from, to := f.span()
	if f.err != nil {
		return nil, f.err
	}
	selectors, err := a.parser.ParseMetricSelectors(f.values["match[]"])
	if err != nil {
		return nil, f.bad("match[]", err)
	}
	if len(selectors) == 0 {
		return a.find(ctx, from, to, nil)
	}
	var out []found
	seen := make(map[uint64]bool)
	for _, matchers := range selectors {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches("") }) {
			return nil, f.bad("match[]", errAll)
		}
		entries, err := a.find(ctx, from, to, matchers)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if hash := e.labels.Hash(); !seen[hash] {
				seen[hash] = true
				out = append(out, e)
			}
		}
	}
	return out, nil
}

func (a *API) series(ctx context.Context, f *form) (*result, error) {
	if len(f.values["match[]"]) == 0 {
		return nil, &failure{badData, `match[]: want at least one selector, such as sensor_temperature{building="A"}`}
	}
	entries, err := a.matching(ctx, f)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(x, y found) int { return labels.Compare(x.labels, y.labels) })
	list := make([]labels.Labels, len(entries))
	for i := range entries {
		list[i] = entries[i].labels
	}
	return limited(list, f)
}

func (a *API) labelNames(ctx context.Context, f *form) (*result, error) {
	entries, err := a.matching(ctx, f)
	if err != nil {
		return nil, err
	}
	return limited(distinct(entries, func(l labels.Labels, add func(string)) {
		l.Range(func(x labels.Label) { add(x.Name) })
	}), f)
}

func (a *API) labelValues(ctx context.Context, f *form) (*result, error) {
	entries, err := a.matching(ctx, f)
	if err != nil {
		return nil, err
	}
	return limited(distinct(entries, func(l labels.Labels, add func(string)) { add(l.Get(f.name)) }), f)
}

// about is what a client may know of a metric.
type about struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

func (a *API) metadata(ctx context.Context, f *form) (*result, error) {
	limit := f.number("limit", -1)
	if f.err != nil {
		return nil, f.err
	}
	entries, err := a.o.Source.Entries(ctx, "", "")
	if err != nil {
		return nil, sourceError{err}
	}
	out := make(map[string][]about)
	for i := range entries {
		name := metricPrefix + entries[i].Sensor
		only := f.text("metric")
		if len(out[name]) > 0 || limit >= 0 && len(out) >= limit || only != "" && only != name {
			continue
		}
		out[name] = []about{{Type: "gauge", Help: "Values of the sensor " + entries[i].Sensor + "; the label unit has their unit."}}
	}
	return &result{data: marshalled(out)}, nil
}
