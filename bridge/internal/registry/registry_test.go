package registry

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/access"
)

func newRegistry(t *testing.T, mode Mode, keep func(context.Context, string, []byte) error) *Registry {
	t.Helper()
	if keep == nil {
		keep = func(context.Context, string, []byte) error { return nil }
	}
	r, err := New(Options{Mode: mode, Keep: keep, Changed: func() {}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	r.Complete()
	return r
}

func newKey(t *testing.T) string {
	t.Helper()
	kp, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := kp.PublicKey()
	require.NoError(t, err)
	return public
}

// count returns how many connections were refused for a reason.
func (r *Registry) count(t *testing.T, reason string) int {
	t.Helper()
	var m dto.Metric
	require.NoError(t, r.refused.WithLabelValues(reason).Write(&m))
	return int(m.GetCounter().GetValue())
}

func (r *Registry) gatewayErr(id, key, secret string) error {
	_, _, err := r.Gateway(id, key, secret)
	return err
}

func TestBadRecordLeavesTheOneBeforeInForce(t *testing.T) {
	r := newRegistry(t, Required, nil)
	key := newKey(t)
	g, c := access.Gateway{ID: "gw-a", Keys: []access.Key{{Public: key}}}, access.Client{Name: "core", Role: access.RoleCore, Public: key}
	r.Apply(access.GatewayRecordKey("gw-a"), g.Encode())
	r.Apply(access.ClientRecordKey("core"), c.Encode())
	for _, bad := range []string{"", "{", `{"id":"gw-b"}`, `{"id":"gw-a","keys":[{"public":"x"}]}`} {
		r.Apply(access.GatewayRecordKey("gw-a"), []byte(bad))
		r.Apply(access.ClientRecordKey("core"), []byte(bad))
	}
	other := access.Client{Name: "portal", Role: access.RolePortal, Public: key}
	r.Apply(access.ClientRecordKey("core"), other.Encode())
	r.Apply("device/d1", []byte("of a newer version"))
	require.NoError(t, r.gatewayErr("gw-a", key, ""))
	known, err := r.Client(key)
	require.NoError(t, err)
	require.Equal(t, access.RoleCore, known.Role)

	r.Apply(access.GatewayRecordKey("gw-a"), nil)
	r.Apply(access.ClientRecordKey("core"), nil)
	require.ErrorIs(t, r.gatewayErr("gw-a", key, ""), access.ErrUnknown)
	_, err = r.Client(key)
	require.ErrorIs(t, err, ErrClient)
	require.Equal(t, 1, r.count(t, "unknown"))
	require.Equal(t, 1, r.count(t, "client"))
}

func TestProgramWithANewKeyLosesTheOldOne(t *testing.T) {
	r := newRegistry(t, Required, nil)
	first, second := newKey(t), newKey(t)
	for _, key := range []string{first, second} {
		c := access.Client{Name: "core", Role: access.RoleCore, Public: key}
		r.Apply(access.ClientRecordKey("core"), c.Encode())
	}
	_, err := r.Client(first)
	require.ErrorIs(t, err, ErrClient)
	_, err = r.Client(second)
	require.NoError(t, err)
}

func TestClaimIsNotUsedUnlessThatIsWrittenDown(t *testing.T) {
	away := errors.New("kafka is away")
	fail := true
	r := newRegistry(t, Required, func(ctx context.Context, _ string, _ []byte) error {
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		if fail {
			return away
		}
		return nil
	})
	g := access.Gateway{ID: "gw-a", Claim: &access.Open{Hash: access.HashOf("s"), Until: time.Now().Add(time.Hour).UnixMilli()}}
	r.Apply(access.GatewayRecordKey("gw-a"), g.Encode())
	key := newKey(t)
	require.ErrorIs(t, r.gatewayErr("gw-a", key, "s"), away)
	require.Equal(t, 1, r.count(t, otherReason))
	require.ErrorIs(t, r.gatewayErr("gw-a", key, ""), access.ErrKey)
	fail = false
	require.NoError(t, r.gatewayErr("gw-a", key, "s"))
	require.NoError(t, r.gatewayErr("gw-a", key, ""))
}

func TestObserveRemembersABoundedNumber(t *testing.T) {
	r := newRegistry(t, Observe, nil)
	for i := range maxUnproved + 10 {
		require.NoError(t, r.gatewayErr("gw-"+time.Duration(i).String(), "", ""))
	}
	require.Len(t, r.Unproved(), maxUnproved)
}

func TestRegistryNeedsItsOptions(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "required")
}
