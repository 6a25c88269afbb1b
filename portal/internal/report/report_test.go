package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const minute = 60_000

func TestFloods(t *testing.T) {
	every := func(n int, from, step int64) (out []int64) {
		for i := range n {
			out = append(out, from+int64(i)*step)
		}
		return out
	}
	const until = 480 * minute
	for name, x := range map[string]struct {
		times []int64
		want  []Flood
	}{
		"nothing":                    {nil, []Flood{}},
		"ten in ten minutes is none": {every(10, 0, minute/2), []Flood{}},
		"eleven are one":             {every(11, 0, minute/2), []Flood{{5 * minute, 13 * minute, 11}}}, // the fifth newest, at 3 min, leaves
		"eleven in just ten minutes": {every(11, 0, minute), []Flood{}},
		"one that goes on":           {slices.Concat(every(11, 0, minute/2), every(20, 6*minute, 2*minute)), []Flood{{5 * minute, (44-8)*minute + 10*minute, 31}}},
		"it ends below five, not below ten": {
			slices.Concat(every(11, 0, 1), every(5, 10*minute-1, 1)), []Flood{{10, 20*minute - 1, 16}},
		},
		"two":             {slices.Concat(every(11, 0, 1), every(11, 60*minute, 1)), []Flood{{10, 10*minute + 6, 11}, {60*minute + 10, 70*minute + 6, 11}}},
		"it is not over":  {every(11, until-minute, 1), []Flood{{until - minute + 10, until, 11}}},
		"all at one time": {every(30, 5, 0), []Flood{{5, 10*minute + 5, 30}}},
	} {
		require.Equal(t, x.want, Floods(x.times, until), name)
	}
}

// TestFloodsAreThoseOfAPlainCount counts the window anew every millisecond of a short time scale.
func TestFloodsAreThoseOfAPlainCount(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		const grid = 10_000 // ms: all times are multiples
		var times []int64
		for at := int64(0); at < 7_200_000; at += r.Int64N(30) * grid {
			for range r.IntN(4) {
				times = append(times, at)
			}
		}
		const until = 7_200_000
		want := []Flood{}
		running := false
		for at := int64(0); at < until; at += grid {
			n := 0
			for _, x := range times {
				if x <= at && x > at-floodWindow {
					n++
				}
			}
			switch {
			case !running && n > floodAbove:
				want, running = append(want, Flood{From: at, To: until}), true
			case running && n < floodBelow:
				want[len(want)-1].To, running = at, false
			}
		}
		got := Floods(times, until)
		for i := range got {
			got[i].Raised = 0
		}
		require.Equal(t, want, got, "round %d", round)
	}
}

// TestFiguresAreThoseOfAPlainScan compares those that are sums with sums.
func TestFiguresAreThoseOfAPlainScan(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	severities := []telemetry.Severity{telemetry.SeverityCritical, telemetry.SeverityHigh, telemetry.SeverityMedium, telemetry.SeverityLow}
	for range 100 {
		const from, until = 30 * 3_600_000, 38 * 3_600_000
		b := New(from, until)
		var raised, standing, never, hidden, maintained int
		var waits []int64
		offline := map[string]int64{}
		for i := range 300 {
			a := Alarm{ID: fmt.Sprint(i), Device: fmt.Sprint("d", i), Building: fmt.Sprint("B", i%3), Type: typeOffline, Severity: severities[r.IntN(4)], RaisedAt: r.Int64N(until)}
			if r.IntN(2) == 0 {
				a.EndedAt = a.RaisedAt + 1 + r.Int64N(until)
			}
			if r.IntN(2) == 0 {
				a.AcknowledgedAt = a.RaisedAt + r.Int64N(minute)
			}
			a.Suppressed, a.Maintained = r.IntN(10) == 0, r.IntN(10) == 0
			if a.EndedAt != 0 && a.EndedAt < from {
				continue
			}
			b.AddAlarm(&a)
			for at := int64(from); at < until; at += minute { // the minutes that it held through at their start
				if a.RaisedAt <= at && (a.EndedAt == 0 || a.EndedAt > at) {
					offline[a.Building] += minute
				}
			}
			in := a.RaisedAt >= from
			switch {
			case a.Suppressed && in:
				hidden++
			case a.Maintained && in && !a.Suppressed:
				maintained++
			case a.Suppressed, a.Maintained:
			default:
				if (a.EndedAt == 0 || a.EndedAt >= until) && a.RaisedAt <= until-standingAfter {
					standing++
				}
				if in {
					raised++
					if a.AcknowledgedAt == 0 {
						never++
					} else {
						waits = append(waits, a.AcknowledgedAt-a.RaisedAt)
					}
				}
			}
		}
		for i := range 600 {
			b.AddDevice(fmt.Sprint("B", i%3), Span{From: 0})
		}
		f := b.Figures()
		require.Equal(t, []int{raised, standing, never, hidden, len(waits)}, []int{f.Raised.Total, f.StandingCount, f.NeverAcknowledged, f.Hidden.Suppressed, f.Acknowledged})
		require.Equal(t, maintained, f.Hidden.Maintained)
		require.Equal(t, f.Raised.Total, f.Raised.Critical+f.Raised.High+f.Raised.Medium+f.Raised.Low)
		slices.Sort(waits)
		if len(waits) > 0 {
			require.Equal(t, waits[(len(waits)+1)/2-1], *f.AckMedianMS)
		}
		sum := 0
		for _, row := range f.Buildings {
			sum += row.Raised.Total
			require.Equal(t, 200, row.Devices)
			require.InDelta(t, 1-float64(offline[row.Building])/(200*8*60*minute), *row.Availability, 0.01)
		}
		require.Equal(t, raised, sum)
	}
}

func TestNothingIsKnownOfNothing(t *testing.T) {
	b := New(0, 3_600_000)
	b.AddAlarm(&Alarm{ID: "a", Device: "d", Building: "B", Type: "hot", RaisedAt: 5})
	f := b.Figures()
	require.Nil(t, f.AckMedianMS)
	require.Nil(t, f.AckP90MS)
	require.Equal(t, 1, f.NeverAcknowledged)
	require.Nil(t, f.Buildings[0].Availability, "no device is known")
	require.Nil(t, f.Buildings[0].Completeness)
	mean, highest := Temperature(history.Column{Mean: history.Numbers{math.NaN()}})
	require.Nil(t, mean)
	require.Nil(t, highest)
}

func TestAnAlarmThatIsRaisedAgainAndAgain(t *testing.T) {
	a := Alarm{ID: "a", Device: "d", Building: "B", Type: typeOffline, RaisedAt: 10_000}
	for i := range int64(3) {
		require.True(t, a.Change(telemetry.EventRepeated, 10_000+i*20_000))
		require.False(t, a.Change(telemetry.EventCleared, 15_000+i*20_000))
	}
	b := New(0, 3_600_000)
	b.AddDevice("B", Span{From: 0})
	b.AddAlarm(&a)
	f := b.Figures()
	require.Equal(t, 3, f.Raised.Total, "each time counts")
	require.Len(t, f.Chattering, 1)
	require.InDelta(t, 1-15.0/3600, *f.Buildings[0].Availability, 1e-9, "it was there in between")
}

func TestCompleteness(t *testing.T) {
	of := func(interval, begins int64, n ...int64) history.Series {
		return history.Series{IntervalMS: interval, Begins: begins, Values: map[string]history.Column{"a": {N: n}, "b": {N: []int64{1}}}}
	}
	share, n := Completeness([]history.Series{of(1000, 1, 50, 50), of(1000, 1, 30), of(1000, 50_000, 50), of(0, 1, 9), of(1000, 0), of(10, 1, 20_000)}, 1, 100_001)
	require.Equal(t, 4, n, "without those of which no interval or no reading is known")
	require.InDelta(t, (100.0+30+50+10_000)/(100+100+50+10_000), *share, 1e-9)
	share, n = Completeness(nil, 0, 100)
	require.Nil(t, share)
	require.Zero(t, n)
}
