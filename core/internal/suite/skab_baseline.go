package suite

import "math"

// SKABBaselines are the naive detectors that a detector of a device's sensors has to beat, by the
// same scorer.
func SKABBaselines() []Candidate {
	return []Candidate{
		{"always", func() Judge { return flat(1) }},
		{"never", func() Judge { return flat(0) }},
		{"3σ of any sensor, all rows so far", func() Judge { return &sigmaRow{share: 0} }},
		{"moving z > 3 of any sensor, 100 rows", func() Judge { return &sigmaRow{share: 1.0 / 100} }},
	}
}

// sigmaRow calls a row unusual that has a value more than three standard deviations from the mean of
// its sensor: of all values before, or with weights that fall by share a row.
type sigmaRow struct {
	share          float64
	n              []float64
	mean, variance []float64
}

const sigmaWarm = 30 // rows without a verdict

func (s *sigmaRow) Row(_ int64, values []float64) (score float64, unusual bool) {
	for len(s.n) < len(values) {
		s.n, s.mean, s.variance = append(s.n, 0), append(s.mean, 0), append(s.variance, 0)
	}
	z := 0.0
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		d := v - s.mean[i]
		if s.n[i] >= sigmaWarm && s.variance[i] > 0 {
			z = max(z, math.Abs(d)/math.Sqrt(s.variance[i]))
		}
		s.n[i]++
		k := max(s.share, 1/s.n[i])
		s.mean[i] += k * d
		s.variance[i] += k * ((1-k)*d*d - s.variance[i])
	}
	return z / (z + 3), z > 3
}
