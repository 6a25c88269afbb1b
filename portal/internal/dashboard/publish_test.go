package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

func TestClosingAClientLeavesEachOtherInItsPlace(t *testing.T) {
	g := newStage(t, Limits{})
	var all []*Session
	for range 4 {
		s, _ := g.follow("stats")
		all = append(all, s)
	}
	for _, i := range []int{0, 3, 1, 2} {
		all[i].Close()
		subs := g.p.topics["stats"].subs
		for place, sub := range subs {
			require.Equal(t, place, sub.place)
			require.False(t, sub.gone)
		}
	}
	require.Empty(t, g.p.topics["stats"].subs)
}

func TestRunPublishesWhatIsDueUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newStage(t, Limits{})
		g.model = state.New(state.Options{})
		g.p = newTestPublisher(t, g.model)
		ran := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ran <- g.p.Run(ctx) }()
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["stats","device/d","alerts"]}`))
		synctest.Wait()
		require.Len(t, g.lines(s), 5)
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"delta stats 1/0 {}"}, g.lines(s))
		read := func(v float64) { g.now = time.Now(); g.read("d", v, false); synctest.Wait() }
		read(1)
		require.Contains(t, g.lines(s)[0], "delta device/d 1/0")
		<-time.After(40 * time.Millisecond)
		read(2)
		require.Empty(t, g.lines(s))
		<-time.After(59 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, g.lines(s))
		<-time.After(time.Millisecond)
		synctest.Wait()
		require.Contains(t, g.lines(s)[0], "delta device/d 2/0")
		g.raise("a", "d")
		synctest.Wait()
		require.Contains(t, g.lines(s)[0], "delta alerts 1/0")
		cancel()
		require.NoError(t, <-ran)
	})
}

func TestNumbersAreDecimal(t *testing.T) {
	g := newStage(t, Limits{FrameBytes: 4096})
	for i := range 12 {
		g.model.ApplyState(telemetry.DeviceState{DeviceID: fmt.Sprint("d", i), Presence: telemetry.PresenceOnline})
	}
	g.now = g.now.Add(time.Second)
	ms := g.now.UnixMilli()
	g.receive("gw-a", wire.FrameEntry{Device: "d11", Timestamp: ms, Received: ms},
		`"location":{"building":"A","floor":11,"room":"101"},"sensors":{"temperature":{"value":11.5}}`)
	for i := range 11 {
		g.alarm(func(a *telemetry.Alert) { a.AlertID, a.DeviceID = fmt.Sprint("a", i), "d11" })
	}
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","topics":["fleet","sensor/temperature"]}`))
	g.work()
	lines := g.lines(s)
	require.Contains(t, lines[2], `,[11,"d11","A",11,"101","","gw-a",1,2,11,"",[],0]]`)
	require.Contains(t, lines[3], `[[11,11.5]]`)
	g.alarm(func(a *telemetry.Alert) { a.AlertID, a.DeviceID = "b", "d11" })
	g.second()
	require.Contains(t, g.lines(s)[0], `{"states":[[11,1,2,12,0]]}`)
	top := g.p.topics["fleet"]
	require.Contains(t, string(deltaFrame(top, 11, 12, []byte("1"))), `"seq":11,"ts":12,"data":1}`)
	require.Contains(t, string(laggedFrame(top, 13)), `"dropped":13}`)
	parts := snapshotFrames(top, 1, 2, make([][]byte, 12))
	require.Contains(t, string(parts[10]), `"part":11,"parts":12`)
}

func TestSnapshotThatManyWaitForIsMadeOnce(t *testing.T) {
	g := newStage(t, Limits{})
	var all []*Session
	for range 3 {
		s, _ := g.open()
		s.Handle([]byte(`{"type":"subscribe","topics":["stats"]}`))
		all = append(all, s)
	}
	require.Len(t, g.p.wanted, 1)
	g.work()
	require.Equal(t, uint64(1), g.p.topics["stats"].made)
	for _, s := range all {
		require.Len(t, g.lines(s), 3)
	}
	g.now = g.now.Add(time.Hour)
	all[0].Handle([]byte(`{"type":"subscribe","topics":["stats"]}`))
	require.Len(t, g.p.wanted, 1, "a later request is noted again")
}

func TestFramesAreCountedByKindOfTopic(t *testing.T) {
	g := newStage(t, Limits{})
	reg := prometheus.NewRegistry()
	m, err := newMetrics(reg)
	require.NoError(t, err)
	g.p.metrics = m
	s, _ := g.follow("fleet", "stats")
	for i := range stateDeltas + 2 {
		g.read(fmt.Sprint("d", i), 1, false)
		g.second()
	}
	g.got(s)
	g.p.publish(g.p.topics["stats"], 1, make([]byte, g.p.maxData()+1), 0)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, v := range f.GetMetric() {
			name := strings.TrimSuffix(strings.TrimPrefix(f.GetName(), "portal_dashboard_"), "_total")
			for _, l := range v.GetLabel() {
				name += " " + l.GetValue()
			}
			if n := v.GetCounter().GetValue(); n != 0 && !strings.HasPrefix(name, "bytes") {
				got[name] = n
			}
		}
	}
	require.Equal(t, map[string]float64{
		"frames reply": 2, "frames fleet": 2, "frames stats": 3, "oversized": 1,
		"lagged fleet": 1, "lagged stats": 1, "dropped fleet": stateDeltas + 2, "dropped stats": stateDeltas + 1,
	}, got)
	_, err = newMetrics(reg)
	require.Error(t, err, "registered already")
}

func TestTopicThatDidNotFitWaitsOnceHoweverMuchComes(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("stats", "gateways")
	g.second()
	require.True(t, s.Gather(&Batch{}, 1))
	for range 3 {
		g.second()
	}
	require.LessOrEqual(t, len(s.fifo), 2)
	require.NotEmpty(t, g.lines(s))
}

func TestSecondReadingOfTheSameMillisecondWaits(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("device/d")
	g.read("d", 1, false)
	g.work()
	require.Len(t, g.lines(s), 1)
	g.read("d", 2, false)
	require.Equal(t, 100*time.Millisecond, g.p.sendDevices())
	require.Empty(t, g.lines(s))
}

func TestClientUpToEightDeltasBehindGetsThemAll(t *testing.T) {
	for behind, want := range map[int]int{stateDeltas: stateDeltas, stateDeltas + 1: 1} {
		g := newStage(t, Limits{})
		s, _ := g.follow("fleet")
		for i := range behind {
			g.read(fmt.Sprint("d", i), 1, false)
			g.second()
		}
		lines := g.lines(s)
		require.Len(t, lines, want)
		require.Equal(t, behind > stateDeltas, strings.HasPrefix(lines[0], "lagged"))
	}
}

func TestSecondScanOfAMillisecondGivesNoSignOfLife(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("fleet")
	g.read("d", 1, false)
	g.second()
	require.Len(t, g.lines(s), 1)
	g.p.scanAndPublish(g.now.UnixMilli(), true)
	require.Empty(t, g.lines(s))
}

// oneByOne gathers with room for one frame at a time and returns the first message of each
// batch: type, topic, seq.
func (g *stage) oneByOne(s *Session) (lines []string) {
	g.tb.Helper()
	for more := true; more; {
		var b Batch
		more = s.Gather(&b, 1)
		if len(b.Buf) == 0 {
			continue
		}
		var m struct {
			Type, Topic string
			Seq         uint64
		}
		require.NoError(g.tb, json.Unmarshal(body(b.Buf), &m))
		lines = append(lines, fmt.Sprint(m.Type, " ", m.Topic, " ", m.Seq))
	}
	return lines
}

func TestAlertsKeepTheirOrderWhenThereIsLittleRoom(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("alerts")
	g.raise("a1", "d")
	g.raise("a2", "d")
	s.Handle([]byte(`{"type":"subscribe","topics":["alerts"]}`))
	g.p.makeSnapshots()
	g.raise("a3", "d")
	g.work()
	require.Equal(t, []string{"ack  0", "delta alerts 1", "delta alerts 2", "snapshot alerts 2", "delta alerts 3"}, g.oneByOne(s))
}

func TestAlertsOvertakeWhatElseWaits(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("stats", "alerts", "gateways")
	g.second()
	g.raise("a1", "d")
	g.work()
	lines := g.oneByOne(s)
	require.Len(t, lines, 3)
	require.Equal(t, "delta alerts 1", lines[0])
}

func TestCommandResultCannotReplaceTheRequestsID(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.answer("8", map[string]any{"id": "other", "type": "other", "b": 1, "a": 2})
	require.Equal(t, `{"type":"command_result","id":"8","a":2,"b":1}`, string(body(s.replies[1]))) //nolint:testifylint // JSONEq would take the last of two ids
}

func TestAcksNameTheTopicsAskedFor(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"subscribe","id":"1","topics":["fleet","stats","fleet"]}`))
	s.Handle([]byte(`{"type":"unsubscribe","id":"2","topics":["stats","gateways"]}`))
	require.JSONEq(t, `{"type":"ack","id":"1","topics":["fleet","stats"]}`, string(body(s.replies[1])))
	require.JSONEq(t, `{"type":"ack","id":"2","topics":["stats","gateways"]}`, string(body(s.replies[2])))
}

func TestBatchThatIsExactlyFullTakesNoMore(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.open()
	s.Handle([]byte(`{"type":"ping"}`))
	var b Batch
	hello := s.replies[0]
	require.True(t, s.Gather(&b, len(hello)))
	require.Equal(t, hello, b.Buf)
	require.False(t, s.Gather(&b, len(hello)+1))
	require.Greater(t, len(b.Buf), len(hello))
}
