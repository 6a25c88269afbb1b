package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// influx is InfluxDB 1.x, asked in InfluxQL.
type influx struct{ *conn }

func (x *influx) close() { x.http.CloseIdleConnections() }

func (x *influx) writer() *writer { return &writer{connTo(x.base), 0} }

var errMissing = errors.New("InfluxDB has no such database: create it first")

// check asks for the database.
func (x *influx) check(ctx context.Context) error {
	found, db := false, x.base.Query().Get("db")
	err := x.ask(ctx, `show databases`, func(r *rows) {
		for _, row := range r.Values {
			found = found || text(row[0]) == db
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("db=%s: %w", db, errMissing)
	}
	return err
}

// rows is a part of an answer.
type rows struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"` // times in ms first
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// whole returns a number without a fraction, such as a time; values of JSON are floats.
func whole(v any) int64 {
	f, _ := v.(float64)
	return int64(f)
}

// ask puts a question and calls f with its answer part by part.
func (x *influx) ask(ctx context.Context, query string, f func(*rows)) error {
	body, err := x.get(ctx, "/query", url.Values{"q": {query}, "epoch": {"ms"}, "chunked": {"true"}})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was read
	for dec := json.NewDecoder(body); ; {
		var answer struct {
			Error   string `json:"error"`
			Results []struct {
				Error  string `json:"error"`
				Series []rows `json:"series"`
			} `json:"results"`
		}
		err := dec.Decode(&answer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading an answer of InfluxDB: %w", bare(err))
		}
		problem := answer.Error
		for i := range answer.Results {
			problem = cmp.Or(problem, answer.Results[i].Error)
			for k := range answer.Results[i].Series {
				f(&answer.Results[i].Series[k])
			}
		}
		if problem != "" {
			return fmt.Errorf("%w: %s", errAnswer, problem)
		}
	}
}

func where(device string, from, to int64) string {
	return fmt.Sprintf(`from %s where %q = '%s' and time >= %dms and time <= %dms`, measurement, tagDevice, device, from, to)
}

// byTags groups by what makes a series of its own; a device that moved to another building has one.
const byTags = `"` + tagKind + `", "` + tagUnit + `", "` + tagText + `"`

func (x *influx) clocks(ctx context.Context, partition int32) (map[string]int64, error) {
	out := make(map[string]int64)
	err := x.ask(ctx, fmt.Sprintf(`select last(%q) from %s where %q = '%d' group by %q`, clockOffset, clocks, tagPartition, partition, tagDevice), func(r *rows) {
		for _, row := range r.Values {
			out[r.Tags[tagDevice]] = whole(row[1])
		}
	})
	return out, err
}

func (x *influx) begins(ctx context.Context, device string) (int64, error) {
	return x.first(ctx, fmt.Sprintf(`where %q = '%s'`, tagDevice, device))
}

func (x *influx) founded(ctx context.Context, building string) (int64, error) {
	at, err := x.first(ctx, inBuilding(building))
	return at / dayMS * dayMS, err
}

func inBuilding(name string) string {
	return fmt.Sprintf(`where %q = '%s'`, tagBuilding, strings.ReplaceAll(stored(name), `'`, `\'`))
}

func (x *influx) oldest(ctx context.Context) (int64, error) { return x.first(ctx, "") }

func (x *influx) first(ctx context.Context, where string) (at int64, err error) {
	err = x.ask(ctx, fmt.Sprintf(`select * from %s %s order by time limit 1`, measurement, where), func(r *rows) {
		for _, row := range r.Values {
			at = whole(row[0])
		}
	})
	return at, err
}

func (x *influx) count(ctx context.Context, device string, from, to int64) (n int64, err error) {
	err = x.ask(ctx, `select count(*) `+where(device, from, to)+` group by `+byTags, func(r *rows) {
		for _, row := range r.Values {
			for _, v := range row[1:] {
				n = max(n, whole(v))
			}
		}
	})
	return n, err
}

func (x *influx) readings(ctx context.Context, device string, from, to int64) ([]course, error) {
	byField := make(map[string]*course)
	var order []string
	err := x.ask(ctx, `select * `+where(device, from, to)+` group by `+byTags, func(r *rows) {
		for k, name := range r.Columns {
			if k == 0 || name == tagBuilding || name == tagDevice {
				continue
			}
			f := fieldOf(name, r.Tags)
			id := strings.Join([]string{name, r.Tags[tagKind], r.Tags[tagUnit], r.Tags[tagText]}, "\x00")
			c := byField[id]
			if c == nil {
				c = &course{field: f}
				if f.Kind == telemetry.Text {
					c.text = plain(r.Tags[tagText])
				}
				byField[id] = c
				order = append(order, id)
			}
			c.take(r.Values, k)
		}
	})
	out := make([]course, 0, len(order))
	for _, id := range order {
		if c := byField[id]; len(c.times) > 0 {
			out = append(out, *c)
		}
	}
	return out, err
}

// take appends the values of a column.
func (c *course) take(values [][]any, column int) {
	for _, row := range values {
		if v, ok := row[column].(float64); ok {
			c.times, c.values = append(c.times, whole(row[0])), append(c.values, v)
		}
	}
}

func (x *influx) steps(ctx context.Context, device string, from, to, step int64, add func(f samples.Field, at int64, t tally)) error {
	return x.tallies(ctx, where(device, from, to), step, "", add)
}

// means adds the devices up here: nested questions of InfluxQL with several fields took minutes for a few
// devices (1.6.7).
func (x *influx) means(ctx context.Context, building string, from, to, step int64, add func(f samples.Field, at int64, t tally)) error {
	condition := fmt.Sprintf(`from %s %s and time >= %dms and time <= %dms`, measurement, inBuilding(building), from, to)
	return x.tallies(ctx, condition, step, `, "`+tagDevice+`"`, func(f samples.Field, at int64, t tally) {
		add(f, at, tally{n: 1, sum: t.sum / float64(t.n), min: t.min, max: t.max})
	})
}

// tallies adds up values in steps, which begin at multiples of their width, for each series and more tags.
func (x *influx) tallies(ctx context.Context, condition string, step int64, tags string, add func(f samples.Field, at int64, t tally)) error {
	query := fmt.Sprintf(`select count(*), min(*), max(*), sum(*), last(*) %s group by time(%dms), %s fill(none)`, condition, step, byTags+tags)
	return x.ask(ctx, query, func(r *rows) {
		for _, row := range r.Values {
			byName := make(map[string]*tally)
			for k := 1; k < len(row); k++ {
				v, ok := row[k].(float64)
				function, name, _ := strings.Cut(r.Columns[k], "_")
				if !ok {
					continue
				}
				t := byName[name]
				if t == nil {
					t = new(tally)
					byName[name] = t
				}
				t.set(function+"_over_time", v)
			}
			for name, t := range byName {
				add(fieldOf(name, r.Tags), whole(row[0]), *t)
			}
		}
	})
}

func (x *influx) devices(ctx context.Context, _, _ int64) (list []string, err error) {
	err = x.ask(ctx, fmt.Sprintf(`show tag values from %s with key = %q`, measurement, tagDevice), func(r *rows) {
		for _, row := range r.Values {
			list = append(list, text(row[1]))
		}
	})
	return list, err
}
