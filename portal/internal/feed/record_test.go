package feed

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/store"
)

// copying is a store with the recorders that fill it.
type copying struct {
	tb    testing.TB
	store *store.Store
	feed  *Feed
	reg   *prometheus.Registry
	stop  func()
}

func copyTopics(tb testing.TB, brokers []string, topics topology.Topics, o store.Options) *copying {
	tb.Helper()
	c := &copying{tb: tb, reg: prometheus.NewRegistry()}
	o.Log, o.Registry = quiet, c.reg
	var err error
	c.store, err = store.New(o)
	require.NoError(tb, err)
	c.feed = &Feed{opts: Options{Cluster: kafka.At(brokers...), Topics: topics}, log: quiet}
	c.feed.copyInto(c.store)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it must end before the broker does
	var parts sync.WaitGroup
	parts.Go(func() { _ = c.store.Run(ctx) }) // it returns nil
	for _, r := range c.feed.copies {
		parts.Go(func() { r.run(ctx) })
	}
	c.stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
	})
	tb.Cleanup(c.stop)
	return c
}

func TestACopyIsBehindUntilItHasRead(t *testing.T) {
	f := &Feed{opts: Options{Topics: kafkatest.Topics(t)}, log: quiet}
	f.copyInto(&store.Store{})
	require.True(t, f.StoreBehind())
	require.True(t, f.SecurityBehind())
}

// notes returns the notes of all entries, the oldest first.
func (c *copying) notes() []string {
	l, err := c.store.Trail(c.tb.Context(), &store.TrailQuery{OldestFirst: true}, store.Page{Limit: store.MaxOffset})
	if err != nil {
		return nil
	}
	out := []string{}
	for _, e := range l.Items {
		out = append(out, e.Note)
	}
	return out
}

// has waits until the store has the entries n to m and nothing else.
func (c *copying) has(n, m int) {
	c.tb.Helper()
	want := []string{}
	for i := n; i < m; i++ {
		want = append(want, fmt.Sprint(i))
	}
	require.Eventually(c.tb, func() bool { return len(c.notes()) >= len(want) }, waitTimeout, 10*time.Millisecond)
	require.Equal(c.tb, want, c.notes())
}

func (c *copying) written(result string) float64 {
	c.tb.Helper()
	families, err := c.reg.Gather()
	require.NoError(c.tb, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "portal_store_records_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	require.Fail(c.tb, "no such metric", result)
	return 0
}

// produceEntries writes the entries n to m; their notes are their numbers.
func produceEntries(tb testing.TB, brokers []string, topic string, n, m int) {
	tb.Helper()
	var records []kafkatest.Record
	for i := n; i < m; i++ {
		raw, err := json.Marshal(telemetry.AuditEntry{DeviceID: fmt.Sprint("d", i%7), Note: fmt.Sprint(i)})
		require.NoError(tb, err)
		records = append(records, kafkatest.Record{Key: []byte("d"), Value: raw})
	}
	kafkatest.Produce(tb, brokers, topic, 0, records...)
}

func auditTopic(tb testing.TB, brokers []string, topics topology.Topics) {
	tb.Helper()
	specs := topics.Specs()
	require.NoError(tb, kafka.EnsureTopics(tb.Context(), quiet, kafka.At(brokers...), specs.Audit, specs.Alerts))
}

func TestStoreHasEachRecordOnceAcrossRestarts(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	auditTopic(t, brokers, topics)
	o := store.Options{Path: filepath.Join(t.TempDir(), "portal.db")}
	produceEntries(t, brokers, topics.Audit, 0, 700)
	kafkatest.Produce(t, brokers, topics.Audit, 0, kafkatest.Record{Key: []byte("d"), Value: []byte("{")})
	kafkatest.Produce(t, brokers, topics.Alerts, -1, alert("a1", telemetry.AlertActive))
	c := copyTopics(t, brokers, topics, o)
	produceEntries(t, brokers, topics.Audit, 700, 750)
	c.has(0, 750)
	require.Eventually(t, func() bool { return !c.feed.StoreBehind() }, waitTimeout, 10*time.Millisecond)
	c.stop()

	produceEntries(t, brokers, topics.Audit, 750, 800)
	kafkatest.Produce(t, brokers, topics.Alerts, -1, alert("a1", telemetry.AlertCleared))
	c = copyTopics(t, brokers, topics, o)
	c.has(0, 800)
	require.InDelta(t, 50, c.written("audit"), 0, "it read on where it was")
	require.Eventually(t, func() bool {
		a, err := c.store.Alarm(t.Context(), "a1")
		return err == nil && !a.Active()
	}, waitTimeout, 10*time.Millisecond)
	require.InDelta(t, 0, c.written("refused"), 0)
}

func TestStoreCatchesUpAfterItWasAway(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	auditTopic(t, brokers, topics)
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(dir, []byte("in the way"), 0o600))
	c := copyTopics(t, brokers, topics, store.Options{Path: filepath.Join(dir, "portal.db")})
	produceEntries(t, brokers, topics.Audit, 0, 3000)
	require.Eventually(t, c.feed.StoreBehind, waitTimeout, time.Millisecond)
	require.Nil(t, c.notes())
	require.NoError(t, os.Remove(dir))
	c.has(0, 3000)
	require.Eventually(t, func() bool { return !c.feed.StoreBehind() }, waitTimeout, 10*time.Millisecond)
}

func TestStoreKeepsTheEntriesOfATopicThatIsMadeAgain(t *testing.T) {
	for name, next := range map[string]int{"the old position does not exist": 25, "the old position exists": 50} {
		t.Run(name, func(t *testing.T) {
			brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
			auditTopic(t, brokers, topics)
			o := store.Options{Path: filepath.Join(t.TempDir(), "portal.db")}
			c := copyTopics(t, brokers, topics, o)
			produceEntries(t, brokers, topics.Audit, 0, 20)
			c.has(0, 20)
			kafkatest.DeleteTopic(t, brokers, topics.Audit)
			auditTopic(t, brokers, topics)
			produceEntries(t, brokers, topics.Audit, 20, next)
			c.has(0, next)
			produceEntries(t, brokers, topics.Audit, next, 60)
			c.has(0, 60)
		})
	}
}

func TestARefusedRecordIsLeftOutAlone(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	auditTopic(t, brokers, topics)
	path := filepath.Join(t.TempDir(), "portal.db")
	c := copyTopics(t, brokers, topics, store.Options{Path: path})
	require.Eventually(t, func() bool { return c.store.Up() == nil }, waitTimeout, time.Millisecond)
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "create trigger poison before insert on audit when new.operator = 'poison' begin select raise(abort, 'poison'); end")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	poison, err := json.Marshal(telemetry.AuditEntry{DeviceID: "d", By: "poison", Note: "poison"})
	require.NoError(t, err)
	produceEntries(t, brokers, topics.Audit, 0, 150)
	kafkatest.Produce(t, brokers, topics.Audit, 0, kafkatest.Record{Key: []byte("d"), Value: poison})
	produceEntries(t, brokers, topics.Audit, 150, 300)
	c.has(0, 300)
	require.InDelta(t, 1, c.written("refused"), 0)
	require.InDelta(t, 300, c.written("audit"), 0)
	require.NoError(t, c.store.Up())
}

// TestADamagedStoreGetsTheRecordsAgain overwrites the database while it is filled.
func TestADamagedStoreGetsTheRecordsAgain(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	auditTopic(t, brokers, topics)
	path := filepath.Join(t.TempDir(), "portal.db")
	c := copyTopics(t, brokers, topics, store.Options{Path: path})
	produceEntries(t, brokers, topics.Audit, 0, 2000)
	c.has(0, 2000)
	for _, file := range []string{path + "-wal", path} { // the journal has what is newer
		info, err := os.Stat(file)
		require.NoError(t, err)
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt(bytes.Repeat([]byte("damage"), int(info.Size())/6), 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	// Cached pages are not read from the disk, and some are rewritten. Reading every entry while records
	// come finds the damage.
	all := func(*audit.Entry) error { return nil }
	for n, end := 2000, time.Now().Add(waitTimeout); ; n += 10 {
		produceEntries(t, brokers, topics.Audit, n, n+10)
		if err := c.store.EachEntry(t.Context(), &store.TrailQuery{}, all); err != nil {
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
		if aside, err := filepath.Glob(path + ".damaged-*[0-9]"); err == nil && len(aside) > 0 {
			c.has(0, n+10)
			return
		}
		require.True(t, time.Now().Before(end), "the damage was not found")
	}
}

// TestTheSecurityAuditIsCopiedOnce has two portals that share a database, one that starts again, and what is no record.
func TestTheSecurityAuditIsCopiedOnce(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	o := store.Options{Path: filepath.Join(t.TempDir(), "portal.db")}
	first, second := copyTopics(t, brokers, topics, o), copyTopics(t, brokers, topics, o)
	require.Eventually(t, func() bool { return !first.feed.SecurityBehind() && !second.feed.SecurityBehind() }, waitTimeout, 10*time.Millisecond, "the topic was missing")
	require.True(t, first.feed.StoreBehind(), "the others are missing still")
	chain := securityaudit.NewChain("")
	want := []int64{}
	for i := range int64(20) {
		value := []byte(`{"what":"sign_in"}`)
		if i%5 > 0 {
			r := chain.Link(securityaudit.Record{Time: i, What: securityaudit.SignIn, Outcome: securityaudit.Done, Program: "portal"})
			value, want = r.Encode(), append(want, i)
		}
		kafkatest.Produce(t, brokers, topics.Security, 0, kafkatest.Record{Value: value})
		if i == 10 {
			second.stop()
			second = copyTopics(t, brokers, topics, o)
		}
	}
	for _, c := range []*copying{first, second} {
		offsets := func() []int64 {
			out := []int64{}
			l, err := c.store.Security(t.Context(), &store.SecurityQuery{OldestFirst: true}, store.Page{Limit: 100})
			if err == nil {
				for _, r := range l.Items {
					out = append(out, r.Offset)
				}
			}
			return out
		}
		require.Eventually(t, func() bool { return len(offsets()) >= len(want) }, waitTimeout, 10*time.Millisecond)
		require.Equal(t, want, offsets())
		require.InDelta(t, 0, c.written("refused"), 0)
	}
}
