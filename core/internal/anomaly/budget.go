package anomaly

const (
	// MinBudget is how many alarms a building may raise in a day however few devices it has.
	MinBudget = 5
	dayMS     = 24 * 3_600_000
	// maxRaises bounds the raises that are kept of a building.
	maxRaises = 4096
)

// Budget is what one partition of a building has spent: the plant times, in ms, at which alarms
// were raised in the last day, in the order of raising.
type Budget struct {
	Raises []int64 `json:"raises"`
}

// Allowed returns the alarms that one of a number of partitions may raise in a day for the devices
// of a building that it has, with a share for each device. Devices are spread evenly, so the minimum of the building is shared
// evenly; each partition may raise at least one.
func Allowed(share float64, devices, partitions int) float64 {
	return max(share*float64(devices), MinBudget/float64(max(partitions, 1)), 1)
}

// Pressure returns the share of the budget that is spent at plant time at, 0 to 1.
func (b *Budget) Pressure(at int64, allowed float64) float64 {
	n := 0
	for _, t := range b.Raises {
		if t > at-dayMS {
			n++
		}
	}
	return min(float64(n)/allowed, 1)
}

// Add notes an alarm raised at plant time at and forgets what no longer counts.
func (b *Budget) Add(at int64) {
	kept := b.Raises[:0]
	for _, t := range b.Raises {
		if t > at-dayMS {
			kept = append(kept, t)
		}
	}
	if n := len(kept); n >= maxRaises {
		kept = append(kept[:0], kept[n-maxRaises+1:]...)
	}
	b.Raises = append(kept, at)
}

// Threshold returns the score that raises an alarm: base while nothing is spent, rising with the
// square of the share of the budget that is spent, to 1 when all of it is. So half a budget costs
// an eighth of the scale, and the last alarms of a day are certain ones.
func Threshold(base, pressure float64) float64 { return base + (1-base)*pressure*pressure }
