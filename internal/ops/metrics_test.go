package ops

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessFiguresArePlausible(t *testing.T) {
	families, err := NewRegistry().Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		if g := f.GetMetric()[0].GetGauge(); g != nil {
			got[f.GetName()] = g.GetValue()
		}
	}
	require.Greater(t, got["iot_memory_usage_bytes"], 1e6)
	require.GreaterOrEqual(t, got["iot_goroutines_total"], 1.0)
	require.GreaterOrEqual(t, got["iot_cpu_usage_percent"], 0.0)
}

func TestCPUIsTheShareOfTimeSinceTheLastScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used time.Duration
		m := &cpuMeter{last: time.Now(), clock: func() time.Duration { return used }}
		require.Zero(t, m.percent(), "no time has passed")

		<-time.After(2 * time.Second)
		used += 500 * time.Millisecond
		require.InDelta(t, 25, m.percent(), 1e-9)

		<-time.After(999 * time.Millisecond)
		used += time.Second
		require.InDelta(t, 25, m.percent(), 1e-9, "scrapes that follow closely do not shorten the window")

		<-time.After(time.Second + time.Millisecond)
		require.InDelta(t, 50, m.percent(), 1e-9)
	})
}

func TestCPUTimeGrows(t *testing.T) {
	start := CPUTime()
	require.Eventually(t, func() bool { return CPUTime() > start }, 30*time.Second, time.Millisecond)
}
