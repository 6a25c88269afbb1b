package gateways

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	start  = 1_700_000_000_000
	second = 1000
)

// story drives a Judge second by second.
type story struct {
	t   *testing.T
	j   *Judge
	now int64
}

func begin(t *testing.T) *story {
	t.Helper()
	s := &story{t: t, j: New(Options{Silence: 10 * time.Second, Horizon: time.Hour}, start), now: start}
	s.j.Link(true, start)
	return s
}

func (s *story) beat(n int, bend func(*wire.GatewayStatus)) {
	for range n {
		s.now += second
		status := wire.GatewayStatus{Gateway: "gw", Epoch: "e", Time: s.now, HorizonSeconds: -1, BufferLimit: 100}
		if bend != nil {
			bend(&status)
		}
		s.j.Heartbeat(status, s.now)
	}
}

func (s *story) ledger(bend func(*wire.GatewayLedger)) {
	l := wire.GatewayLedger{Gateway: "gw"}
	bend(&l)
	s.j.Ledger(l, s.now)
}

func (s *story) wait(n int64) { s.now += n * second }

func (s *story) look() Verdict {
	v, _ := s.j.Check("gw", s.now)
	return v
}

// finding returns whether a kind is judged and whether it holds.
func (s *story) finding(kind string) (judged, holds bool) {
	for _, f := range s.look().Findings {
		if f.Type == kind {
			require.NotEmpty(s.t, f.Message)
			require.NotEmpty(s.t, f.Threshold.Parameter)
			return true, f.Holds
		}
	}
	return false, false
}

func (s *story) require(kind string, want bool) {
	s.t.Helper()
	judged, holds := s.finding(kind)
	require.True(s.t, judged, "%s is judged", kind)
	require.Equal(s.t, want, holds, kind)
}

func TestAGatewayIsDownWhenItIsSilent(t *testing.T) {
	s := begin(t)
	s.beat(30, nil)
	require.Equal(t, Up, s.look().Presence)
	require.EqualValues(t, start, s.look().Back, "it was never away")
	s.require(Down, false)
	s.wait(5)
	require.Equal(t, Doubtful, s.look().Presence)
	judged, _ := s.finding(Down)
	require.False(t, judged, "not judged while in doubt")
	s.wait(6)
	require.Equal(t, Gone, s.look().Presence)
	s.require(Down, true)
	s.beat(1, nil)
	require.Equal(t, Up, s.look().Presence)
	require.Equal(t, s.now, s.look().Back)
	s.require(Down, false)
}

func TestWithoutTheHubThereIsNoVerdict(t *testing.T) {
	s := begin(t)
	s.beat(30, nil)
	s.j.Link(false, s.now)
	s.wait(60)
	require.Equal(t, Unknown, s.look().Presence)
	require.Empty(t, s.look().Findings)
	s.j.Link(true, s.now)
	s.wait(5)
	require.Equal(t, Unknown, s.look().Presence, "gateways have to reconnect too")
	require.Equal(t, s.now-5*second, s.look().Back, "a silent one gets another chance")
	s.wait(20)
	require.Equal(t, Gone, s.look().Presence)
}

func TestAtTheStartGatewaysHaveTime(t *testing.T) {
	s := begin(t)
	s.j.Expect("gw")
	s.wait(15)
	require.NotEqual(t, Gone, s.look().Presence)
	s.wait(60)
	require.Equal(t, Gone, s.look().Presence, "records name it and no heartbeat arrives")
	v, expected := s.j.Check("stranger", s.now)
	require.False(t, expected)
	require.Equal(t, Up, v.Presence, "it is not expected")
	s.j.Expect("a.b")
	require.Equal(t, []string{"gw"}, s.j.Names(), "not a valid name")
}

func TestLiveReadingsAreSignsOfLife(t *testing.T) {
	s := begin(t)
	s.beat(30, nil)
	s.wait(9)
	s.j.Alive("gw", s.now)
	s.wait(3)
	require.Equal(t, Up, s.look().Presence)
	s.j.Alive("stranger", s.now)
	require.Len(t, s.j.Names(), 1)
	require.Equal(t, map[string]int64{"gw": s.now - 3*second}, s.j.Live())
}

func TestWhatDoesNotComeThroughIsNoSilence(t *testing.T) {
	s := begin(t)
	taken := uint64(0)
	taking := func(w *wire.GatewayStatus) { taken++; w.Accepted = taken }
	s.beat(2, nil)
	require.True(t, s.look().Flows, "nothing was accepted")
	s.beat(1, taking)
	require.False(t, s.look().Flows)
	s.j.Alive("gw", s.now)
	require.True(t, s.look().Flows)
	s.beat(10, taking) // and Kafka is down
	require.False(t, s.look().Flows)
	s.j.Alive("gw", s.now-2*second)
	require.True(t, s.look().Flows)
}

func TestFindings(t *testing.T) {
	for _, tt := range []struct {
		kind        string
		bad, good   func(*wire.GatewayStatus)
		after, back int // heartbeats until it is found, and until it is over
	}{
		{Full, func(w *wire.GatewayStatus) { w.BufferFull = true }, nil, 1, 1},
		{Horizon, func(w *wire.GatewayStatus) { w.HorizonSeconds = 3000 }, func(w *wire.GatewayStatus) { w.HorizonSeconds = 9000 }, 61, 1},
		{Clock, func(w *wire.GatewayStatus) { w.Time = 5000 }, nil, 6, 1},
		{Clock, func(w *wire.GatewayStatus) { w.Time += 10 * 365 * 86_400_000 }, nil, 6, 1},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			s := begin(t)
			s.beat(20, tt.good)
			s.require(tt.kind, false)
			if tt.after > 1 {
				s.beat(tt.after-1, tt.bad)
				s.require(tt.kind, false)
			}
			s.beat(1, tt.bad)
			s.require(tt.kind, true)
			s.beat(tt.back, tt.good)
			s.require(tt.kind, false)
		})
	}
}

func TestHorizonDoesNotFlutter(t *testing.T) {
	s := begin(t)
	s.beat(70, func(w *wire.GatewayStatus) { w.HorizonSeconds = 3000 })
	s.beat(5, func(w *wire.GatewayStatus) { w.HorizonSeconds = 4000 })
	s.require(Horizon, true)
	s.beat(5, func(w *wire.GatewayStatus) { w.HorizonSeconds = 5000 })
	s.require(Horizon, false)
}

func TestLedger(t *testing.T) {
	s := begin(t)
	s.beat(20, nil)
	judged, _ := s.finding(Ledger)
	require.False(t, judged, "there is none yet")
	wrong := func(l *wire.GatewayLedger) { l.Difference = 3; l.Duplicate = "instance 2" }
	s.ledger(wrong)
	s.require(Ledger, false) // it may be the matter of a moment
	s.require(Duplicate, true)
	s.beat(5, nil)
	s.ledger(wrong)
	s.require(Ledger, true)
	s.ledger(func(*wire.GatewayLedger) {})
	s.require(Ledger, false)
	s.require(Duplicate, false)
	s.beat(10, nil)
	judged, _ = s.finding(Ledger)
	require.False(t, judged, "an old ledger is not judged")
}

func TestDamageIsShownForAWhile(t *testing.T) {
	s := begin(t)
	s.beat(20, nil)
	s.ledger(func(l *wire.GatewayLedger) { l.Total.Damaged = 7 })
	s.require(Damaged, false) // that was before
	s.ledger(func(l *wire.GatewayLedger) { l.Total.Damaged, l.Total.DamagedPacks = 9, 1 })
	s.require(Damaged, true)
	s.now += damageShown
	s.beat(1, nil)
	s.require(Damaged, false)

	s = begin(t)
	s.beat(1, func(w *wire.GatewayStatus) { w.DamagedBytes = 1 })
	s.require(Damaged, true)
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := NewWatchdog(nil, Options{Silence: 1})
	require.Error(t, err)
	_, err = NewWatchdog(slog.New(slog.DiscardHandler), Options{})
	require.Error(t, err)
}
