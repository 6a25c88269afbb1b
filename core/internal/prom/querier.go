package prom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"

	"industrial-iot-monitor/core/internal/archive"
)

// metricPrefix is before the name of a sensor in the name of its metric: names of sensors are legal, but
// some are words of PromQL, such as on.
const metricPrefix = "sensor_"

// Names of labels.
const (
	labelDevice = "device"
	labelFloor  = "floor"
)

// labelsOf returns the labels of an entry. A label that the device does not have is left out.
func labelsOf(e *archive.Entry) labels.Labels {
	pairs := make([]string, 0, 14)
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, name, value)
		}
	}
	add(model.MetricNameLabel, metricPrefix+e.Sensor)
	add("building", e.Building)
	add(labelDevice, e.Device)
	if e.Building != "" {
		add(labelFloor, strconv.Itoa(e.Floor))
	}
	add("room", e.Room)
	add("model", e.Model)
	add("unit", e.Unit)
	return labels.FromStrings(pairs...)
}

// found is an entry with its labels.
type found struct {
	archive.Entry

	labels labels.Labels
}

// find returns the entries with values between two times that match all matchers.
func (a *API) find(ctx context.Context, from, to int64, matchers []*labels.Matcher) ([]found, error) {
	sensor, device, possible := narrow(matchers)
	if !possible {
		return nil, nil
	}
	entries, err := a.o.Source.Entries(ctx, sensor, device)
	if err != nil {
		return nil, sourceError{err}
	}
	var out []found
	for i := range entries {
		e := &entries[i]
		if e.To < from || e.From > to {
			continue
		}
		ls := labelsOf(e)
		if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) }) {
			continue
		}
		if len(out) == a.o.MaxSeries {
			return nil, fmt.Errorf("%w: {%s} matches more than %d; add matchers such as building=\"…\" or device=\"…\"", errManySeries, text(matchers), a.o.MaxSeries)
		}
		out = append(out, found{*e, ls})
	}
	return out, nil
}

var errManySeries = errors.New("too many series")

func text(matchers []*labels.Matcher) string {
	parts := make([]string, len(matchers))
	for i, m := range matchers {
		parts[i] = m.String()
	}
	return strings.Join(parts, ",")
}

// narrow returns the sensor and the device that matchers name, "" if they do not, and whether anything can
// match.
func narrow(matchers []*labels.Matcher) (sensor, device string, possible bool) {
	for _, m := range matchers {
		if m.Type != labels.MatchEqual {
			continue
		}
		switch m.Name {
		case model.MetricNameLabel:
			name, ok := strings.CutPrefix(m.Value, metricPrefix)
			if !ok || name == "" {
				return "", "", false
			}
			sensor = name
		case labelDevice:
			if m.Value == "" {
				return "", "", false
			}
			device = m.Value
		}
	}
	return sensor, device, true
}

// sourceError is a failure of the Source, not of the query.
type sourceError struct{ err error }

func (e sourceError) Error() string { return e.err.Error() }
func (e sourceError) Unwrap() error { return e.err }

// Querier implements storage.Queryable.
func (a *API) Querier(from, to int64) (storage.Querier, error) { return &querier{a, from, to}, nil }

// querier reads a range of time.
type querier struct {
	api      *API
	from, to int64 // ms, inclusive
}

// Select implements storage.Querier. The values are read when the engine asks for them, day by day.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	from, to := q.from, q.to
	if hints != nil {
		from, to = max(from, hints.Start), min(to, hints.End)
	}
	entries, err := q.api.find(ctx, from, to, matchers)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	if sorted {
		slices.SortFunc(entries, func(x, y found) int { return labels.Compare(x.labels, y.labels) })
	}
	return &set{ctx: ctx, source: q.api.o.Source, entries: entries, from: from, to: to, at: -1}
}

// LabelValues implements storage.Querier.
func (q *querier) LabelValues(ctx context.Context, name string, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	entries, err := q.api.find(ctx, q.from, q.to, matchers)
	return distinct(entries, func(l labels.Labels, add func(string)) { add(l.Get(name)) }), nil, err
}

// LabelNames implements storage.Querier.
func (q *querier) LabelNames(ctx context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	entries, err := q.api.find(ctx, q.from, q.to, matchers)
	return distinct(entries, func(l labels.Labels, add func(string)) {
		l.Range(func(x labels.Label) { add(x.Name) })
	}), nil, err
}

// Close implements storage.Querier.
func (q *querier) Close() error { return nil }

// distinct returns each text once, in order, without "".
func distinct(entries []found, each func(l labels.Labels, add func(string))) []string {
	seen := make(map[string]struct{})
	for i := range entries {
		each(entries[i].labels, func(s string) { seen[s] = struct{}{} })
	}
	delete(seen, "")
	out := make([]string, 0, len(seen))
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// set is a storage.SeriesSet.
type set struct {
	ctx      context.Context //nolint:containedctx // the interface hands it over once, for all that is read
	source   Source
	entries  []found
	from, to int64
	at       int
}

func (s *set) Next() bool {
	s.at++
	return s.at < len(s.entries)
}

func (s *set) At() storage.Series                { return &series{s, &s.entries[s.at]} }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

// series is a storage.Series.
type series struct {
	set   *set
	entry *found
}

func (s *series) Labels() labels.Labels { return s.entry.labels }

func (s *series) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return &cursor{ctx: s.set.ctx, source: s.set.source, entry: &s.entry.Entry, next: s.set.from, to: s.set.to, at: -1}
}
