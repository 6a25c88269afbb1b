package series

import (
	"errors"
	"math"

	"industrial-iot-monitor/internal/history"
)

// gapIntervals is how many usual intervals without a reading are a gap.
const gapIntervals = 3

var errAnswer = errors.New("a column of the answer does not fit its times")

// FromHistory returns the table of a series that the historian answered, or an error if it is not well
// formed. Rows without a value of any sensor are left out; a sensor that was asked for and that there is
// not has no values.
func FromHistory(q *Query, s *history.Series) (Table, error) {
	t := Table{From: q.From, To: q.To, StepMS: s.StepMS, Begins: s.Begins, Time: []int64{}, Values: make(map[string]Column, len(s.Values))}
	if !wellFormed(s) {
		return t, errAnswer
	}
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
		if s.StepMS == 0 {
			lowest, highest = c.Mean, c.Mean
		}
		t.Values[name] = Column{Unit: c.Unit, Mean: spread(c.Mean, rows), Min: spread(lowest, rows), Max: spread(highest, rows), N: devices(s, c.N, rows)}
	}
	return t, nil
}

// devices returns of how many devices the means of rows are, nil if the series is no building's or it is not
// known.
func devices(s *history.Series, n []int64, rows []int) []*int64 {
	if s.Building == "" || len(n) != len(s.Time) {
		return nil
	}
	out := make([]*int64, len(rows))
	for k, i := range rows {
		if i >= 0 {
			out[k] = &n[i]
		}
	}
	return out
}

// wellFormed reports whether every column has a value for every time.
func wellFormed(s *history.Series) bool {
	n := len(s.Time)
	for _, c := range s.Values {
		if len(c.Mean) != n || s.StepMS > 0 && (len(c.Min) != n || len(c.Max) != n) {
			return false
		}
	}
	return s.StepMS >= 0
}

// withGaps returns the indices of the times of s that have a value, in their order, and the complement
// of an index before which there is a gap.
func withGaps(s *history.Series) []int {
	longest := s.StepMS + gapIntervals*s.IntervalMS
	rows, last := make([]int, 0, len(s.Time)), -1
	for i, at := range s.Time {
		if !hasValue(s, i) {
			continue
		}
		if last >= 0 && s.IntervalMS > 0 && at-s.Time[last] > longest {
			rows = append(rows, ^i)
		}
		rows, last = append(rows, i), i
	}
	return rows
}

func hasValue(s *history.Series, i int) bool {
	for _, c := range s.Values {
		if !math.IsNaN(c.Mean[i]) {
			return true
		}
	}
	return false
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
