//go:build engines

package historian

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/enginetest"
)

// startAt runs a historian with an engine.
func (p *plant) startAt(e *enginetest.Engine) *running {
	p.t.Helper()
	o, text := p.options("unused")
	o.Config.Mode, o.Config.URL, o.Letters = e.Kind, e.URL, p.topics.Specs().DeadLetters
	return p.run(o, text)
}

// metric returns the sum of a metric.
func metric(t *testing.T, r *running, name string) float64 {
	t.Helper()
	reg, ok := r.o.Registry.(*prometheus.Registry)
	require.True(t, ok)
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

func eachEngine(t *testing.T, f func(t *testing.T, e *enginetest.Engine)) {
	t.Helper()
	for _, kind := range []string{remote.VictoriaMetrics, remote.InfluxDB} {
		t.Run(kind, func(t *testing.T) { f(t, enginetest.Start(t, kind)) })
	}
}

// holds waits until devices have exactly n readings, whose values count from 0.
func (r *running) holds(p *plant, e *enginetest.Engine, devices, n int) {
	r.t.Helper()
	for d := range devices {
		q := history.Query{Devices: []string{fmt.Sprintf("d%d", d)}, From: p.now - 3_600_000, To: p.now + 1, Points: 5000}
		var s history.Series
		require.Eventually(r.t, func() bool {
			e.Settle(r.t.Context())
			a, err := r.client.Series(r.t.Context(), &q)
			if err != nil {
				return false
			}
			s = a.Series[0]
			return len(s.Time) >= n
		}, 2*waitTimeout, 200*time.Millisecond, "readings of d%d; log: %s", d, r.log)
		require.Len(r.t, s.Time, n)
		for i, v := range s.Values["temperature"].Mean {
			require.InDelta(r.t, i, v, 0, "%s[%d]", q.Devices[0], i)
		}
	}
}

func TestKilledEngineLosesAndDoublesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *enginetest.Engine) {
		t.Helper()
		p := newPlant(t)
		r := p.startAt(e)
		const devices, rounds, each = 5, 40, 20
		pace := time.NewTicker(100 * time.Millisecond)
		defer pace.Stop()
		for round := range rounds {
			p.now += each * 1000
			for d := range devices {
				p.send(fmt.Sprintf("d%d", d), each, float64(round*each))
			}
			<-pace.C
			switch round {
			case 10, 25:
				require.Eventually(t, func() bool { return metric(t, r, "core_history_written_bytes_total") > 0 }, waitTimeout, often)
				e.Kill()
			case 16:
				e.Restart()
			case 26: // at once
				e.Restart()
			}
		}
		r.holds(p, e, devices, rounds*each)
		r.stop()
		// Another one reads on from what is committed.
		p.now += each * 1000
		for d := range devices {
			p.send(fmt.Sprintf("d%d", d), each, rounds*each)
		}
		p.startAt(e).holds(p, e, devices, (rounds+1)*each)
	})
}

func TestCoresShareOneEngine(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *enginetest.Engine) {
		t.Helper()
		p := newPlant(t)
		first, second := p.startAt(e), p.startAt(e)
		for d := range 20 {
			p.send(fmt.Sprintf("d%d", d), 100, 0)
		}
		first.holds(p, e, 20, 100)
		second.holds(p, e, 20, 100)
		first.stop()
		p.now += 50_000
		for d := range 20 {
			p.send(fmt.Sprintf("d%d", d), 50, 100)
		}
		second.holds(p, e, 20, 150)
	})
}

// TestEngineThatDoesNotAnswerHoldsReadingBack: what waits is in Kafka, not in memory.
func TestEngineThatDoesNotAnswerHoldsReadingBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *enginetest.Engine) {
		t.Helper()
		p := newPlant(t)
		r := p.startAt(e)
		p.send("d0", 10, 0)
		r.holds(p, e, 1, 10)
		e.Pause()
		before := heap()
		const n = 1500
		for round := range 4 { // 60,000 readings
			for d := range 10 {
				p.send(fmt.Sprintf("slow%d-%d", round, d), n, 0)
			}
		}
		// It would read them all in this time.
		require.Never(t, func() bool { return metric(t, r, "core_history_readings_total") >= 60_010 }, 3*time.Second, often)
		taken := metric(t, r, "core_history_readings_total")
		grown := heap() - before
		t.Logf("%.0f of 60000 readings taken, heap grew by %.1f MB, broker included", taken, float64(grown)/1e6)
		require.Less(t, grown, int64(100<<20))
		e.Resume()
		require.Eventually(t, func() bool { return metric(t, r, "core_history_readings_total") >= 60_010 }, 2*waitTimeout, often)
		p.now += 10_000
		p.send("d0", 10, 10)
		r.holds(p, e, 1, 20)
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// TestRefusedReadingIsADeadLetter: InfluxDB refuses what is older than it keeps.
func TestRefusedReadingIsADeadLetter(t *testing.T) {
	e := enginetest.Start(t, remote.InfluxDB)
	e.InfluxQL("alter retention policy autogen on plant duration 1d shard duration 1h")
	p := newPlant(t)
	old := p.now - 3*86_400_000
	text := fmt.Sprintf(`{"device_id":"d0","timestamp":%d,"location":{"building":"A"},"sensors":{"temperature":{"value":1}}}`, old)
	kafkatest.Produce(t, p.brokers, p.topics.DeviceData, -1, kafkatest.Record{Key: []byte("d0"), Value: []byte(text), Timestamp: time.UnixMilli(p.now)})
	p.send("d0", 50, 0)
	r := p.startAt(e)
	r.holds(p, e, 1, 50)
	letters := kafkatest.ReadAll(t, p.brokers, p.topics.DeadLetters, 1, waitTimeout)
	require.Len(t, letters, 1)
	require.Equal(t, text, string(letters[0].Value))
	require.Equal(t, "history_refused", letters[0].Header(wire.HeaderReason))
	require.Contains(t, letters[0].Header(wire.HeaderMessage), "partial write")
	require.InDelta(t, 1, metric(t, r, "core_history_refused_total"), 0)
}
