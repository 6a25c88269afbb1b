package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// victoria is VictoriaMetrics, one node or a cluster.
type victoria struct{ to, from *conn }

func (v *victoria) close() {
	v.to.http.CloseIdleConnections()
	v.from.http.CloseIdleConnections()
}

var errDedup = errors.New("VictoriaMetrics keeps readings twice that are written twice: start it with -dedup.minScrapeInterval=1ms")

// check looks at the one flag that answers depend on. A cluster does not show it.
func (v *victoria) check(ctx context.Context) error {
	body, err := v.from.get(ctx, "/metrics", nil)
	if errors.Is(err, errAnswer) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was read
	flags, err := io.ReadAll(io.LimitReader(body, 8<<20))
	if err != nil {
		return bare(err)
	}
	if strings.Contains(string(flags), `flag{name="dedup.minScrapeInterval", value="0s"`) {
		return errDedup
	}
	return nil
}

// settles is how long VictoriaMetrics holds what it confirmed in memory only, by default 5 s
// (-inmemoryDataFlushInterval), and some more.
const settles = 10 * time.Second

func (v *victoria) writer() *writer { return &writer{connTo(v.to.base), settles} }

// allReadings selects the readings of all devices, and ofDevice those of one.
const allReadings = `{__name__=~"` + metricPrefix + `.+"}`

func ofDevice(device string) string { return readingsWith(tagDevice, device) }

// readingsWith selects the readings with a tag.
func readingsWith(tag, value string) string {
	return `{__name__=~"` + metricPrefix + `.+",` + tag + `=` + strconv.Quote(value) + `}`
}

// vector is a part of an answer of the query API.
type vector struct {
	Metric map[string]string    `json:"metric"`
	Value  [2]json.RawMessage   `json:"value"`
	Values [][2]json.RawMessage `json:"values"`
}

// number returns a value, which is a number or a number in quotes.
func number(text json.RawMessage) float64 {
	f, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

func seconds(ms int64) string { return fmt.Sprintf("%d.%03d", ms/1000, ms%1000) }

func (v *victoria) ask(ctx context.Context, path string, q url.Values, out any) error {
	q.Set("nocache", "1") // a late reading counts at once, and times stay as they are asked
	q.Set("latency_offset", "1ms")
	body, err := v.from.get(ctx, path, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was read
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("reading an answer of VictoriaMetrics: %w", err)
	}
	return nil
}

// vectors puts a question of MetricsQL.
func (v *victoria) vectors(ctx context.Context, path string, q url.Values) ([]vector, error) {
	var answer struct {
		Data struct {
			Result []vector `json:"result"`
		} `json:"data"`
	}
	err := v.ask(ctx, path, q, &answer)
	return answer.Data.Result, err
}

// ever is longer than any history.
const ever = "[100y]"

func (v *victoria) instant(ctx context.Context, query string) ([]vector, error) {
	// A device's clock may run ahead of this one.
	return v.vectors(ctx, "/api/v1/query", url.Values{"query": {query}, "time": {seconds(time.Now().UnixMilli() + dayMS)}})
}

func (v *victoria) clocks(ctx context.Context, partition int32) (map[string]int64, error) {
	list, err := v.instant(ctx, fmt.Sprintf(`last_over_time(%s{%s="%d"}%s)`, clocksMetrics, tagPartition, partition, ever))
	out := make(map[string]int64, len(list))
	for _, x := range list {
		out[x.Metric[tagDevice]] = int64(number(x.Value[1]))
	}
	return out, err
}

func (v *victoria) begins(ctx context.Context, device string) (int64, error) {
	list, err := v.instant(ctx, `min(tfirst_over_time(`+ofDevice(device)+ever+`))`)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return int64(math.Round(number(list[0].Value[1]) * 1000)), nil
}

func (v *victoria) count(ctx context.Context, device string, from, to int64) (n int64, err error) {
	list, err := v.window(ctx, `count_over_time(%s) keep_metric_names`, ofDevice(device), span{to, to, to - from + 1, to - from + 1})
	for _, x := range list {
		for _, point := range x.Values {
			n = max(n, int64(number(point[1])))
		}
	}
	return n, err
}

// span says when and over how long a question is put: at each step from first to last, over the width
// that ends there. All are in ms.
type span struct{ first, last, step, width int64 }

// window puts a question, such as count_over_time(%s), about the windows of a span.
func (v *victoria) window(ctx context.Context, question, selector string, s span) ([]vector, error) {
	return v.vectors(ctx, "/api/v1/query_range", url.Values{
		"query": {fmt.Sprintf(question, fmt.Sprintf(`%s[%dms]`, selector, s.width))},
		"start": {seconds(s.first)}, "end": {seconds(s.last)}, "step": {fmt.Sprintf("%dms", s.step)},
	})
}

// spans returns what covers a range with steps: one span for a part of a step at the start, one for
// whole steps, one for a part at the end. A window includes its end and not its start.
func spans(from, to, step int64) (out []span) {
	part := func(from, to int64) {
		if from <= to {
			out = append(out, span{to, to, step, to - from + 1})
		}
	}
	whole, end := (from+step-1)/step*step, (to+1)/step*step // [whole, end) are whole steps
	if whole >= end {
		cut := min(max(whole, from), to+1) // at most one border is inside
		part(from, cut-1)
		part(cut, to)
		return out
	}
	part(from, whole-1)
	out = append(out, span{whole + step - 1, end - 1, step, step})
	part(end, to)
	return out
}

const rollups = `aggr_over_time(("count_over_time","min_over_time","max_over_time","sum_over_time","last_over_time","tlast_over_time"), %s) keep_metric_names`

func (v *victoria) steps(ctx context.Context, device string, from, to, step int64, add func(f samples.Field, at int64, t tally)) error {
	for _, s := range spans(from, to, step) {
		list, err := v.window(ctx, rollups, ofDevice(device), s)
		if err != nil {
			return err
		}
		for _, one := range tallies(list) {
			for at, t := range one.steps {
				add(one.field, at, *t)
			}
		}
	}
	return nil
}

// summaries are what means asks of the devices of a building, in the order of means. The mean of means is
// exact only when it is asked as one: sums of means would be rounded twice.
var summaries = []string{
	`count(count_over_time(%s) keep_metric_names)`, `avg(avg_over_time(%s) keep_metric_names)`,
	`min(min_over_time(%s) keep_metric_names)`, `max(max_over_time(%s) keep_metric_names)`,
}

const byField = ` by (__name__, ` + tagUnit + `, ` + tagKind + `)`

func (v *victoria) means(ctx context.Context, building string, from, to, step int64, add func(f samples.Field, at int64, t tally)) error {
	selector := readingsWith(tagBuilding, stored(building))
	for _, s := range spans(from, to, step) {
		all := make(map[samples.Field]map[int64]*tally)
		for i, question := range summaries {
			list, err := v.window(ctx, question+byField, selector, s)
			if err != nil {
				return err
			}
			for k := range list {
				list[k].summarise(i, all)
			}
		}
		for f, steps := range all {
			for at, t := range steps {
				t.sum *= float64(t.n)
				add(f, at, *t)
			}
		}
	}
	return nil
}

// summarise adds one answer of summaries.
func (x *vector) summarise(summary int, to map[samples.Field]map[int64]*tally) {
	f := fieldOf(strings.TrimPrefix(x.Metric["__name__"], metricPrefix), x.Metric)
	steps := to[f]
	if steps == nil {
		steps = make(map[int64]*tally)
		to[f] = steps
	}
	for _, point := range x.Values {
		at := int64(math.Round(number(point[0]) * 1000))
		t := steps[at]
		if t == nil {
			t = new(tally)
			steps[at] = t
		}
		switch v := number(point[1]); summary {
		case 0:
			t.n = int64(v)
		case 1:
			t.sum = v
		case 2:
			t.min = v
		case 3:
			t.max = v
		}
	}
}

// tallied is one series of an answer of rollups.
type tallied struct {
	field samples.Field
	steps map[int64]*tally
}

// tallies joins the functions of rollups by series and step.
func tallies(list []vector) map[string]*tallied {
	out := make(map[string]*tallied)
	for i := range list {
		x := &list[i]
		f := fieldOf(strings.TrimPrefix(x.Metric["__name__"], metricPrefix), x.Metric)
		id := strings.Join([]string{f.Name, x.Metric[tagUnit], x.Metric[tagKind], x.Metric[tagBuilding], x.Metric[tagText]}, "\x00")
		one := out[id]
		if one == nil {
			one = &tallied{field: f, steps: make(map[int64]*tally)}
			out[id] = one
		}
		for _, point := range x.Values {
			at := int64(math.Round(number(point[0]) * 1000))
			t := one.steps[at]
			if t == nil {
				t = new(tally)
				one.steps[at] = t
			}
			t.set(x.Metric["rollup"], number(point[1]))
		}
	}
	return out
}

func (t *tally) set(function string, v float64) {
	switch function {
	case "count_over_time":
		t.n = int64(v)
	case "min_over_time":
		t.min = v
	case "max_over_time":
		t.max = v
	case "sum_over_time":
		t.sum = v
	case "last_over_time":
		t.last = v
	case "tlast_over_time":
		t.lastAt = int64(math.Round(v * 1000))
	}
}

func (v *victoria) readings(ctx context.Context, device string, from, to int64) ([]course, error) {
	body, err := v.from.get(ctx, "/api/v1/export", url.Values{"match[]": {ofDevice(device)}, "start": {seconds(from)}, "end": {seconds(to)}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was read
	var out []course
	for dec := json.NewDecoder(body); ; {
		var line struct {
			Metric map[string]string `json:"metric"`
			Values []float64         `json:"values"`
			Times  []int64           `json:"timestamps"`
		}
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading an export of VictoriaMetrics: %w", bare(err))
		}
		c := course{field: fieldOf(strings.TrimPrefix(line.Metric["__name__"], metricPrefix), line.Metric), times: line.Times, values: line.Values}
		if c.field.Kind == telemetry.Text {
			c.text = plain(line.Metric[tagText])
		}
		out = append(out, c)
	}
}

func (v *victoria) devices(ctx context.Context, from, to int64) ([]string, error) {
	var answer struct {
		Data []string `json:"data"`
	}
	err := v.ask(ctx, "/api/v1/label/"+tagDevice+"/values", url.Values{"match[]": {allReadings}, "start": {seconds(from)}, "end": {seconds(to)}}, &answer)
	return answer.Data, err
}

func (v *victoria) oldest(ctx context.Context) (int64, error) { return v.since(ctx, allReadings) }

func (v *victoria) founded(ctx context.Context, building string) (int64, error) {
	return v.since(ctx, readingsWith(tagBuilding, stored(building)))
}

// since halves the time until the first day with a series is found: the engine has an index by day.
func (v *victoria) since(ctx context.Context, selector string) (int64, error) {
	low, high := int64(0), time.Now().UnixMilli()/dayMS+1
	found, err := v.before(ctx, selector, high)
	if err != nil || !found {
		return 0, err
	}
	for low < high { // the first day is in [low, high]
		middle := (low + high) / 2
		found, err := v.before(ctx, selector, middle)
		if err != nil {
			return 0, err
		}
		if found {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low * dayMS, nil
}

// before reports whether there are series until the end of a day.
func (v *victoria) before(ctx context.Context, selector string, day int64) (bool, error) {
	var answer struct {
		Data []map[string]string `json:"data"`
	}
	err := v.ask(ctx, "/api/v1/series", url.Values{"match[]": {selector}, "start": {seconds(1000)}, "end": {seconds((day+1)*dayMS - 1)}, "limit": {"1"}}, &answer)
	return len(answer.Data) > 0, err
}
