package share

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/portal/internal/operators"
	"industrial-iot-monitor/portal/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAddressesOfRedis(t *testing.T) {
	for _, good := range []string{"redis://h:6379/0", "redis://h", "rediss://user:secret@h:6380/2", "redis://:secret@[::1]:6379"} {
		require.NoError(t, CheckURL(good), good)
	}
	for _, bad := range []string{"", "h:6379", "http://h", "redis://", "redis:///0", "redis://h/x", "redis://u:secret@h:x/0", "unix:///tmp/redis.sock"} {
		err := CheckURL(bad)
		require.ErrorIs(t, err, ErrURL, bad)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestOptionsAreRequired(t *testing.T) {
	_, err := New(Options{})
	require.ErrorIs(t, err, errOptions)
	_, err = New(Options{URL: "x", Prefix: "p", Model: state.New(state.Options{}), Operators: operators.New("p"), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.ErrorIs(t, err, ErrURL)
}

func TestAfterAFailureOneRequestTriesAgain(t *testing.T) {
	var g gate
	now := time.UnixMilli(0)
	require.True(t, g.open(now))
	require.True(t, g.open(now))
	failure := errors.New("away")
	g.result(now, failure)
	g.result(now, failure) // the two were under way together
	require.False(t, g.open(now.Add(retryFirst-1)))
	pause := retryFirst
	for range 5 {
		now = now.Add(pause)
		require.True(t, g.open(now))
		require.False(t, g.open(now), "only one")
		g.result(now, failure)
		pause = min(2*pause, retryMost)
		require.False(t, g.open(now.Add(pause-1)))
	}
	now = now.Add(retryMost)
	require.True(t, g.open(now))
	g.result(now, nil)
	require.True(t, g.open(now))
	g.result(now, failure)
	require.True(t, g.open(now.Add(retryFirst)))
}

func TestDeviceIsMarkedOnce(t *testing.T) {
	var m marks
	devices := make([]*state.Device, 5)
	for i := range devices {
		devices[i] = &state.Device{Index: i}
	}
	m.add(devices...)
	m.add(devices[3], devices[4])
	require.Equal(t, 5, m.length())
	require.EqualValues(t, 2, m.replaced())
	first := m.take(3)
	require.Equal(t, []int{0, 1, 2}, first)
	m.add(devices[1])
	m.back(first)
	require.Equal(t, []int{3, 4, 1, 0, 2}, m.take(10))
	require.Empty(t, m.take(10))
}

func TestRemovalsThatWaitAreBounded(t *testing.T) {
	s, err := New(Options{URL: "redis://127.0.0.1:1", Prefix: "p", Model: state.New(state.Options{}), Operators: operators.New("p"), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.close()) })
	s.Remove("a", 5)
	s.Remove("a", 3)
	list := s.removing.take(10)
	require.Equal(t, map[string]int64{"a": 5}, list)
	s.Remove("a", 7)
	s.removing.back(list)
	require.Equal(t, map[string]int64{"a": 7}, s.removing.take(10))
}
