package screens

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsOutOfBoundsIsDropped(t *testing.T) {
	for data, want := range map[string]*Report{
		`{"frames":12,"paint_ms":[3,4.5]}`:           {12, []float64{3, 4.5}},
		`{"frames":12}`:                              {12, nil},
		`{"frames":1,"paint_ms":[-1,60001,1e300,7]}`: {1, []float64{7}},
		`{"frames":-1}`:                              nil,
		`{"frames":100001}`:                          nil,
		`{"frames":1e300}`:                           nil,
		`{"frames":"x"}`:                             nil,
		`{"paint_ms":{}}`:                            nil,
		`{}`:                                         nil,
		`[]`:                                         nil,
		`"`:                                          nil,
		``:                                           nil,
	} {
		r, ok := Parse([]byte(data))
		require.Equal(t, want != nil, ok, data)
		if want != nil {
			require.Equal(t, want.Frames, r.Frames, data)
			require.ElementsMatch(t, want.PaintMS, r.PaintMS, data)
		}
	}
	r, _ := Parse([]byte(`{"paint_ms":[` + strings.TrimSuffix(strings.Repeat("1,", 1000), ",") + `]}`))
	require.Len(t, r.PaintMS, maxTimes)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"frames":12,"paint_ms":[3,4.5,-1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _ := Parse(data)
		require.True(t, r.Frames >= 0 && r.Frames <= maxFrames && len(r.PaintMS) <= maxTimes)
		for _, ms := range r.PaintMS {
			require.True(t, ms >= 0 && ms <= maxMS)
		}
	})
}

func TestRateIsThatOfTheReports(t *testing.T) {
	reg := prometheus.NewRegistry()
	b, err := New(reg)
	require.NoError(t, err)
	const begin = 1_700_000_000_000
	_, ok := b.Figures(begin)
	require.False(t, ok)
	now := int64(begin)
	for i := range 20 { // two screens that report at different times, one of them joins later
		now += 5000
		b.Take("a", Report{Frames: 50, PaintMS: []float64{20, 30}}, now)
		if i >= 10 {
			b.Take("b", Report{Frames: 100}, now+2000)
		}
		f, ok := b.Figures(now + 2000)
		switch {
		case i == 0:
			require.False(t, ok, "one report has no rate yet")
		case i <= 10:
			require.InDelta(t, 10, f.PerSecond, 0.01, fmt.Sprint(i))
		default:
			require.InDelta(t, 30, f.PerSecond, 0.01, fmt.Sprint(i))
		}
	}
	f, _ := b.Figures(now + 1000)
	require.InDelta(t, 25, f.Mean, 0.1)
	require.Positive(t, f.P99)
	_, ok = b.Figures(now + 2001 + goneMS)
	require.False(t, ok, "they are gone")
	require.Empty(t, b.screens)
	require.InDelta(t, 40, count(t, reg), 0)
}

func count(tb testing.TB, reg *prometheus.Registry) float64 {
	tb.Helper()
	all, err := reg.Gather()
	require.NoError(tb, err)
	return float64(all[0].GetMetric()[0].GetHistogram().GetSampleCount())
}

func TestTheNumberOfScreensIsBounded(t *testing.T) {
	b, err := New(prometheus.NewRegistry())
	require.NoError(t, err)
	for i := range 2 * maxScreens {
		b.Take(i, Report{Frames: 1}, 1_700_000_000_000)
	}
	require.Len(t, b.screens, maxScreens)
}
