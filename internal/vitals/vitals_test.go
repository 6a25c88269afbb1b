package vitals

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type rig struct {
	*Reporter

	ack      *prometheus.HistogramVec
	accepted *prometheus.CounterVec
	reports  []wire.Vitals
	refuse   error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log, err := ops.NewLogger(ops.LogConfig{Level: "warn", Format: "text"}, io.Discard)
	require.NoError(t, err)
	reg := ops.NewRegistry()
	r := &rig{
		ack:      prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ack_seconds", Help: "Time.", Buckets: []float64{0.01, 0.1, 1}}, []string{"gateway"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "accepted_total", Help: "Readings."}, []string{"gateway", "protocol"}),
	}
	reg.MustRegister(r.ack, r.accepted)
	r.Reporter, err = New(Options{
		Program: "edge", Instance: "gw-a", Gatherer: reg, Log: log,
		Stages: []Stage{{Name: wire.StageGateway, Seconds: "ack_seconds", Readings: "accepted_total", Labels: map[string]string{"gateway": "gw-a"}}},
		Facts:  func() map[string]string { return map[string]string{"rules": "abc"} },
		Publish: func(subject string, data []byte) error {
			require.Equal(t, "processes.edge", subject)
			v, err := wire.DecodeVitals(data)
			require.NoError(t, err)
			r.reports = append(r.reports, v)
			return r.refuse
		},
	})
	require.NoError(t, err)
	return r
}

func TestAReportHasTheFiguresSinceTheLastOne(t *testing.T) {
	r := newRig(t)
	at := r.last
	mine, other := r.ack.WithLabelValues("gw-a"), r.ack.WithLabelValues("gw-b")
	for range 98 {
		mine.Observe(0.005)
	}
	mine.Observe(0.05)
	mine.Observe(0.05)
	other.Observe(9)
	r.accepted.WithLabelValues("gw-a", "nats").Add(400)
	r.accepted.WithLabelValues("gw-a", "mqtt").Add(100)
	r.accepted.WithLabelValues("gw-b", "mqtt").Add(9999)
	require.NoError(t, r.report(at.Add(5*time.Second)))

	got := r.reports[0].Stages[0]
	require.InDelta(t, 100, got.Rate, 1e-9, "500 readings of gw-a in 5 s")
	require.EqualValues(t, 100, got.Count)
	require.InDelta(t, (98*5+100)/100.0, got.Mean, 1e-9)
	require.InDelta(t, 55, got.P99, 1e-9, "in the middle of the two between 10 and 100 ms")

	mine.Observe(30)
	require.NoError(t, r.report(at.Add(10*time.Second)))
	got = r.reports[1].Stages[0]
	require.Zero(t, got.Rate)
	require.EqualValues(t, 1, got.Count)
	require.InDelta(t, 30_000, got.Mean, 1e-6)
	require.InDelta(t, 1000, got.P99, 1e-9, "the last bound")

	require.NoError(t, r.report(at.Add(15*time.Second)))
	require.Equal(t, wire.StageVitals{Stage: wire.StageGateway}, r.reports[2].Stages[0], "nothing happened")
}

func TestAReportSaysWhoItIs(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.report(time.Now()))
	v := r.reports[0]
	require.Equal(t, "edge", v.Program)
	require.Equal(t, "gw-a", v.Instance)
	require.Positive(t, v.PID)
	require.NotEmpty(t, v.Host)
	require.Greater(t, v.MemoryBytes, 1e6)
	require.Positive(t, v.Goroutines)
	require.Equal(t, map[string]string{"rules": "abc"}, v.Facts)
}

func TestEachWarningIsReportedOnceAndCut(t *testing.T) {
	r := newRig(t)
	r.o.Log.Warn("first", "why", strings.Repeat("ü", 400))
	require.NoError(t, r.report(time.Now()))
	require.Len(t, r.reports[0].Warnings, 1)
	w := r.reports[0].Warnings[0]
	require.Equal(t, "first", w.Message)
	require.Equal(t, "warn", w.Level)
	require.LessOrEqual(t, len(w.Detail), wire.MaxWarningDetail+len("…"))
	require.True(t, strings.HasSuffix(w.Detail, "ü…"))

	for range 70 {
		require.NoError(t, r.o.Log.Handler().Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelError, "many", 0))) // of no place: no limit
	}
	require.NoError(t, r.report(time.Now()))
	require.Len(t, r.reports[1].Warnings, wire.MaxWarnings)
	require.EqualValues(t, 71, r.reports[1].Warnings[wire.MaxWarnings-1].Number, "the newest")
	require.NoError(t, r.report(time.Now()))
	require.Empty(t, r.reports[2].Warnings)
}

func TestAProcessReportsOnAlsoWhenTheHubIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.refuse = errors.New("no hub")
		done := make(chan error, 1)
		go func() { done <- r.Run(t.Context()) }()
		<-time.After(11 * time.Second)
		synctest.Wait()
		require.Len(t, r.reports, 3)
	})
}

func TestAReporterNeedsItsOptions(t *testing.T) {
	_, err := New(Options{Program: "edge"})
	require.ErrorContains(t, err, "Instance")
}

func TestTheLevelOfTheLogIsChangedForATimeAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		require.Nil(t, r.AnswerLevel([]byte(`{"instance":"gw-b","level":"debug","by":"Li Wei"}`)), "another gateway is meant")
		require.Nil(t, r.AnswerLevel([]byte(`rubbish`)))
		for _, bad := range []string{`{"instance":"gw-a","level":"loud","by":"x"}`, `{"instance":"gw-a","level":"debug"}`} {
			require.Contains(t, string(r.AnswerLevel([]byte(bad))), "want")
		}
		require.NoError(t, r.report(time.Now()))
		require.Equal(t, "warn", r.reports[0].LogLevel)
		require.Zero(t, r.reports[0].LogLevelUntil)

		require.NotContains(t, string(r.AnswerLevel([]byte(`{"instance":"gw-a","level":"debug","by":"Li Wei"}`))), "error")
		require.Len(t, r.soon, 1, "a report is due")
		require.NoError(t, r.report(time.Now()))
		v := r.reports[1]
		require.Equal(t, []any{"debug", "Li Wei", time.Now().UnixMilli() + wire.LogLevelFor}, []any{v.LogLevel, v.LogLevelBy, v.LogLevelUntil})
		time.Sleep(wire.LogLevelFor * time.Millisecond) //nolint:forbidigo // the bubble's clock
		require.NoError(t, r.report(time.Now()))
		require.Equal(t, []any{"warn", ""}, []any{r.reports[2].LogLevel, r.reports[2].LogLevelBy})
	})
}

func TestABridgeReportsItsLanes(t *testing.T) {
	r := newRig(t)
	r.o.Lanes = func() []wire.LaneVitals { return make([]wire.LaneVitals, wire.MaxVitalsLanes+9) }
	require.NoError(t, r.report(time.Now()))
	require.Len(t, r.reports[0].Lanes, wire.MaxVitalsLanes)
}
