package history

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// DetectPath is that of questions about what was unusual.
const DetectPath = "/history/v1/detect"

// DetectQuery asks what was unusual for a device, and which values were usual.
type DetectQuery struct {
	Device     string
	Parameters []string // names of sensors; nil: all that the device has. All of them are replayed in any case.
	From, To   int64    // plant time in ms, both inclusive
	Points     int      // bounds the points of each sensor, 2 to MaxPoints
}

// Check returns what is wrong with q.
func (q *DetectQuery) Check() error {
	o := Query{Devices: []string{q.Device}, Parameters: q.Parameters, From: q.From, To: q.To, Points: q.Points}
	return o.Check()
}

// Values returns q as parameters of a URL.
func (q *DetectQuery) Values() url.Values {
	o := Query{Parameters: q.Parameters, From: q.From, To: q.To, Points: q.Points}
	v := o.Values()
	v.Set(paramID, q.Device)
	return v
}

// ParseDetectQuery is the inverse of DetectQuery.Values. It does not Check.
func ParseDetectQuery(v url.Values) (DetectQuery, error) {
	q, err := ParseQuery(v)
	return DetectQuery{Device: v.Get(paramID), Parameters: q.Parameters, From: q.From, To: q.To, Points: q.Points}, err
}

// DetectAnswer is the answer to a DetectQuery. The detector of the answer has learned from the device's
// kept readings alone, as core's would have: it does not know the device's neighbours, so it finds no
// AnomalyPeers, nor what an operator said to be no anomaly.
type DetectAnswer struct {
	DeviceID string `json:"device_id"`
	From     int64  `json:"from"`
	To       int64  `json:"to"`
	// LearnedFrom is the time of the first reading that was learned from, in ms; 0: there are none.
	LearnedFrom int64 `json:"learned_from"`
	// Every is 1 if every reading was replayed, n if only each n-th was because there are too many.
	Every   int              `json:"every"`
	Sensors []DetectedSensor `json:"sensors"` // in the order of their names
}

// DetectedSensor is what was usual and unusual for one sensor. Its columns have a value for each time: Low,
// Expected and High of the last reading of a step, none while too little is known; Score and State the
// highest of the step.
type DetectedSensor struct {
	Parameter string   `json:"parameter"`
	Unit      string   `json:"unit,omitempty"`
	Learning  bool     `json:"learning"` // at the end there were still too few values for a verdict
	Time      []int64  `json:"time"`     // of the last reading of each step, in ms, ascending
	Low       Numbers  `json:"low"`
	Expected  Numbers  `json:"expected"`
	High      Numbers  `json:"high"`
	Score     Numbers  `json:"score"`
	State     Numbers  `json:"state"`
	Anomalies []Period `json:"anomalies"` // the newest MaxPeriods, oldest first
}

// MaxPeriods bounds the anomalies of a sensor in an answer.
const MaxPeriods = 200

// Period is an anomaly and how long it lasted.
type Period struct {
	telemetry.Anomaly

	Until int64 `json:"until"` // ms: of the first reading that was usual again, 0: it lasts to the end
}

var errDetectAnswer = errors.New("the columns of a sensor do not fit its times")

// Check returns an error unless the columns of a fit together.
func (a *DetectAnswer) Check() error {
	for i := range a.Sensors {
		s := &a.Sensors[i]
		for _, c := range []Numbers{s.Low, s.Expected, s.High, s.Score, s.State} {
			if len(c) != len(s.Time) {
				return errDetectAnswer
			}
		}
	}
	return nil
}

// Sensor returns the answer for a sensor, nil if there is none.
func (a *DetectAnswer) Sensor(name string) *DetectedSensor {
	i := slices.IndexFunc(a.Sensors, func(s DetectedSensor) bool { return s.Parameter == name })
	if i < 0 {
		return nil
	}
	return &a.Sensors[i]
}

// Detect asks what was unusual for a device. The error wraps ErrUnavailable unless the question was
// refused.
func (c *Client) Detect(ctx context.Context, q *DetectQuery) (*DetectAnswer, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	a := new(DetectAnswer)
	if err := c.ask(ctx, DetectPath, q.Values(), a); err != nil {
		return nil, err
	}
	if err := a.Check(); err != nil {
		return nil, errors.Join(ErrUnavailable, err)
	}
	return a, nil
}
