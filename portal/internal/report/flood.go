package report

// An alarm flood begins with more than floodAbove alarms in ten minutes, and ends when there are fewer
// than floodBelow in ten minutes (ISA-18.2, 16.5.6; EEMUA 191).
const (
	floodWindow = 600_000 // ms
	floodAbove  = 10
	floodBelow  = 5
)

// Flood is a time with more alarms than an operator can deal with.
type Flood struct {
	From   int64 `json:"from"`   // when there were too many
	To     int64 `json:"to"`     // when there were few again, or the end of the report
	Raised int   `json:"raised"` // from the first of those that were too many
}

// Floods returns the floods among times, which are sorted, in ms. The window is the last ten minutes:
// (t − 10 min, t]. One that is not over ends at until.
func Floods(times []int64, until int64) []Flood {
	out := []Flood{}
	running := false
	for i, at := range times {
		if running && i >= floodBelow {
			// When the fifth newest leaves the window there are too few, unless this alarm comes in time.
			if over := times[i-floodBelow] + floodWindow; over < at {
				out[len(out)-1].To, running = over, false
			}
		}
		switch {
		case running:
			out[len(out)-1].Raised++
		case i >= floodAbove && at-times[i-floodAbove] < floodWindow:
			out = append(out, Flood{From: at, To: until, Raised: floodAbove + 1})
			running = true
		}
	}
	if running {
		out[len(out)-1].To = min(until, times[len(times)-floodBelow]+floodWindow)
	}
	return out
}
