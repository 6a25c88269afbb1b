package audit

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func entry(t *testing.T, partition int32, offset, at int64, e telemetry.AuditEntry) *Entry {
	t.Helper()
	if e.DeviceID == "" {
		e.DeviceID = "d1"
	}
	raw, err := json.Marshal(e)
	require.NoError(t, err)
	out, err := Parse(raw, partition, offset, at)
	require.NoError(t, err)
	return out
}

func everything(*Entry) bool { return true }

func times(list []*Entry) (out []int64) {
	for _, e := range list {
		out = append(out, e.RecordedAt)
	}
	return out
}

func TestNewestEntriesAreKeptWhateverTheirPartition(t *testing.T) {
	trail := NewTrail(100)
	require.Zero(t, trail.Since())
	for at := range int64(100) { // one partition is read before the other
		trail.Add(entry(t, 0, at, 2*at, telemetry.AuditEntry{CommandID: fmt.Sprint("c", 2*at), Outcome: telemetry.OutcomeApplied}))
	}
	require.Zero(t, trail.Since(), "nothing was dropped")
	for at := range int64(100) {
		trail.Add(entry(t, 1, at, 2*at+1, telemetry.AuditEntry{}))
	}
	got := times(trail.Find(everything))
	require.Len(t, got, 100)
	require.IsIncreasing(t, got)
	require.Equal(t, int64(100), got[0])
	require.Equal(t, int64(99), trail.Since())
	require.Nil(t, trail.Outcome("c98"), "it is dropped with its entry")
	require.NotNil(t, trail.Outcome("c100"))
	require.Equal(t, Figures{Kept: 100, Limit: 100, Total: 200}, trail.Figures())
	trail.Skipped(50)
	require.Equal(t, int64(99), trail.Since())
	trail.Skipped(150)
	require.Equal(t, int64(150), trail.Since())
}

func TestMemoryStaysBounded(t *testing.T) {
	trail := NewTrail(10)
	for at := range int64(10_000) {
		trail.Add(entry(t, 0, at, at, telemetry.AuditEntry{CommandID: fmt.Sprint(at), Outcome: telemetry.OutcomeApplied}))
		require.LessOrEqual(t, len(trail.entries), 13)
		require.LessOrEqual(t, len(trail.outcomes), 13)
	}
	require.Equal(t, int64(9990), trail.Find(everything)[0].RecordedAt)
}

func TestWaitersGetTheOutcomeOnce(t *testing.T) {
	trail := NewTrail(10)
	first, stop := trail.Await("c1")
	second, stopSecond := trail.Await("c1")
	gone, stopGone := trail.Await("c1")
	stopGone()
	defer stop()
	defer stopSecond()
	trail.Add(entry(t, 0, 0, 1, telemetry.AuditEntry{CommandID: "c1"})) // a transition, no outcome
	require.Empty(t, first)
	trail.Add(entry(t, 0, 1, 2, telemetry.AuditEntry{CommandID: "c1", Outcome: telemetry.OutcomeApplied}))
	trail.Add(entry(t, 0, 2, 3, telemetry.AuditEntry{CommandID: "c1", Outcome: telemetry.OutcomeNothing})) // sent again
	for _, ch := range []<-chan *Entry{first, second} {
		require.Equal(t, telemetry.OutcomeApplied, (<-ch).Outcome)
	}
	require.Empty(t, gone)
	late, stopLate := trail.Await("c1")
	defer stopLate()
	require.Equal(t, telemetry.OutcomeApplied, (<-late).Outcome)
	require.Zero(t, trail.Figures().Waiting)
}

func TestEntriesComeInTheOrderOfRecording(t *testing.T) {
	trail := NewTrail(10)
	require.Empty(t, trail.Find(everything))
	trail.Add(entry(t, 0, 0, 2, telemetry.AuditEntry{}))
	trail.Add(entry(t, 1, 0, 1, telemetry.AuditEntry{}))
	require.Equal(t, []int64{1, 2}, times(trail.Find(everything)))
	trail.Add(entry(t, 0, 1, 4, telemetry.AuditEntry{}))
	trail.Add(entry(t, 1, 1, 3, telemetry.AuditEntry{}))
	require.Equal(t, []int64{1, 2, 3, 4}, times(trail.Find(everything)))
	require.Equal(t, []int64{2}, times(trail.Find(func(e *Entry) bool { return e.RecordedAt == 2 })))
}

func TestLimitIsExact(t *testing.T) {
	trail := NewTrail(100)
	add := func(at int64) { trail.Add(entry(t, 0, at, at, telemetry.AuditEntry{})) }
	for at := range int64(125) {
		add(at)
	}
	require.Len(t, trail.entries, 125, "it is not trimmed entry by entry")
	require.Equal(t, 100, trail.Figures().Kept)
	add(125)
	require.Len(t, trail.entries, 100)
	add(126)
	require.Equal(t, int64(26), trail.Since())
	require.Equal(t, int64(27), trail.Find(everything)[0].RecordedAt)
	add(127)
	require.Len(t, trail.Find(everything), 100)
}

func TestStoppedWaiterDoesNotStopOthers(t *testing.T) {
	trail := NewTrail(10)
	stays, stop := trail.Await("c1")
	_, leave := trail.Await("c1")
	leave()
	require.Equal(t, 1, trail.Figures().Waiting)
	trail.Add(entry(t, 0, 0, 1, telemetry.AuditEntry{CommandID: "c1", Outcome: telemetry.OutcomeApplied}))
	require.Len(t, stays, 1)
	stop()
	_, leave = trail.Await("c2")
	leave()
	require.Zero(t, trail.Figures().Waiting)
}

func TestForgottenPartitionIsGone(t *testing.T) {
	trail := NewTrail(10)
	trail.Add(entry(t, 0, 0, 1, telemetry.AuditEntry{CommandID: "a", Outcome: telemetry.OutcomeApplied}))
	trail.Add(entry(t, 1, 0, 2, telemetry.AuditEntry{}))
	trail.Forget(0)
	require.Equal(t, []int64{2}, times(trail.Find(everything)))
	require.Nil(t, trail.Outcome("a"))
}

func TestTrailIsSafeForConcurrentUse(t *testing.T) {
	trail := NewTrail(50)
	var all sync.WaitGroup
	for k := range int32(4) {
		entries := make([]*Entry, 200)
		for i := range entries {
			entries[i] = entry(t, k, int64(i), int64(i), telemetry.AuditEntry{CommandID: fmt.Sprint(k, "-", i), Outcome: telemetry.OutcomeApplied})
		}
		all.Go(func() {
			for _, e := range entries {
				ch, stop := trail.Await(e.CommandID)
				trail.Add(e)
				<-ch
				stop()
				trail.Find(everything)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(800), trail.Figures().Total)
}

func TestParseRefusesMalformedEntries(t *testing.T) {
	for _, s := range []string{``, `{`, `[]`, `{}`, `{"device_id":5}`, "{\"device_id\":\"d\",\"note\":\"\xff\"}"} {
		_, err := Parse([]byte(s), 0, 0, 0)
		require.Error(t, err, s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"device_id":"d","time":1,"event":"raised"}`))
	f.Add([]byte(`{"device_id":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data, 1, 2, 3)
		if err != nil {
			return
		}
		require.NotEmpty(t, e.DeviceID)
		trail := NewTrail(1)
		trail.Add(e)
		_, err = json.Marshal(trail.Find(everything))
		require.NoError(t, err)
	})
}
