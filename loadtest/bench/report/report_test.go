package report

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568", -1000: "-1,000", 12.34: "12.3", 0.456: "0.46", 100: "100"} {
		require.Equal(t, want, number(v))
	}
	require.Equal(t, "–", number(math.NaN()))
}

func TestLoadNamesAndCommands(t *testing.T) {
	for _, c := range []struct {
		load          Load
		name, command string
	}{
		{Load{Rate: 200, Batch: 1, Interval: 5 * time.Second, Kafka: Apache}, "200/s of 1,000 devices, Apache Kafka", "RATES=200@5s BENCH_KAFKA=real"},
		{Load{Rate: 100_000, Batch: 50, Interval: time.Second, Kafka: Embedded}, "100,000/s in batches of 50, embedded broker", "RATES=100000x50"},
		{
			Load{Rate: 20_000, Batch: 1, Interval: time.Second, Kafka: Embedded, One: true, Busy: 2},
			"20,000/s, embedded broker, one process, beside 2 busy jobs", "RATES=20000 BENCH_ONE=1 BENCH_BUSY=2",
		},
		{
			Load{Kind: Outage, Rate: 200, Batch: 1, Interval: time.Second, Kafka: Embedded, Length: 5 * time.Minute},
			"200/s, embedded broker, stopped for 5m0s", "RATES=200 BENCH_OUTAGE=5m0s",
		},
		{Load{Kind: Drain, Gateways: 20, Kafka: Embedded}, "drain of 20 gateways, embedded broker", "RATES=drain20"},
		{Load{Kind: Drain, Gateways: 1, Kafka: Embedded}, "drain of one gateway, embedded broker", "RATES=drain"},
		{Load{Kind: Idle, Kafka: Apache}, "three quiet gateways, Apache Kafka", "RATES=idle BENCH_KAFKA=real"},
	} {
		require.Equal(t, c.name, c.load.String())
		require.Equal(t, "make bench-chain "+c.command, c.load.Command())
	}
}

// Every goal is for a figure that is judged, in the direction in which it improves.
func TestGoalsAskForImprovement(t *testing.T) {
	for _, g := range goals {
		want := lower
		if g.least {
			want = higher
		}
		require.Equal(t, want, senseOf(g.figure).better, "%s", g.name)
	}
}

func TestGoalsOfLoads(t *testing.T) {
	r := &Run{}
	apache := Load{Rate: 200, Batch: 1, Interval: 5 * time.Second, Kafka: Apache}
	r.Add(apache, Sample{Txns: 12, LogBytes: 161, BrokerCPU: 8})
	r.Add(Load{Rate: 100_000, Batch: 1, Kafka: Embedded}, Sample{InKafka: 99_900, Processed: 98_000})
	r.Add(Load{Rate: 1234, Kafka: Embedded, Busy: 3}, Sample{Txns: 1000})
	const busyName = "| 1,234/s, embedded broker, beside 3 busy jobs "
	text := goalTable(r)
	const name = "| 200/s of 1,000 devices, Apache Kafka "
	require.Contains(t, text, name+"| transactions/s, bridge and core | 12 | ≤ 12 | met |")
	require.Contains(t, text, name+"| Kafka log, all topics, bytes a reading | 161 | ≤ 160 | **missed** |")
	require.Contains(t, text, name+"| CPU of the product, % of a core | – | ≤ 10 | not measured |")
	require.Contains(t, text, "| in Kafka, readings/s | 99,900 | ≥ 100,000 | met |")
	require.Contains(t, text, "| through core, readings/s | 98,000 | ≥ 100,000 | **missed** |")
	require.NotContains(t, text, busyName+"| transactions/s")
	require.Contains(t, text, busyName+"| lost | – | ≤ 0 | not measured |")
	require.Contains(t, text, "2 of 20 missed")
	require.Empty(t, goalTable(&Run{}))
}

func TestComparison(t *testing.T) {
	for _, c := range []struct {
		name       string
		key        string
		old, now   []float64
		loss, gain bool
	}{
		{"lower is better", Txns, []float64{100}, []float64{50}, false, true},
		{"more transactions are a loss", Txns, []float64{50}, []float64{100}, true, false},
		{"higher is better", InKafka, []float64{1000}, []float64{2000}, false, true},
		{"less throughput is a loss", InKafka, []float64{2000}, []float64{1000}, true, false},
		{"a few percent of one repetition are noise", Txns, []float64{100}, []float64{105}, false, false},
		{"a few percent of many repetitions are not", Txns, []float64{100, 101, 102, 100.5, 101.5}, []float64{105, 106, 107, 105.5, 106.5}, true, false},
		{"too few repetitions for a test", Txns, []float64{100, 101, 102}, []float64{110, 111, 112}, false, false},
		{"repetitions that overlap", Txns, []float64{100, 150, 100, 160, 90}, []float64{120, 140, 110, 150, 100}, false, false},
		{"less than the resolution", CPU + "gw-a", []float64{0.2}, []float64{0.9}, false, false},
		{"a family's member", CPU + "gw-a", []float64{10}, []float64{20}, true, false},
		{"from nothing", Lost, []float64{0}, []float64{1}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := compareValues(c.key, senseOf(c.key), c.old, c.now)
			require.Equal(t, c.loss, got.loss, "loss")
			require.Equal(t, c.gain, got.gain, "gain")
		})
	}
}

// A run is compared with the newest earlier one of the same load, machine and duration.
func TestCompareFindsTheLastRun(t *testing.T) {
	dir := t.TempDir()
	load := Load{Rate: 200, Kafka: Embedded}
	save := func(day int, txns float64, change func(*Run)) *Run {
		r := &Run{Date: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), Revision: "v" + number(float64(day)), Machine: ThisMachine(), Duration: time.Minute}
		r.Add(load, Sample{Txns: txns, Screen + P99: 40, Devices: 7})
		change(r)
		_, err := r.Save(dir, Table(r))
		require.NoError(t, err)
		return r
	}
	same := func(*Run) {}
	save(1, 50, same)
	save(2, 100, same)
	save(3, 1, func(r *Run) { r.Machine.Cores++ })
	save(4, 1, func(r *Run) { r.Duration++ })
	save(5, 1, func(r *Run) { r.Results[0].Load.Busy = 2 })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "20260106-000000.json"), []byte("x"), 0o600))

	now := &Run{Machine: ThisMachine(), Duration: time.Minute}
	now.Add(load, Sample{Txns: 150, Screen + P99: 40, Devices: 7})
	earlier, err := Earlier(dir, now.Machine)
	require.ErrorContains(t, err, "20260106-000000.json")
	require.Len(t, earlier, 4)
	got := Compare(now, earlier)
	require.Contains(t, got.Text, "compared with v2 of 2026-01-02 00:00")
	require.Contains(t, got.Text, "| transactions/s, both | 100 | 150 | +50.0 % | n=1+1 | **worse** |")
	require.Contains(t, got.Text, "1 other figures are unchanged")
	require.Equal(t, []string{"200/s, embedded broker: transactions/s, both: 150, was 100"}, got.Losses)
}

func TestTableShowsMediansOfRepetitions(t *testing.T) {
	r := &Run{Revision: "v1", Machine: Machine{CPU: "Z80", Cores: 2, Go: "go1"}, Duration: time.Minute, Warmup: time.Second}
	for _, v := range []float64{9, 1, 5} {
		s := Sample{Txns: v, CPU + "core": 50, RSS + "core": 3, TopicBytes + "alerts": 1.5, StageCPU + "core": 2.25}
		s.SetAges(Screen, Ages{7, 6, 9, 9.5})
		r.Add(Load{Rate: 10, Batch: 50, Kafka: Embedded}, s)
	}
	text := Table(r)
	require.Contains(t, text, "2 cores (Z80)")
	require.Contains(t, text, "Medians of 3 repetitions")
	require.Contains(t, text, "| transactions/s: bridge / core / both | – / – / 5 |")
	require.Contains(t, text, "| core: CPU % / max RSS MB | 50 / 3 |")
	require.Contains(t, text, "| – alerts | 1.50 |")
	require.Contains(t, text, "| core: CPU, µs a reading | 2.25 |")
	require.Contains(t, text, "| device → WebSocket (100 devices), mean / p50 / p99 / max ms | 7 / 6 / 9 / 9.50 |")
	require.NotContains(t, text, "drain, readings/s")
	require.Contains(t, text, "`make bench-chain RATES=10x50")
}

func TestCaptions(t *testing.T) {
	for key, want := range map[string]string{
		Screen + P50: "device → WebSocket (100 devices), p50 ms", BridgeTxns: "transactions/s, bridge", Lost: "lost",
		CPU + "gw-a": "CPU of gw-a, % of a core", TopicBytes + "alerts": "Kafka log of alerts, bytes a reading", BrokerCPU: "CPU of the broker, % of a core",
	} {
		require.Equal(t, want, caption(key))
	}
}
