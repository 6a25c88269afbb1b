package series_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = 1_700_000_000_000

func window(at int64, value float64) telemetry.Window {
	return telemetry.Window{Scope: "building", ID: "A", Parameter: "temperature", Start: at, WidthMS: 1000, Count: 1, Sum: value, Min: value, Max: value}
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
	for i := range int64(700) {
		s.AddWindows([]telemetry.Window{window(start+i*1000, float64(i))})
	}
	const newest = start + 699_000
	table, kept := s.Building("A", asked(newest-9000, newest, 10))
	require.True(t, kept)
	require.EqualValues(t, 1000, table.StepMS)
	require.Equal(t, []float64{690, 691, 692, 693, 694, 695, 696, 697, 698, 699}, numbers(table.Values["temperature"].Mean))
	require.EqualValues(t, newest-9000+500, table.Time[0], "the middle of the step")
	table, kept = s.Building("A", asked(newest-599_000, newest, 60))
	require.True(t, kept)
	require.EqualValues(t, 10_000, table.StepMS)
	require.InDelta(t, 694.5, *table.Values["temperature"].Mean[59], 1e-9)
	require.InDelta(t, 699, *table.Values["temperature"].Max[59], 1e-9)
	_, kept = s.Building("A", asked(newest-600_000, newest, 60))
	require.False(t, kept, "older ones are gone")

	s.AddWindows([]telemetry.Window{{Scope: "building", ID: "B", Parameter: "temperature", Start: start, WidthMS: 1000, Count: 1}})
	_, kept = s.Building("B", asked(start, start+1000, 10))
	require.False(t, kept, "there are too many buildings")
}

func TestOtherWindowsAreIgnored(t *testing.T) {
	s := series.New(series.Options{MaxMeans: 1})
	for _, change := range []func(w *telemetry.Window){
		func(w *telemetry.Window) { w.Scope = "device" }, func(w *telemetry.Window) { w.WidthMS = 60_000 },
		func(w *telemetry.Window) { w.Count = 0 }, func(w *telemetry.Window) { w.Count = -1 }, func(w *telemetry.Window) { w.Start = -1000 },
	} {
		w := window(start, 99)
		change(&w)
		s.AddWindows([]telemetry.Window{w})
	}
	table, kept := s.Building("A", asked(start, start+1000, 10))
	require.False(t, kept)
	require.Empty(t, table.Time)
	other := window(start, 5)
	other.Parameter = "co2"
	s.AddWindows([]telemetry.Window{window(start, 10), window(start, 30), window(start+600_000, 50), window(start, 99), other})
	table, kept = s.Building("A", asked(start+600_000, start+601_000, 10))
	require.True(t, kept)
	require.Equal(t, []float64{50}, numbers(table.Values["temperature"].Mean), "a late one does not come into the place of a newer one")
	table, _ = s.Building("A", series.Query{From: start + 600_000, To: start + 601_000, Points: 10})
	require.Len(t, table.Values, 1, "there are too many means")
}

// TestLateMeansDoNotMoveTheBeginning: what devices kept for days does not make the last minutes older.
func TestLateMeansDoNotMoveTheBeginning(t *testing.T) {
	s := series.New(series.Options{})
	s.AddWindows([]telemetry.Window{window(start-86_400_000, 1), window(start, 2), window(start-86_400_000, 3), window(start+1000, 4)})
	table, kept := s.Building("A", asked(start, start+2000, 10))
	require.True(t, kept)
	require.EqualValues(t, start, table.Begins)
	_, kept = s.Building("A", asked(start-1000, start+2000, 10))
	require.False(t, kept)
}

func TestGapIsFourMissingSteps(t *testing.T) {
	s := series.New(series.Options{})
	for _, at := range []int64{0, 1000, 2000, 9000} {
		s.AddWindows([]telemetry.Window{window(start+at, 1)})
	}
	table, _ := s.Building("A", asked(start, start+10_000, 100))
	require.Equal(t, []float64{1, 1, 1, -1, 1}, numbers(table.Values["temperature"].Mean))
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
