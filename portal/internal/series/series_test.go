package series_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/portal/internal/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = 1_700_000_000_000

// sample adds a mean of one device.
func sample(s *series.Store, at int64, building string, value float64) {
	s.Sample(at, series.Values{{Building: building, Sensor: "temperature"}: {value}})
}

func asked(from, to int64, points int) series.Query {
	return series.Query{From: from, To: to, Parameters: []string{"temperature"}, Points: points}
}

// numbers are values, -1 for none.
func numbers(list []*float64) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = -1
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

func TestMeansOfTheLastTenMinutes(t *testing.T) {
	s := series.New(series.Options{MaxBuildings: 1})
	for i := range int64(150) {
		sample(s, start+i*5000, "A", float64(i))
	}
	const newest = start + 149*5000
	table, kept := s.Building("A", asked(newest-20_000, newest, 10))
	require.True(t, kept)
	require.EqualValues(t, 5000, table.StepMS)
	require.Equal(t, []float64{145, 146, 147, 148, 149}, numbers(table.Values["temperature"].Mean))
	require.EqualValues(t, newest-20_000+2500, table.Time[0], "the middle of the step")
	table, kept = s.Building("A", asked(newest-119*5000, newest, 60))
	require.True(t, kept)
	require.EqualValues(t, 10_000, table.StepMS)
	require.InDelta(t, 148.5, *table.Values["temperature"].Mean[59], 1e-9)
	require.InDelta(t, 149, *table.Values["temperature"].Max[59], 1e-9)
	_, kept = s.Building("A", asked(newest-119*5000-1, newest, 60))
	require.False(t, kept, "older ones are gone")
	sample(s, newest+5000, "B", 1)
	table, kept = s.Building("B", asked(newest, newest+5000, 10))
	require.False(t, kept, "there are too many buildings")
	require.Empty(t, table.Time)
}

// TestInventedBuildingsLeaveRealOnesTheirCharts: what has values stays, and what comes later gets the place of what fell silent.
func TestInventedBuildingsLeaveRealOnesTheirCharts(t *testing.T) {
	s := series.New(series.Options{})
	const invented = 5000
	at := int64(start)
	step := func(names ...string) {
		values := make(series.Values)
		for _, name := range names {
			values.Add(series.Of{Building: name, Sensor: "temperature"}, 7)
		}
		at += series.Step
		s.Sample(at, values)
	}
	drawn := func(name string) int {
		table, _ := s.Building(name, series.Query{From: at - 10*series.Step, To: at, Points: 20})
		return len(table.Values)
	}
	step("real")
	names := []string{"real"}
	for i := range invented {
		names = append(names, fmt.Sprint("b", i))
	}
	for range 20 {
		step(names...)
	}
	require.Equal(t, 1, drawn("real"))
	step("real", "late")
	require.Zero(t, drawn("late"), "the others had values a moment ago")
	for range 12 {
		step("real", "late")
	}
	require.Equal(t, 1, drawn("real"))
	require.Equal(t, 1, drawn("late"))
}

func TestMeansAreBoundedAndOfDevices(t *testing.T) {
	s := series.New(series.Options{MaxMeans: 1})
	three := func() []float64 { return []float64{10, 40, 10} }
	s.Sample(start, series.Values{{Building: "A", Sensor: "temperature"}: three()})
	s.Sample(start+1000, series.Values{{Building: "A", Sensor: "co2"}: three(), {Building: "B", Sensor: "co2"}: three()})
	table, kept := s.Building("A", series.Query{From: start, To: start + 1000, Points: 10})
	require.True(t, kept)
	require.Len(t, table.Values, 1, "there are too many means")
	require.Equal(t, []float64{20}, numbers(table.Values["temperature"].Mean))
	require.Equal(t, []float64{10}, numbers(table.Values["temperature"].Min))
	require.Equal(t, []float64{40}, numbers(table.Values["temperature"].Max))
	require.EqualValues(t, 3, *table.Values["temperature"].N[0])
}

func TestBandLeavesOutATenthAtEitherEnd(t *testing.T) {
	s := series.New(series.Options{})
	temperature := series.Of{Building: "A", Sensor: "temperature"}
	values := make(series.Values)
	for at := range int64(2) {
		for i := range 101 {
			values.Add(temperature, float64((i*37)%101)+float64(10*at)) // 0 to 100, in disorder
		}
		s.Sample(start+at*series.Step, values)
		require.Empty(t, values[temperature], "the next sample begins anew")
	}
	s.Sample(start+2*series.Step, values)
	require.NotContains(t, values, temperature, "a sensor without values is forgotten")
	table, _ := s.Building("A", asked(start, start+series.Step, 10))
	c := table.Values["temperature"]
	require.Equal(t, []float64{10, 20}, numbers(c.P10))
	require.Equal(t, []float64{90, 100}, numbers(c.P90))
	table, _ = s.Building("A", asked(start, start+series.Step, 1))
	c = table.Values["temperature"]
	require.Equal(t, []float64{15}, numbers(c.P10), "of two samples the mean of theirs")
	require.EqualValues(t, 101, *c.N[0], "not the sum of both")
	require.Equal(t, []float64{0}, numbers(c.Min))
	require.Equal(t, []float64{110}, numbers(c.Max))
}

func TestSeveralPortalsSampleTheSame(t *testing.T) {
	a, b := series.New(series.Options{}), series.New(series.Options{})
	of := series.Of{Building: "A", Sensor: "temperature"}
	a.Sample(start, series.Values{of: {1, 2, 3, 4}})
	b.Sample(start+40, series.Values{of: {4, 2, 1, 3}})
	one, _ := a.Building("A", asked(start, start+100, 10))
	two, _ := b.Building("A", asked(start, start+100, 10))
	require.Equal(t, one, two)
}

// BenchmarkSample takes a sample of 10,000 devices with five sensors each.
func BenchmarkSample(b *testing.B) {
	s, values := series.New(series.Options{}), make(series.Values)
	names := []series.Of{{"A", "temperature"}, {"A", "humidity"}, {"A", "pressure"}, {"A", "current"}, {"A", "co2"}}
	at := int64(start)
	for b.Loop() {
		for i := range 10_000 {
			for _, of := range names {
				values.Add(of, float64((i*7919)%10_007))
			}
		}
		at += series.Step
		s.Sample(at, values)
	}
}

func TestSampleThatIsMissingIsAGap(t *testing.T) {
	s := series.New(series.Options{})
	for _, at := range []int64{0, 5000, 20_000} {
		sample(s, start+at, "A", 1)
	}
	table, _ := s.Building("A", asked(start, start+20_000, 100))
	require.Equal(t, []float64{1, 1, -1, 1}, numbers(table.Values["temperature"].Mean))
}

func fromHistory(t *testing.T, q series.Query, s *history.Series) series.Table {
	t.Helper()
	table, err := series.FromHistory(&q, s)
	require.NoError(t, err)
	return table
}

func TestHistoryBecomesATable(t *testing.T) {
	nan := math.NaN()
	steps := &history.Series{
		StepMS: 1000, IntervalMS: 500, Begins: start, Time: []int64{start, start + 1000, start + 2000, start + 9000},
		Values: map[string]history.Column{
			"temperature": {Unit: "°C", Mean: history.Numbers{1, nan, nan, 3}, Min: history.Numbers{0, nan, nan, 3}, Max: history.Numbers{2, nan, nan, 3}},
			"ph":          {Mean: history.Numbers{nan, 7, nan, nan}, Min: history.Numbers{nan, 7, nan, nan}, Max: history.Numbers{nan, 7, nan, nan}},
		},
	}
	table := fromHistory(t, series.Query{From: start, To: start + 10_000, Parameters: []string{"temperature", "co2"}, Points: 10}, steps)
	require.Equal(t, []int64{start + 500, start + 1500, start + 8499, start + 9500}, table.Time, "a row without any value is left out, a gap has one")
	require.Equal(t, []float64{1, -1, -1, 3}, numbers(table.Values["temperature"].Mean))
	require.Equal(t, []float64{0, -1, -1, 3}, numbers(table.Values["temperature"].Min))
	require.Equal(t, []float64{2, -1, -1, 3}, numbers(table.Values["temperature"].Max))
	require.Equal(t, "°C", table.Values["temperature"].Unit)
	require.Equal(t, []float64{-1, -1, -1, -1}, numbers(table.Values["co2"].Mean), "it was asked for")
	require.EqualValues(t, start, table.Begins)

	single := &history.Series{IntervalMS: 60_000, Time: []int64{start, start + 60_000, start + 241_000}, Values: map[string]history.Column{"co2": {Mean: history.Numbers{1, 2, 3}}}}
	table = fromHistory(t, series.Query{From: start, To: start + 300_000}, single)
	require.Equal(t, []int64{start, start + 60_000, start + 240_999, start + 241_000}, table.Time)
	require.Equal(t, []float64{1, 2, -1, 3}, numbers(table.Values["co2"].Max))
	require.Empty(t, fromHistory(t, series.Query{}, &history.Series{}).Time)
}

func TestAnswerThatDoesNotFitIsRefused(t *testing.T) {
	for _, s := range []history.Series{
		{Time: []int64{1, 2}, Values: map[string]history.Column{"co2": {Mean: history.Numbers{1}}}},
		{StepMS: 5, Time: []int64{1}, Values: map[string]history.Column{"co2": {Mean: history.Numbers{1}, Min: history.Numbers{1}}}},
		{StepMS: -1},
	} {
		_, err := series.FromHistory(&series.Query{}, &s)
		require.Error(t, err)
	}
}
