package roster

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRoster(t *testing.T) *Roster {
	t.Helper()
	r, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return r
}

func beat(t *testing.T, r *Roster, s wire.GatewayStatus) {
	t.Helper()
	data, err := s.Encode()
	require.NoError(t, err)
	_, err = r.Observe(wire.StatusSubject(s.Gateway), data)
	require.NoError(t, err)
}

func TestGatewaysComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(t)
		changes, stop := r.Subscribe()
		defer stop()
		go func() { _ = r.Run(t.Context()) }()

		beat(t, r, wire.GatewayStatus{Gateway: "gw-b", LastSeq: 1})
		beat(t, r, wire.GatewayStatus{Gateway: "gw-a", LastSeq: 7})
		require.Equal(t, []string{"gw-a", "gw-b"}, r.Gateways())
		require.Len(t, changes, 1)
		<-changes

		for range 700 { // gw-a goes on, gw-b is silent
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			beat(t, r, wire.GatewayStatus{Gateway: "gw-a", LastSeq: 8})
		}
		require.Equal(t, []string{"gw-a"}, r.Gateways())
		require.Len(t, changes, 1)
		require.Equal(t, []wire.GatewayStatus{{Gateway: "gw-a", LastSeq: 8}}, r.Statuses())
	})
}

func TestFormerEpochsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(t)
		go func() { _ = r.Run(t.Context()) }()
		require.Empty(t, r.Heard("gw"))
		for i, epoch := range []string{"a", "a", "b", "a"} {
			beat(t, r, wire.GatewayStatus{Gateway: "gw", Epoch: epoch, LastSeq: uint64(i)})
		}
		want := []wire.GatewayStatus{{Gateway: "gw", Epoch: "b", LastSeq: 2}, {Gateway: "gw", Epoch: "a", LastSeq: 3}}
		require.Equal(t, want, r.Heard("gw"))
		require.True(t, r.Listed("gw", time.Second))

		time.Sleep(11 * time.Minute) //nolint:forbidigo // the bubble's clock
		require.Empty(t, r.Gateways())
		require.False(t, r.Listed("gw", time.Hour))
		require.Equal(t, want, r.Heard("gw"), "its claims are needed when it comes back with less")
		for i := range 20 {
			beat(t, r, wire.GatewayStatus{Gateway: "gw", Epoch: fmt.Sprint(i)})
		}
		require.Len(t, r.Heard("gw"), maxEpochs)
	})
}

func TestObserveRefuses(t *testing.T) {
	r := newRoster(t)
	for name, tc := range map[string]struct{ subject, data string }{
		"not JSON":        {"gateways.gw.status", "gw"},
		"no gateway":      {"gateways.gw.status", "{}"},
		"id with a dot":   {"gateways.a.b.status", `{"gateway":"a.b"}`},
		"id with a star":  {"gateways.*.status", `{"gateway":"*"}`},
		"long id":         {"gateways.x.status", `{"gateway":"` + strings.Repeat("x", 65) + `"}`},
		"other's subject": {"gateways.other.status", `{"gateway":"gw"}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Observe(tc.subject, []byte(tc.data))
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
	require.Empty(t, r.Gateways())
}

func TestRosterIsBounded(t *testing.T) {
	r := newRoster(t)
	for i := range maxGateways {
		require.NoError(t, r.record(wire.GatewayStatus{Gateway: fmt.Sprint(i)}))
	}
	require.ErrorIs(t, r.record(wire.GatewayStatus{Gateway: "one-more"}), ErrInvalid)
	require.NoError(t, r.record(wire.GatewayStatus{Gateway: "1"}))
	for i, id := range []string{"2", "3", "4"} {
		r.gateways[id].silent, r.gateways[id].heard = true, time.Now().Add(-time.Duration(i%2+1)*time.Hour)
	}
	require.NoError(t, r.record(wire.GatewayStatus{Gateway: "one-more"}))
	require.NotContains(t, r.gateways, "3", "the one that has been silent for longest makes room")
	require.Len(t, r.gateways, maxGateways)
}
