// Package history is the contract between the historian, which keeps readings for months, and
// those who ask it: its questions, its answers and its HTTP client. It is not for keeping
// anything. Only Client blocks, and Collect as long as what it calls.
package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// Bounds of a question.
const (
	MaxDevices = 50
	MaxPoints  = 5_000
)

// Query asks for the course of the sensors of devices.
type Query struct {
	Devices    []string // ids, up to MaxDevices with the buildings
	Buildings  []string // names; of each the mean of the newest values of all its devices, weighted by time
	Parameters []string // names of sensors; nil: all that the devices have
	From, To   int64    // plant time in ms, both inclusive
	// Points bounds the points of each series, 2 to MaxPoints. If there are not more readings
	// the answer has single readings, else steps.
	Points int
	// Step, if not 0, asks for steps of that width in ms, however many there are up to MaxPoints.
	Step int64
}

var (
	errDevices = fmt.Errorf("devices, buildings: want 1 to %d", MaxDevices)
	errRange   = errors.New("from, to: want ms since 1970, from before to")
	errPoints  = fmt.Errorf("points: want 2 to %d", MaxPoints)
	errStep    = fmt.Errorf("step: want a width in ms with at most %d steps between from and to", MaxPoints)
)

// Check returns what is wrong with q.
func (q *Query) Check() error {
	var errs []error
	if n := len(q.Devices) + len(q.Buildings); n == 0 || n > MaxDevices {
		errs = append(errs, errDevices)
	}
	for _, id := range q.Devices {
		if !telemetry.ValidDeviceID(id) {
			errs = append(errs, fmt.Errorf("devices: %q is not the id of a device", id))
		}
	}
	for _, name := range q.Buildings {
		if name == "" || len(name) > telemetry.MaxBuildingBytes {
			errs = append(errs, fmt.Errorf("buildings: %q is not the name of a building", name))
		}
	}
	for _, name := range q.Parameters {
		if !telemetry.ValidSensorName(name) {
			errs = append(errs, fmt.Errorf("parameters: %q is not the name of a sensor", name))
		}
	}
	switch {
	case q.From < 0 || q.From >= q.To || q.To >= telemetry.MaxTimestamp:
		errs = append(errs, errRange)
	case q.Step < 0 || q.Step > 0 && (q.To/q.Step-q.From/q.Step) >= MaxPoints:
		errs = append(errs, errStep)
	case q.Step == 0 && (q.Points < 2 || q.Points > MaxPoints):
		errs = append(errs, errPoints)
	}
	return errors.Join(errs...)
}

// steps are the widths of steps in ms: those that people read off a clock.
var steps = []int64{
	1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
	3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
}

// StepFor returns the width of the smallest steps, in ms, of which at most points, 2 or more, cover a
// range.
func StepFor(from, to int64, points int) int64 {
	fits := func(step int64) bool { return to/step-from/step < int64(points) }
	if i := slices.IndexFunc(steps, fits); i >= 0 {
		return steps[i]
	}
	step := 2 * steps[len(steps)-1]
	for !fits(step) {
		step += steps[len(steps)-1]
	}
	return step
}

// Series is the course of one device's sensors or of one building's means, which are kept by the
// minute: its steps are whole minutes.
type Series struct {
	DeviceID string `json:"device_id,omitempty"`
	Building string `json:"building,omitempty"`
	// StepMS is the width of the steps, 0 for single readings. Steps begin at multiples of it.
	StepMS int64 `json:"step_ms"`
	// IntervalMS is the usual time between two readings, 0 while unknown.
	IntervalMS int64 `json:"interval_ms"`
	// Begins is when the oldest reading of the device was taken that is kept, in ms, 0: there is
	// none.
	Begins int64 `json:"begins"`
	// Time has the start of each step or the time of each reading, in ms, ascending. Steps
	// without a reading are left out.
	Time   []int64           `json:"time"`
	Values map[string]Column `json:"values"`
}

// Column is one sensor at the times of its Series. Of single readings there is only Mean.
type Column struct {
	Unit string  `json:"unit,omitempty"`
	N    []int64 `json:"n,omitempty"` // readings of the step that have the sensor; of a building how many devices, on average
	Mean Numbers `json:"mean"`
	Min  Numbers `json:"min,omitempty"`
	Max  Numbers `json:"max,omitempty"`
	Last Numbers `json:"last,omitempty"` // of a building: none
}

// NewColumn returns an empty column of steps, with room for n.
func NewColumn(unit string, n int) Column {
	return Column{
		Unit: unit, N: make([]int64, 0, n), Mean: make(Numbers, 0, n), Min: make(Numbers, 0, n),
		Max: make(Numbers, 0, n), Last: make(Numbers, 0, n),
	}
}

// Add adds a step with n values, which may be 0.
func (c *Column) Add(n int64, sum, lowest, highest, last float64) {
	mean := math.NaN()
	if n > 0 {
		mean = sum / float64(n)
	} else {
		lowest, highest, last = mean, mean, mean
	}
	c.N, c.Mean, c.Last = append(c.N, n), append(c.Mean, mean), append(c.Last, last)
	c.Min, c.Max = append(c.Min, lowest), append(c.Max, highest)
}

// Numbers are values of which NaN stands for none; in JSON it is null.
type Numbers []float64

// MarshalJSON implements json.Marshaler.
func (n Numbers) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 8*len(n)+2), '[')
	for i, v := range n {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out = append(out, "null"...)
		} else {
			out = strconv.AppendFloat(out, v, 'g', -1, 64)
		}
	}
	return append(out, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Numbers) UnmarshalJSON(data []byte) error {
	var list []*float64
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*n = make(Numbers, len(list))
	for i, v := range list {
		(*n)[i] = math.NaN()
		if v != nil {
			(*n)[i] = *v
		}
	}
	return nil
}

// Answer is the answer to a Query: a series for each device and then for each building, in the order
// asked. One of which nothing is kept has an empty one.
type Answer struct {
	From   int64    `json:"from"`
	To     int64    `json:"to"`
	Series []Series `json:"series"`
}

// Collect answers a query that was checked with what device and building return for each name in it.
func Collect(ctx context.Context, q *Query, device, building func(ctx context.Context, name string, q *Query) (*Series, error)) (*Answer, error) {
	out := &Answer{From: q.From, To: q.To, Series: make([]Series, 0, len(q.Devices)+len(q.Buildings))}
	for i, name := range slices.Concat(q.Devices, q.Buildings) {
		one := device
		if i >= len(q.Devices) {
			one = building
		}
		s, err := one(ctx, name, q)
		if err != nil {
			return nil, err
		}
		out.Series = append(out.Series, *s)
	}
	return out, nil
}

// Status is what the historian holds.
type Status struct {
	Begins  int64 `json:"begins"`  // ms, start of the oldest day kept, 0: nothing is kept
	Newest  int64 `json:"newest"`  // ms, time of the newest reading
	Days    int   `json:"days"`    // that have a file
	Bytes   int64 `json:"bytes"`   // of all files
	Behind  int64 `json:"behind"`  // records in Kafka that are not yet in the history
	Damaged int64 `json:"damaged"` // files set aside since the start
}
