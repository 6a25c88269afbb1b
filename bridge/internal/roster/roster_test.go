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
	require.NoError(t, r.Observe(wire.StatusSubject(s.Gateway), data))
}

func TestGatewaysComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(t)
		changes, stop := r.Watch()
		defer stop()
		go func() { _ = r.Run(t.Context()) }()

		beat(t, r, wire.GatewayStatus{Gateway: "gw-b", LastSeq: 1})
		beat(t, r, wire.GatewayStatus{Gateway: "gw-a", LastSeq: 7})
		require.Equal(t, []string{"gw-a", "gw-b"}, r.Gateways())
		require.Len(t, changes, 1)
		<-changes

		for range 40 { // gw-a goes on, gw-b is silent
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			beat(t, r, wire.GatewayStatus{Gateway: "gw-a", LastSeq: 8})
		}
		require.Equal(t, []string{"gw-a"}, r.Gateways())
		require.Len(t, changes, 1)
		require.Equal(t, []wire.GatewayStatus{{Gateway: "gw-a", LastSeq: 8}}, r.Statuses())
	})
}

func TestFormerEpochIsRemembered(t *testing.T) {
	r := newRoster(t)
	now, before := r.Heard("gw")
	require.Zero(t, now)
	require.Zero(t, before)
	beat(t, r, wire.GatewayStatus{Gateway: "gw", Epoch: "a", LastSeq: 5})
	beat(t, r, wire.GatewayStatus{Gateway: "gw", Epoch: "a", LastSeq: 9})
	now, before = r.Heard("gw")
	require.Equal(t, uint64(9), now.LastSeq)
	require.Zero(t, before)
	beat(t, r, wire.GatewayStatus{Gateway: "gw", Epoch: "b", LastSeq: 3})
	now, before = r.Heard("gw")
	require.Equal(t, uint64(3), now.LastSeq)
	require.Equal(t, uint64(9), before.LastSeq)
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
			require.ErrorIs(t, r.Observe(tc.subject, []byte(tc.data)), ErrInvalid)
		})
	}
	require.Empty(t, r.Gateways())
}

func TestRosterIsBounded(t *testing.T) {
	r := newRoster(t)
	for i := range maxGateways {
		require.NoError(t, r.take(wire.GatewayStatus{Gateway: fmt.Sprint(i)}))
	}
	require.ErrorIs(t, r.take(wire.GatewayStatus{Gateway: "one-more"}), ErrInvalid)
	require.NoError(t, r.take(wire.GatewayStatus{Gateway: "1"}))
}
