// Package trend judges whether a quantity of a process grows without end: memory, goroutines,
// open files. It is for the soak test; it starts no processes. Record blocks until its context
// ends, the rest is pure.
package trend

import (
	"cmp"
	"slices"
	"time"
)

// Point is a value at a time since the start.
type Point struct {
	At    time.Duration
	Value float64
}

// buckets is into how many equal spans of time Growth divides the points. Each needs a few
// collections of garbage, so that the lowest value in it is a process's memory without
// garbage; and half of them must be enough for a median.
const buckets = 12

// Growth returns by how much a quantity grows in an hour, when it grows all the time: the least of
// four slopes, those of all points, of their first half, of their second half, and from the
// lowest point of the first third to that of the last. So a single step is no growth, nor
// is a cache that fills and then stays, nor a hill: where garbage piles up for a while, the
// floor stays.
//
// A slope is the Theil–Sen estimator (the median of the slopes between all pairs) of the lowest
// value in each of twelve equal spans. The lowest value leaves the sawtooth of garbage
// collection out, the median a third of the outliers.
//
// The rise is from the lowest point of the first third to that of the last.
//
// Both are 0 when fewer than six of the spans have points.
func Growth(points []Point) (perHour, rise float64) {
	low := lowest(points)
	if len(low) < buckets/2 {
		return 0, 0
	}
	half := len(low) / 2
	third := len(low) / 3
	from, to := floor(low[:third]), floor(low[len(low)-third:])
	return min(slope(low), slope(low[:half]), slope(low[half:]), slope([]Point{from, to})), to.Value - from.Value
}

// floor returns the lowest point.
func floor(points []Point) Point {
	return slices.MinFunc(points, func(a, b Point) int { return cmp.Compare(a.Value, b.Value) })
}

// lowest returns the point with the lowest value of each span that has one.
func lowest(points []Point) []Point {
	if len(points) == 0 {
		return nil
	}
	start, end := points[0].At, points[len(points)-1].At
	var out []Point
	last := -1
	for _, p := range points {
		i := 0
		if end > start {
			i = min(int(buckets*(p.At-start)/(end-start)), buckets-1)
		}
		switch {
		case i != last:
			out, last = append(out, p), i
		case p.Value < out[len(out)-1].Value:
			out[len(out)-1] = p
		}
	}
	return out
}

// slope is the Theil–Sen estimator in units an hour.
func slope(points []Point) float64 {
	var slopes []float64
	for i, a := range points {
		for _, b := range points[i+1:] {
			if b.At > a.At {
				slopes = append(slopes, (b.Value-a.Value)/(b.At-a.At).Hours())
			}
		}
	}
	return median(slopes)
}

// median returns 0 for no values. It sorts them.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	default:
		return (values[n/2-1] + values[n/2]) / 2
	}
}
