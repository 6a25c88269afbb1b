package prom

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"

	"industrial-iot-monitor/internal/telemetry"
)

// form reads the parameters of a request. The first that is bad is its error.
type form struct {
	values url.Values
	name   string // of a label, in the path
	err    error
}

func newForm(r *http.Request) *form { return &form{values: r.Form, name: r.PathValue("name")} }

func (f *form) text(name string) string { return f.values.Get(name) }

func (f *form) query() string { return f.text("query") }

// bad notes and returns that a parameter is bad.
func (f *form) bad(name string, why error) error {
	if f.err == nil {
		f.err = &failure{badData, fmt.Sprintf("invalid parameter %q: %s", name, why)}
	}
	return f.err
}

// Prometheus' names for the ends of time, which clients send.
var ends = map[string]time.Time{
	time.Unix(math.MinInt64/1000+62135596801, 0).UTC().Format(time.RFC3339Nano):         time.UnixMilli(0),
	time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC().Format(time.RFC3339Nano): time.UnixMilli(telemetry.MaxTimestamp),
}

var (
	errTime     = errors.New("want seconds since 1970, or a time such as 2026-11-27T06:00:00+08:00")
	errDuration = errors.New("want seconds, or a duration such as 5m")
	errNumber   = errors.New("want a whole number, 0 or more")
	// lastTime is behind every reading; further away, milliseconds no longer fit.
	lastTime = time.UnixMilli(telemetry.MaxTimestamp)
)

// time reads a time, by default usual.
func (f *form) time(name string, usual time.Time) time.Time {
	s := f.text(name)
	if s == "" {
		return usual
	}
	if t, ok := ends[s]; ok {
		return t
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		seconds, e := strconv.ParseFloat(s, 64)
		if e != nil || math.IsNaN(seconds) || math.Abs(seconds) > float64(math.MaxInt64/1_000_000_000) {
			_ = f.bad(name, fmt.Errorf("%q: %w", s, errTime)) // noted
			return usual
		}
		t = time.UnixMilli(int64(math.Round(seconds * 1000)))
	}
	if t.Before(time.UnixMilli(0)) {
		return time.UnixMilli(0)
	}
	if t.After(lastTime) {
		return lastTime
	}
	return t
}

// span reads the range of a question about labels, by default all time.
func (f *form) span() (from, to int64) {
	return f.time("start", time.UnixMilli(0)).UnixMilli(), f.time("end", lastTime).UnixMilli()
}

// duration reads a duration of more than 0, by default usual.
func (f *form) duration(name string, usual time.Duration) time.Duration {
	s := f.text(name)
	if s == "" {
		return usual
	}
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if seconds > 0 && seconds < float64(math.MaxInt64/1_000_000_000) {
			return time.Duration(seconds * float64(time.Second))
		}
	} else if d, err := model.ParseDuration(s); err == nil && d > 0 {
		return time.Duration(d)
	}
	_ = f.bad(name, fmt.Errorf("%q: %w", s, errDuration)) // noted
	return usual
}

// number reads a whole number, by default usual.
func (f *form) number(name string, usual int) int {
	s := f.text(name)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		_ = f.bad(name, fmt.Errorf("%q: %w", s, errNumber)) // noted
		return usual
	}
	return n
}

// options reads what all queries have.
func (f *form) options() (opts promql.QueryOpts, limit int) {
	return promql.NewPrometheusQueryOpts(false, f.duration("lookback_delta", 0), nil), f.number("limit", 0)
}
