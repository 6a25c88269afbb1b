package suite

import "math"

// NABBaselines are what a detector has to be better than, by name. Their scores are high where a
// deviation is, and 0.5 where the method that they are named after gives alarm.
func NABBaselines() []Candidate {
	return []Candidate{
		{"always", func() Judge { return flat(1) }},
		{"never", func() Judge { return flat(0) }},
		{"3 σ of all rows so far", func() Judge { return &deviation{} }},
		{"moving z-score, 100 rows", func() Judge { return &deviation{window: 100} }},
	}
}

// flat gives each row the same score.
type flat float64

// Row implements Judge.
func (c flat) Row(int64, []float64) (score float64, unusual bool) {
	return float64(c), c >= 0.5
}

// deviation is the distance of a row from the mean of the rows before it, in standard deviations: of
// all rows, or of the newest window many. With several values the farthest counts.
type deviation struct {
	window  int
	columns []column
}

type column struct {
	n, sum, squares float64
	ring            []float64
	next            int
}

// Row implements Judge. 3 σ have score 0.5.
func (d *deviation) Row(_ int64, values []float64) (score float64, unusual bool) {
	for len(d.columns) < len(values) {
		d.columns = append(d.columns, column{ring: make([]float64, 0, d.window)})
	}
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		c := &d.columns[i]
		z := c.distance(v)
		score = max(score, z/(z+3))
		c.add(v)
	}
	return score, score >= 0.5
}

func (c *column) distance(v float64) float64 {
	if c.n < 10 {
		return 0
	}
	mean := c.sum / c.n
	variance := c.squares/c.n - mean*mean
	if variance <= 1e-12*mean*mean {
		return 0
	}
	return math.Abs(v-mean) / math.Sqrt(variance)
}

func (c *column) add(v float64) {
	c.n, c.sum, c.squares = c.n+1, c.sum+v, c.squares+v*v
	switch {
	case cap(c.ring) == 0:
		return
	case len(c.ring) < cap(c.ring):
		c.ring = append(c.ring, v)
		return
	}
	old := c.ring[c.next]
	c.n, c.sum, c.squares = c.n-1, c.sum-old, c.squares-old*old
	c.ring[c.next] = v
	c.next = (c.next + 1) % len(c.ring)
}
