package series

import (
	"math"

	"industrial-iot-monitor/internal/history"
)

// gapIntervals is how many usual intervals without a reading are a gap.
const gapIntervals = 3

// FromHistory returns the table of a series that the historian answered. A sensor that was asked for
// and that it does not have is there without values.
func FromHistory(q *Query, s *history.Series) Table {
	t := Table{From: q.From, To: q.To, StepMS: s.StepMS, Begins: s.Begins, Time: []int64{}, Values: make(map[string]Column, len(s.Values))}
	rows := withGaps(s)
	for _, i := range rows {
		if i < 0 { // a gap, just before the reading after it
			t.Time = append(t.Time, s.Time[^i]-1+s.StepMS/2-s.StepMS)
			continue
		}
		t.Time = append(t.Time, s.Time[i]+s.StepMS/2)
	}
	for _, name := range q.Parameters {
		t.Values[name] = Column{Mean: make([]*float64, len(rows)), Min: make([]*float64, len(rows)), Max: make([]*float64, len(rows))}
	}
	for name, c := range s.Values {
		lowest, highest := c.Min, c.Max
		if lowest == nil {
			lowest, highest = c.Mean, c.Mean
		}
		t.Values[name] = Column{Unit: c.Unit, Mean: spread(c.Mean, rows), Min: spread(lowest, rows), Max: spread(highest, rows)}
	}
	return t
}

// withGaps returns the indices of the times of s in their order, and the complement of an index before
// which there is a gap.
func withGaps(s *history.Series) []int {
	longest := gapIntervals * max(s.IntervalMS, s.StepMS)
	rows := make([]int, 0, len(s.Time))
	for i, at := range s.Time {
		if i > 0 && longest > 0 && at-s.Time[i-1] > longest {
			rows = append(rows, ^i)
		}
		rows = append(rows, i)
	}
	return rows
}

// spread returns the values of rows; nil in a gap and where there is none.
func spread(values history.Numbers, rows []int) []*float64 {
	out := make([]*float64, len(rows))
	for k, i := range rows {
		if i >= 0 && !math.IsNaN(values[i]) {
			v := round(values[i])
			out[k] = &v
		}
	}
	return out
}
