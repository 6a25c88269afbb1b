package fanout

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/state"
)

func TestZeroLimitIsTheDefaultAndNegativeIsNone(t *testing.T) {
	v := reflect.ValueOf(Limits{}.withDefaults())
	for i := range v.NumField() {
		require.True(t, v.Field(i).IsValid() && !v.Field(i).IsZero(), v.Type().Field(i).Name)
	}
	given := Limits{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	require.Equal(t, given, given.withDefaults())
	from := netip.MustParseAddr("192.0.2.1")
	for limit, want := range map[int]bool{0: true, 5: false, -1: true} {
		b := quietBroadcaster(t, Limits{PerAddress: limit, RecentBytes: limit})
		b.from[from] = 10
		require.Equal(t, want, b.roomFrom(from), limit)
		b.from[from] = 200
		require.Equal(t, limit < 0, b.roomFrom(from), limit)
	}
}

// quietBroadcaster returns one that does not run.
func quietBroadcaster(tb testing.TB, l Limits) *Broadcaster {
	tb.Helper()
	b, err := New(Options{Model: state.New(state.Options{}), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Limits: l})
	require.NoError(tb, err)
	return b
}

// trickle is a connection whose peer reads a few bytes per write, just before its deadline.
type trickle struct {
	net.Conn
	deadline time.Time
	takes    []int // bytes per write; the last one counts for all further writes
	got      int
}

func (s *trickle) SetWriteDeadline(t time.Time) error { s.deadline = t; return nil }
func (s *trickle) CloseWrite() error                  { return nil }

func (s *trickle) Write(p []byte) (int, error) {
	n := min(s.takes[0], len(p))
	if len(s.takes) > 1 {
		s.takes = s.takes[1:]
	}
	s.got += n
	if n == len(p) {
		return n, nil
	}
	<-time.After(time.Until(s.deadline))
	return n, os.ErrDeadlineExceeded
}

func TestSlowClientThatDoesReadIsKeptAndAStalledOneIsCut(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes []int
		kept  bool
		after time.Duration
	}{
		{"one byte at a time for longer than the timeout", []int{1}, true, 99 * 2500 * time.Millisecond},
		{"pauses shorter than the timeout", []int{1, 0, 0, 0, 1, 0, 0, 0, 98}, true, 20 * time.Second},
		{"stalls", []int{0}, false, 10*time.Second + 5*time.Second},
		{"stalls after progress", []int{1, 1, 0}, false, 5*time.Second + 10*time.Second + 5*time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := quietBroadcaster(t, Limits{WriteStallTimeout: 10 * time.Second, CloseTimeout: 5 * time.Second})
				raw := &trickle{takes: c.takes}
				cl := &client{broadcaster: b, raw: raw, urgent: make(chan struct{}, 1)}
				start := time.Now()
				frame := dashboard.TextFrame(make([]byte, 98))
				require.Equal(t, c.kept, cl.send(&batch{buf: frame}))
				require.Equal(t, c.after, time.Since(start))
				if c.kept {
					require.Equal(t, len(frame), raw.got)
					require.Equal(t, int64(len(frame)), b.Stats().Bytes)
				} else {
					require.Equal(t, int64(1), b.Stats().ClosedSlow)
				}
			})
		})
	}
}
