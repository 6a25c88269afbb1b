package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRound() *Round { return &Round{result: &Result{Fault: &Fault{Name: "x"}}} }

func TestWorstRecoveryIsShown(t *testing.T) {
	r := newRound()
	r.Recovered("free", time.Hour, 0)
	require.Equal(t, "1h0m0s", recovery(r.result))
	r.Recovered("easy", time.Second, 10*time.Second)
	r.Recovered("close", 1900*time.Millisecond, 2*time.Second)
	r.Recovered("easy", 5*time.Second, 10*time.Second)
	require.Equal(t, "1.9s of 2s", recovery(r.result))
	require.True(t, r.result.OK())
	r.Recovered("late", 11*time.Second, 10*time.Second)
	require.Equal(t, "11s of 10s", recovery(r.result))
	require.Equal(t, []string{"late took 11s, limit 10s"}, r.result.Failures)
}

func TestFailuresAreBounded(t *testing.T) {
	r := newRound()
	for range 100 {
		r.Check(false, "no")
	}
	require.Len(t, r.result.Failures, maxFailures)
	require.False(t, r.result.OK())
}

func TestSameSeedSameMoments(t *testing.T) {
	moments := func(seed uint64, name string) []time.Duration {
		r := &Round{Rand: rand.New(rand.NewPCG(seed, nameSeed(name)))}
		var out []time.Duration
		for range 20 {
			d := r.Between(time.Second, 3*time.Second)
			require.GreaterOrEqual(t, d, time.Second)
			require.LessOrEqual(t, d, 3*time.Second)
			out = append(out, d)
		}
		return out
	}
	once := moments(1, "a")
	require.Equal(t, once, moments(1, "a"))
	require.NotEqual(t, moments(1, "a"), moments(2, "a"))
	require.NotEqual(t, moments(1, "a"), moments(1, "b"), "a fault has its own moments, whichever are tried with it")
	require.Equal(t, time.Second, (&Round{Rand: rand.New(rand.NewPCG(1, 1))}).Between(time.Second, time.Second))
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		took, err := Await(t.Context(), "it", func() error {
			if n++; n < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 3*pollInterval, took)
		_, err = AwaitFor(t.Context(), "it", time.Second, func() error { return errors.New("never") })
		require.ErrorContains(t, err, "it: not within 1s: never")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = Await(ctx, "it", func() error { return errors.New("never") })
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestTable(t *testing.T) {
	results := []*Result{
		{
			Fault: &Fault{Name: "one"}, Times: 5, Acked: 1000, InKafka: 1000, Recovery: 1234 * time.Millisecond, Limit: 2 * time.Second, Recovers: "x",
			Ledgers: []LedgerLine{{Gateway: "gw-a", LedgerCounts: wire.LedgerCounts{Committed: 3}, Records: 3}}, Notes: []string{"a note"},
		},
		{Fault: &Fault{Name: "two"}, Times: 1, Acked: 10, InKafka: 8, Lost: 2, Duplicated: 3, OutOfOrder: 4, Failures: []string{"why\nso"}},
		{Fault: &Fault{Name: "three"}, Impossible: "not possible here: no java"},
	}
	var out bytes.Buffer
	Table(&out, results)
	require.Equal(t, ""+
		"  fault|  times|  acknowledged|  in Kafka|  lost|  duplicated|  out of order|     recovery|            verdict|\n"+
		"    one|      5|          1000|      1000|     0|           0|             0|  1.23s of 2s|                 ok|\n"+
		"    two|      1|            10|         8|     2|           3|             4|            -|             FAILED|\n"+
		"  three|      -|             -|         -|     -|           -|             -|            -|  not possible here|\n", out.String())

	d := &drill{Options: Options{Out: &out, Seed: 42, Faults: make([]Fault, 3)}, results: results}
	out.Reset()
	d.report(time.Minute)
	for _, want := range []string{"  failed: why\n    so\n", "  a note\n", "ledger: gw-a ", "three: not possible here: no java\n", "3 faults in 1m0s, seed 42: 1 ok, 1 failed, 1 not possible here"} {
		require.Contains(t, out.String(), want)
	}
}

func TestDrillIsPassedOnlyWhenEverythingHolds(t *testing.T) {
	ok, failed, missing := &Result{}, &Result{Failures: []string{"x"}}, &Result{Impossible: "x"}
	for _, c := range []struct {
		results []*Result
		faults  int
		allow   bool
		want    bool
	}{
		{[]*Result{ok, ok}, 2, false, true},
		{[]*Result{ok}, 2, false, false}, // it was stopped
		{[]*Result{ok, failed}, 2, true, false},
		{[]*Result{ok, missing}, 2, false, false},
		{[]*Result{ok, missing}, 2, true, true},
	} {
		d := &drill{Options: Options{Faults: make([]Fault, c.faults), AllowMissing: c.allow}, results: c.results}
		require.Equal(t, c.want, d.ok(), "%+v", c)
	}
}

func TestLedgerMustAgreeWithKafka(t *testing.T) {
	l := LedgerLine{Gateway: "gw-a", LedgerCounts: wire.LedgerCounts{Committed: 7}, Records: 7}
	require.Empty(t, l.balanced())
	l.Records = 8
	require.Contains(t, l.balanced(), "7 readings committed, device-data has 8")
	l.Difference = -2
	require.Contains(t, l.balanced(), "difference of -2")
}

func TestEnvironment(t *testing.T) {
	require.Equal(t, map[string]string{"A": "1", "B": "x=y"}, environment("A=1;B=x=y"))
	require.Empty(t, environment(""))
}

// write puts readings of a device into a topic; seq names the pack.
func write(t *testing.T, brokers []string, topic, device string, seq int, timestamps ...int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(t, err)
	defer cl.Close()
	for i, ts := range timestamps {
		value := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":1,"room":"101"},"sensors":{}}`, device, ts)
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{
			Topic: topic, Key: []byte(device), Value: []byte(value), Headers: headers(map[string]any{
				wire.HeaderGateway: "gw-a", wire.HeaderEpoch: "1", wire.HeaderSeq: seq, wire.HeaderIndex: i,
			}),
		}).FirstErr())
	}
}

func headers(values map[string]any) []kgo.RecordHeader {
	var out []kgo.RecordHeader
	for k, v := range values {
		out = append(out, kgo.RecordHeader{Key: k, Value: fmt.Append(nil, v)})
	}
	return out
}

// ledger writes a device's ledger.
func ledger(t *testing.T, device string, timestamps ...int64) []string {
	t.Helper()
	var b strings.Builder
	for _, ts := range timestamps {
		fmt.Fprintf(&b, "%s,%d,1\n", device, ts)
	}
	name := filepath.Join(t.TempDir(), "ledger")
	require.NoError(t, os.WriteFile(name, []byte(b.String()), 0o600))
	return []string{name}
}

// TestTallyCountsLossDuplicatesAndDisorder settles one tally after another on one topic.
func TestTallyCountsLossDuplicatesAndDisorder(t *testing.T) {
	brokers, topic := kafkatest.Brokers(t), kafkatest.Name(t, "tally")
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 3}))
	b, err := openTallies(brokers, topic, nil)
	require.NoError(t, err)
	defer b.reader.Close()

	first := b.open()
	ts := first.from
	b.follow()
	write(t, brokers, topic, "d", 1, ts, ts+1, ts+2)
	require.Eventually(t, func() bool { return b.count("gw-a") == 3 }, time.Minute, 10*time.Millisecond)
	b.pause()
	v, err := b.settle(t.Context(), first, ledger(t, "d", ts, ts+1, ts+2), false)
	require.NoError(t, err)
	require.NoError(t, v.Err())
	require.Equal(t, 3, v.InKafka)

	require.Eventually(t, func() bool { return time.Now().UnixMilli() > ts+10 }, time.Minute, time.Millisecond)
	second := b.open()
	ts2 := second.from
	write(t, brokers, topic, "d", 2, ts2, ts2+2, ts2+1) // out of order
	write(t, brokers, topic, "d", 2, ts2)               // doubled
	write(t, brokers, topic, "d", 1, ts)                // of the first tally, again
	v, err = b.settle(t.Context(), second, ledger(t, "d", ts2, ts2+1, ts2+2, ts2+3), true)
	require.ErrorContains(t, err, "readings of an earlier fault arrived again")
	require.Equal(t, []int{4, 3, 1, 1, 1}, []int{v.Acked, v.InKafka, v.Lost, v.Duplicated, v.OutOfOrder})
}

func TestInvalidRecordIsAnErrorUnlessIgnored(t *testing.T) {
	brokers, topic := kafkatest.Brokers(t), kafkatest.Name(t, "tally-invalid")
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 1}))
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr())
	for _, allowed := range []bool{false, true} {
		b, err := openTallies(brokers, topic, nil)
		require.NoError(t, err)
		b.ignored = func(*kgo.Record) bool { return allowed }
		a := b.open()
		a.oracle.Acked("d", 1)
		_, err = b.settle(t.Context(), a, nil, true)
		require.Equal(t, allowed, err == nil, "%v", err)
		b.reader.Close()
	}
}
