package historian

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// learnMS is how long before the range of a question learning begins: a day of every kind of the
	// week, and one more.
	learnMS = 8 * dayMS
	dayMS   = 86_400_000
	// A replay has at most mostReadings readings and mostValues values, which keeps it to some seconds at 1 µs
	// a value.
	mostReadings = 1_000_000
	mostValues   = 4 * mostReadings
	// unusual is from which score or state on an anomaly begins, and usualAgain below which it ends: one
	// that trembles is one.
	unusual    = 0.5
	usualAgain = 0.3
)

// source is where a replay has readings from.
type source interface {
	Series(ctx context.Context, q *history.Query) (*history.Answer, error)
	Export(ctx context.Context, q *history.ExportQuery, f func(device string, b *samples.Block) error) error
}

func (h *Historian) detect(w http.ResponseWriter, r *http.Request) error {
	q, err := history.ParseDetectQuery(r.URL.Query())
	if err = errors.Join(err, q.Check()); err != nil {
		return questionError{err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	a, err := replay(ctx, h.keeper, &q, mostReadings)
	if err != nil {
		return err
	}
	return reply(w, a)
}

// replay answers a question that was checked with a fresh detector that is shown the readings of the device
// in the order of their plant time, up to most of them.
func replay(ctx context.Context, from source, q *history.DetectQuery, most int64) (*history.DetectAnswer, error) {
	begin, every, err := plan(ctx, from, q, most)
	if err != nil {
		return nil, err
	}
	p := player{
		q: q, every: every, settings: detect.Defaults(), sensors: make(map[string]*track),
		answer: history.DetectAnswer{DeviceID: q.Device, From: q.From, To: q.To, Every: every, Sensors: []history.DetectedSensor{}},
	}
	p.step = history.StepFor(q.From, q.To, q.Points)
	err = from.Export(ctx, &history.ExportQuery{Format: history.NDJSON, Devices: []string{q.Device}, From: begin, To: q.To}, func(_ string, b *samples.Block) error {
		p.block(b)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return p.end(), nil
}

// plan returns when a replay begins, and of how many readings it has one: of a device with too many
// learning begins later, at least a day before the range, and if these are still too many some are left
// out.
func plan(ctx context.Context, from source, q *history.DetectQuery, most int64) (begin int64, every int, err error) {
	oldest := max(0, q.From-learnMS)
	answer, err := from.Series(ctx, &history.Query{Devices: []string{q.Device}, From: oldest, To: q.To, Step: dayMS})
	if err != nil {
		return 0, 0, err
	}
	s := &answer.Series[0]
	latest := max(0, q.From-dayMS)
	begin, total := oldest, int64(0)
	for i, day := range slices.Backward(s.Time) {
		n := weight(s, i)
		if total+n > most && day+dayMS <= latest {
			begin = day + dayMS
			break
		}
		total += n
	}
	return begin, int(max(1, (total+most-1)/most)), nil
}

// weight returns how many readings a step of a series has, or how many have as many values as its own.
func weight(s *history.Series, i int) int64 {
	readings, values := int64(0), int64(0)
	for _, c := range s.Values {
		readings = max(readings, c.N[i])
		values += c.N[i]
	}
	return max(readings, values/(mostValues/mostReadings))
}

// player shows the readings of one device to a detector.
type player struct {
	q        *history.DetectQuery
	every    int
	step     int64
	settings detect.Settings
	device   detect.Device
	sensors  map[string]*track
	answer   history.DetectAnswer

	read     int // readings
	names    []*track
	samples  []detect.Sample
	verdicts []detect.Verdict
}

// track is what is told of one sensor.
type track struct {
	history.DetectedSensor

	asked bool
	open  bool    // the newest of Anomalies lasts
	worst float64 // score or state at which it was described
}

func (p *player) block(b *samples.Block) {
	columns := make([]*samples.Column, 0, len(b.Columns))
	tracks := make([]*track, 0, len(b.Columns))
	for i := range b.Columns {
		if c := &b.Columns[i]; c.Kind == telemetry.Number {
			columns, tracks = append(columns, c), append(tracks, p.track(c))
		}
	}
	for i, at := range b.Times {
		p.read++
		if p.read%p.every != 0 {
			continue
		}
		p.samples, p.names = p.samples[:0], p.names[:0]
		for k, c := range columns {
			if v := c.Numbers[i]; !math.IsNaN(v) && !math.IsInf(v, 0) {
				p.samples, p.names = append(p.samples, detect.Sample{Sensor: c.Name, Value: v}), append(p.names, tracks[k])
			}
		}
		if len(p.samples) > 0 {
			p.reading(at)
		}
	}
}

func (p *player) track(c *samples.Column) *track {
	t := p.sensors[c.Name]
	if t == nil {
		t = &track{DetectedSensor: history.DetectedSensor{
			Parameter: c.Name, Learning: true, Time: []int64{}, Low: history.Numbers{}, Expected: history.Numbers{}, High: history.Numbers{},
			Score: history.Numbers{}, State: history.Numbers{}, Anomalies: []history.Period{},
		}, asked: p.q.Parameters == nil || slices.Contains(p.q.Parameters, c.Name)}
		p.sensors[c.Name] = t
	}
	t.Unit = c.Unit
	return t
}

// reading shows the samples of a reading to the detector.
func (p *player) reading(at int64) {
	if p.answer.LearnedFrom == 0 {
		p.answer.LearnedFrom = at
	}
	p.verdicts = p.device.Step(&p.settings, at, p.samples, p.verdicts[:0])
	for i := range p.verdicts {
		t, v := p.names[i], &p.verdicts[i]
		t.Learning = v.Learning
		if !t.asked {
			continue
		}
		t.anomaly(at, v, &p.device)
		if at >= p.q.From {
			t.point(at, p.step, v, &p.device)
		}
	}
}

// anomaly begins, describes or ends an anomaly.
func (t *track) anomaly(at int64, v *detect.Verdict, d *detect.Device) {
	now := max(v.Score, v.State)
	switch {
	case t.open && now < usualAgain:
		t.Anomalies[len(t.Anomalies)-1].Until = at
		t.open = false
	case !t.open && now >= unusual:
		if a, ok := d.Describe(t.Parameter); ok {
			if len(t.Anomalies) == 2*history.MaxPeriods { // a sensor that never rests
				t.Anomalies = slices.Delete(t.Anomalies, 0, history.MaxPeriods)
			}
			t.Anomalies = append(t.Anomalies, history.Period{Anomaly: a})
			t.open, t.worst = true, now
		}
	case t.open && (now > t.worst || now >= unusual && v.Kind != t.Anomalies[len(t.Anomalies)-1].Kind): // a spike that stays is a level
		if a, ok := d.Describe(t.Parameter); ok {
			last := &t.Anomalies[len(t.Anomalies)-1].Anomaly
			a.Since, a.Score = min(a.Since, last.Since), max(a.Score, last.Score)
			*last, t.worst = a, max(now, t.worst)
		}
	}
}

// point adds a verdict to its step.
func (t *track) point(at, step int64, v *detect.Verdict, d *detect.Device) {
	low, expected, high := math.NaN(), math.NaN(), math.NaN()
	if b, ok := d.Band(t.Parameter); ok {
		low, expected, high = b.Low, b.Expected, b.High
	}
	i := len(t.Time) - 1
	if i < 0 || t.Time[i]/step != at/step {
		t.Time = append(t.Time, at)
		t.Low, t.Expected, t.High = append(t.Low, low), append(t.Expected, expected), append(t.High, high)
		t.Score, t.State = append(t.Score, v.Score), append(t.State, v.State)
		return
	}
	t.Time[i], t.Low[i], t.Expected[i], t.High[i] = at, low, expected, high
	t.Score[i], t.State[i] = max(t.Score[i], v.Score), max(t.State[i], v.State)
}

// end returns the answer: of the anomalies those that lasted into the range.
func (p *player) end() *history.DetectAnswer {
	for _, t := range p.sensors {
		if !t.asked {
			continue
		}
		t.Anomalies = slices.DeleteFunc(t.Anomalies, func(a history.Period) bool { return a.Until != 0 && a.Until < p.q.From })
		t.Anomalies = t.Anomalies[max(0, len(t.Anomalies)-history.MaxPeriods):]
		p.answer.Sensors = append(p.answer.Sensors, t.DetectedSensor)
	}
	slices.SortFunc(p.answer.Sensors, func(a, b history.DetectedSensor) int { return strings.Compare(a.Parameter, b.Parameter) })
	return &p.answer
}
