package relay

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/records"
	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
)

// caller is who tries to get into the hub.
type caller struct {
	seed   []byte
	public string
}

func newCaller(tb testing.TB) caller {
	tb.Helper()
	seed, public, err := credential.NewKey()
	require.NoError(tb, err)
	return caller{seed, public}
}

func (c caller) sign(nonce []byte) ([]byte, error) {
	kp, err := nkeys.FromSeed(c.seed)
	if err != nil {
		return nil, err
	}
	return kp.Sign(nonce)
}

// dials says what a gateway says first, and reports whether the hub lets it in.
func (c caller) dials(ctx context.Context, addr, id, password string) (in bool, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(waitTimeout)); err != nil {
		return false, err
	}
	lines := bufio.NewReader(conn)
	line, err := lines.ReadString('\n')
	if err != nil {
		return false, err
	}
	var info struct{ Nonce string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		return false, err
	}
	hello := map[string]string{"name": id, "user": id, "pass": password}
	if c.seed != nil {
		signature, err := c.sign([]byte(info.Nonce))
		if err != nil {
			return false, err
		}
		hello["nkey"], hello["sig"] = c.public, base64.RawURLEncoding.EncodeToString(signature)
	}
	text, err := json.Marshal(hello)
	if err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s\r\nPING\r\n", text); err != nil {
		return false, err
	}
	for {
		switch line, err = lines.ReadString('\n'); {
		case err != nil:
			return false, err
		case strings.HasPrefix(line, "-ERR"):
			return false, nil
		case strings.HasPrefix(line, "PONG"):
			return true, nil
		}
	}
}

// audited is a bridge whose hub lets in only who proves a key.
type audited struct {
	*cluster
	*bridge
	tb testing.TB
}

func newAudited(tb testing.TB, about ...any) *audited {
	tb.Helper()
	p := newCluster(tb)
	p.cfg.HubAuth, p.cfg.Insecure = "required", []string{listen.Plaintext}
	store := records.Store{Cluster: kafka.At(p.brokers...), Topic: p.topics.Specs().Access, Log: slog.New(slog.DiscardHandler)}
	for _, r := range about {
		switch r := r.(type) {
		case access.Gateway:
			require.NoError(tb, store.Keep(tb.Context(), access.GatewayRecordKey(r.ID), r.Encode()))
		case access.Client:
			require.NoError(tb, store.Keep(tb.Context(), access.ClientRecordKey(r.Name), r.Encode()))
		}
	}
	a := &audited{cluster: p, tb: tb, bridge: p.bridge(nil)}
	a.ready()
	return a
}

func (a *audited) try(in bool, c caller, id, password string) {
	a.tb.Helper()
	got, err := c.dials(a.tb.Context(), a.LeafAddr(), id, password)
	require.NoError(a.tb, err)
	require.Equal(a.tb, in, got, id)
}

// end stops the bridge and returns its security audit, which must hold.
func (a *audited) end() (out []securityaudit.Record) {
	a.tb.Helper()
	a.stop()
	topic := a.topics.Specs().Security
	v, err := auditlog.Verify(a.tb.Context(), slog.New(slog.DiscardHandler), kafka.At(a.brokers...), topic)
	require.NoError(a.tb, err)
	require.Empty(a.tb, v.Faults())
	n, _ := v.Counts()
	for _, m := range kafkatest.ReadAll(a.tb, a.brokers, topic.Name, n, waitTimeout) {
		r, err := securityaudit.Decode(m.Value)
		require.NoError(a.tb, err)
		require.Equal(a.tb, "bridge", r.Program)
		out = append(out, *r)
	}
	return out
}

// short is what a test compares of a record.
func short(r *securityaudit.Record) string {
	return fmt.Sprintf("%s %s %s: %s", r.What, r.About, r.Outcome, r.Reason)
}

// TestEveryUseOfAClaimIsInTheAudit is at a bridge that was started with INSECURE.
func TestEveryUseOfAClaimIsInTheAudit(t *testing.T) {
	secret := access.NewSecret()
	open := func(until time.Duration) *access.Open {
		return &access.Open{Hash: access.HashOf(secret), Until: time.Now().Add(until).UnixMilli()}
	}
	a := newAudited(t,
		access.Gateway{ID: "gw-a", Claim: open(time.Hour)}, access.Gateway{ID: "gw-late", Claim: open(-time.Second)},
		access.Gateway{ID: "gw-other"}, access.Gateway{ID: "gw-two", Claim: open(time.Hour)},
	)
	right, other, claim := newCaller(t), newCaller(t), access.ClaimPassword(secret)
	a.try(true, right, "gw-a", claim)
	a.try(true, right, "gw-a", claim) // it did not hear the answer
	a.try(false, other, "gw-a", claim)
	a.try(false, other, "gw-late", claim)
	a.try(false, other, "gw-other", claim)
	a.try(false, other, "gw-none", claim)
	var both sync.WaitGroup
	for _, c := range []caller{right, other} {
		both.Go(func() {
			if _, err := c.dials(t.Context(), a.LeafAddr(), "gw-two", claim); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()

	all := a.end()
	require.Equal(t, []any{securityaudit.InsecureStart, listen.Plaintext}, []any{all[0].What, all[0].Detail})
	var got []string
	for _, r := range all[1:] {
		got = append(got, short(&r))
		require.Equal(t, []string{"127.0.0.1", "key"}, []string{r.Address, r.Via})
		require.NotContains(t, string(r.Encode()), secret)
		if r.About == "gw-a" && r.Outcome == securityaudit.Done {
			require.Equal(t, "key "+right.public, r.Detail)
		}
		if r.About == "" {
			require.Equal(t, "key "+other.public+" as gw-none", r.Detail)
		}
	}
	require.ElementsMatch(t, []string{
		"gateway_enrol gw-a done: ",
		"gateway_enrol gw-a failed: " + access.ErrSpent.Error(),
		"gateway_enrol gw-late failed: " + access.ErrExpired.Error(),
		"gateway_enrol gw-other failed: " + access.ErrSpent.Error(),
		"gateway_enrol  failed: " + access.ErrUnknown.Error(),
		"gateway_enrol gw-two done: ",
		"gateway_enrol gw-two failed: " + access.ErrSpent.Error(),
	}, got)
}

// TestRefusalsAreInTheAuditAndDoNotFillIt has a stranger try again and again, under one name and under many.
func TestRefusalsAreInTheAuditAndDoNotFillIt(t *testing.T) {
	right, revoked, stranger := newCaller(t), newCaller(t), newCaller(t)
	a := newAudited(t,
		access.Gateway{ID: "gw-a", Keys: []access.Key{{Public: right.public}}},
		access.Gateway{ID: "gw-r", Keys: []access.Key{{Public: revoked.public}}, Revoked: 1},
		access.Client{Name: "portal", Role: access.RolePortal, Public: revoked.public, Revoked: 1},
	)
	begin := time.Now()
	for range 100 {
		a.try(false, stranger, "gw-a", "")
	}
	for i := range 50 {
		a.try(false, caller{}, fmt.Sprintf("hunter%d", i), "")
	}
	a.try(false, caller{}, "gw-a", "")
	a.try(false, revoked, "gw-r", "")
	a.try(true, right, "gw-a", "")
	for _, c := range []caller{stranger, revoked} {
		_, err := nats.Connect(a.HubURL(), nats.Nkey(c.public, c.sign))
		require.ErrorIs(t, err, nats.ErrAuthorization)
	}
	for range 10 {
		_, err := nats.Connect(a.HubURL(), nats.UserInfo("hunter2", "hunter2"))
		require.ErrorIs(t, err, nats.ErrAuthorization)
	}

	written, times := map[string]int{}, map[string]int{}
	for _, r := range a.end()[1:] { // the first one is of the start
		require.NotContains(t, string(r.Encode()), "hunter", "it may be a secret")
		require.Equal(t, "127.0.0.1", r.Address)
		kind := fmt.Sprintf("%s %s %s", r.What, r.About, r.Outcome)
		written[kind]++
		times[kind] += max(r.Count, 1)
	}
	require.Equal(t, map[string]int{
		"gateway_connect gw-a refused": 101, "gateway_connect  refused": 50, "gateway_connect gw-r refused": 1,
		"client_connect portal refused": 1, "client_connect  refused": 11,
	}, times)
	for kind, n := range written {
		require.LessOrEqual(t, n, 2+int(time.Since(begin).Minutes()), kind)
	}
}

// TestRefusalDoesNotWaitForKafka has none.
func TestRefusalDoesNotWaitForKafka(t *testing.T) {
	p := newClusterAt(t, []string{"127.0.0.1:1"})
	b := p.bridge(nil)
	for range 3 {
		in, err := caller{}.dials(t.Context(), b.LeafAddr(), "no id", "")
		require.NoError(t, err)
		require.False(t, in)
	}
	require.Equal(t, 1, b.metric("bridge_security_audit_waiting"), "the others are counted")
	require.Zero(t, b.metric("bridge_security_audit_written_total"))
}

// TestNothingIsRecordedOfWhatWasNotDecided has a bridge that could not read who may connect.
func TestNothingIsRecordedOfWhatWasNotDecided(t *testing.T) {
	p := newClusterAt(t, []string{"127.0.0.1:1"})
	p.cfg.HubAuth = "required"
	b := p.bridge(nil)
	in, err := newCaller(t).dials(t.Context(), b.LeafAddr(), "gw-a", "")
	require.NoError(t, err)
	require.False(t, in)
	_, err = nats.Connect(b.HubURL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	require.Equal(t, 2, b.metric("bridge_hub_refused_total", "reason", "unread"))
	require.Zero(t, b.metric("bridge_security_audit_waiting"))
}
