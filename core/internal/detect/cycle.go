package detect

import "math"

// cycle is the usual course of a working day and of a day of the weekend (UTC): by how much the mean of
// each hour is above that of all.
type cycle struct {
	Hours     [48]float32
	Mean      float64
	Off, Left float32 // mean distance of an hour from Mean, and from Mean and its hour
	Days      float32

	Sum  float64 // of the hour at hand
	N    int32
	Hour int32 // at hand, since 1970
}

// hourOf returns where the h-th hour since 1970 is in Hours.
func hourOf(h int64) int64 {
	const thursday = 4 // was 1970-01-01, Sunday is 0
	if d := (h/24 + thursday) % 7; d == 0 || d == 6 {
		return 24 + h%24
	}
	return h % 24
}

// regular reports whether the cycle of a whole week explains the most of how hours differ.
func (c *cycle) regular() bool { return c.Days >= 8 && c.Left <= c.Off/2 }

// at returns the usual distance from the mean at a time, 0 while there is none that explains the most
// of how hours differ.
func (c *cycle) at(t int64) float64 {
	if c.Days < 2 || c.Left > 0.7*c.Off {
		return 0
	}
	t -= hour / 2
	h := t / hour
	part := float32(t-h*hour) / hour
	a, b := c.Hours[hourOf(h)], c.Hours[hourOf(h+1)]
	return float64(a + (b-a)*part)
}

// add adds a value to its hour. When an hour is over it returns by how much that was above what is usual
// for it; teach: it is learned.
func (c *cycle) add(t int64, x float64, teach bool) (off float32, over bool) {
	if h := int32(t / hour); h != c.Hour {
		if over = c.N > 0; over {
			off = c.endHour(c.Sum/float64(c.N), teach)
		}
		c.Sum, c.N, c.Hour = 0, 0, h
	}
	c.Sum += x
	c.N++
	return off, over
}

func (c *cycle) endHour(x float64, teach bool) (off float32) {
	if c.Days == 0 {
		c.Mean = x
	}
	h := &c.Hours[hourOf(int64(c.Hour))]
	off = float32(x-c.Mean) - *h
	if !teach {
		return off
	}
	c.Mean += (x - c.Mean) * float64(max(1/(24*c.Days+1), 1.0/(7*24)))
	above := float32(x - c.Mean)
	if c.Days >= 1 {
		c.Off += (abs(above) - c.Off) / 24
		c.Left += (abs(off) - c.Left) / 24
	}
	*h += (above - *h) * max(1/(c.Days+1), 1.0/5)
	c.Days += 1.0 / 24
	return off
}

func abs(x float32) float32 { return float32(math.Abs(float64(x))) }
