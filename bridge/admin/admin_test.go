package admin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

// desk runs commands against a Kafka.
type desk struct {
	t         *testing.T
	tool      *tool
	out, errs bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t}
	cfg := Config{LeafURL: "nats-leaf://hub.example.com:7422", Topics: kafkatest.Topics(t)}
	cfg.Cluster = kafka.At(kafkatest.Brokers(t)...)
	var err error
	d.tool, err = newTool(cfg, &d.out, &d.errs)
	require.NoError(t, err)
	return d
}

// audit returns the security audit, which must hold.
func (d *desk) audit() (out []securityaudit.Record) {
	d.t.Helper()
	topic := d.tool.cfg.Specs().Security
	v, err := auditlog.Verify(d.t.Context(), slog.New(slog.DiscardHandler), d.tool.cfg.Cluster, topic)
	require.NoError(d.t, err)
	require.Empty(d.t, v.Faults())
	n, _ := v.Counts()
	for _, m := range kafkatest.ReadAll(d.t, d.tool.cfg.Brokers, topic.Name, n, waitTimeout) {
		r, err := securityaudit.Decode(m.Value)
		require.NoError(d.t, err)
		out = append(out, *r)
	}
	return out
}

// run runs a command and returns what it prints.
func (d *desk) run(args ...string) (string, error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), waitTimeout)
	defer cancel()
	d.out.Reset()
	err := errors.Join(d.tool.run(ctx, args), d.tool.audit.End(ctx))
	return d.out.String(), err
}

func (d *desk) ok(args ...string) string {
	d.t.Helper()
	out, err := d.run(args...)
	require.NoError(d.t, err)
	return out
}

func (d *desk) gateway(id string) *access.Gateway {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), waitTimeout)
	defer cancel()
	g, err := d.tool.gateway(ctx, id)
	require.NoError(d.t, err)
	return g
}

// claim adds a gateway and returns the claim that is printed.
func (d *desk) claim(args ...string) access.Claim {
	d.t.Helper()
	text, ok := strings.CutPrefix(strings.TrimSpace(d.ok(args...)), "edge enroll ")
	require.True(d.t, ok, "the line to be run on the gateway")
	c, err := access.ParseClaim(text)
	require.NoError(d.t, err)
	return c
}

func TestGatewayIsAddedRotatedAndRevoked(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, "GATEWAY  BUILDING  STATE  CHANGED  BY\n", d.ok("gateway", "list"))
	c := d.claim("gateway", "add", "gw-c", "-building", "C栋", "-ttl", "1h")
	require.Equal(t, access.Claim{Hub: "nats-leaf://hub.example.com:7422", Gateway: "gw-c", Building: "C栋", Secret: c.Secret}, c)
	g := d.gateway("gw-c")
	require.Equal(t, access.HashOf(c.Secret), g.Claim.Hash, "the secret itself is kept nowhere")
	require.Equal(t, d.tool.now.Add(time.Hour).UnixMilli(), g.Claim.Until)
	require.Equal(t, d.tool.by, g.By)
	require.Contains(t, g.By, "shell:")
	require.Contains(t, d.ok("gateway", "list"), "waits for edge enroll until")

	next, err := g.Admit("", c.Secret, d.tool.now.UnixMilli())
	require.ErrorIs(t, err, access.ErrNoKey)
	require.Nil(t, next)
	_, key := newKey(t)
	next, err = g.Admit(key, c.Secret, d.tool.now.UnixMilli())
	require.NoError(t, err)
	require.NoError(t, d.tool.store.Keep(t.Context(), access.GatewayRecordKey(next.ID), next.Encode()))
	require.Contains(t, d.ok("gateway", "list"), "enrolled ")

	rotated := d.claim("gateway", "rotate", "gw-c", "-keep", "2h")
	require.NotEqual(t, c.Secret, rotated.Secret)
	require.Equal(t, 2*time.Hour.Milliseconds(), d.gateway("gw-c").Claim.KeepFor)
	require.Contains(t, d.ok("gateway", "list"), "enrolled, waits for a new key until")

	d.ok("gateway", "revoke", "gw-c")
	g = d.gateway("gw-c")
	require.NotZero(t, g.Revoked)
	require.Nil(t, g.Claim, "an open claim is void")
	require.Contains(t, d.ok("gateway", "list"), "revoked ")
	_, err = d.run("gateway", "rotate", "gw-c")
	require.ErrorContains(t, err, "was revoked")

	d.claim("gateway", "add", "gw-c")
	g = d.gateway("gw-c")
	require.Zero(t, g.Revoked)
	require.Equal(t, "C栋", g.Building, "it is kept")

	var changes []string
	for _, r := range d.audit() {
		require.Equal(t, []string{d.tool.by, "shell", "gw-c", "bridge"}, []string{r.Who, r.Via, r.About, r.Program})
		require.NotEmpty(t, r.Address)
		require.NotContains(t, r.Detail, c.Secret)
		changes = append(changes, string(r.What)+" "+string(r.Outcome))
	}
	require.Equal(t, []string{
		"gateway_add begun", "gateway_add done", "gateway_rotate begun", "gateway_rotate done",
		"gateway_revoke begun", "gateway_revoke done", "gateway_add begun", "gateway_add done",
	}, changes)
}

func newKey(t *testing.T) (seed []byte, public string) {
	t.Helper()
	kp, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err = kp.Seed()
	require.NoError(t, err)
	public, err = kp.PublicKey()
	require.NoError(t, err)
	return seed, public
}

func TestProgramGetsAKeyThatOnlyItsOwnerReads(t *testing.T) {
	d := newDesk(t)
	file := filepath.Join(t.TempDir(), "portal.nk")
	require.Contains(t, d.ok("client", "add", "portal", "-role", "portal", "-out", file), "HUB_KEY_FILE="+file)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	seed, err := os.ReadFile(file)
	require.NoError(t, err)
	kp, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	require.NoError(t, err)
	public, err := kp.PublicKey()
	require.NoError(t, err)
	all, err := d.tool.store.Read(t.Context())
	require.NoError(t, err)
	c, err := access.DecodeClient(all[access.ClientRecordKey("portal")])
	require.NoError(t, err)
	require.Equal(t, public, c.Public)
	require.Contains(t, d.ok("client", "list"), "may connect")

	_, err = d.run("client", "add", "portal", "-role", "portal", "-out", file)
	require.ErrorContains(t, err, "-out: writing the key", "a key is never overwritten")
	d.ok("client", "revoke", "portal")
	require.Contains(t, d.ok("client", "list"), "revoked ")

	var changes []string
	for _, r := range d.audit() {
		require.Equal(t, []string{d.tool.by, "portal"}, []string{r.Who, r.About})
		changes = append(changes, string(r.What)+" "+string(r.Outcome))
		if r.What == securityaudit.ClientAdd && r.Outcome == securityaudit.Done {
			require.Equal(t, "portal, key "+public, r.Detail)
		}
	}
	require.Equal(t, []string{
		"client_add begun", "client_add done", "client_add begun", "client_add failed", "client_revoke begun", "client_revoke done",
	}, changes)
}

func TestBadCommandsSayWhatWouldBeRight(t *testing.T) {
	d := newDesk(t)
	for _, args := range [][]string{
		{},
		{"gateway"},
		{"gateway", "sell"},
		{"gateway", "add"},
		{"gateway", "add", "a", "b"},
		{"gateway", "add", "a", "-colour", "red"},
		{"gateway", "list", "all"},
		{"client", "list", "all"},
		{"gateway", "revoke"},
		{"client", "revoke"},
	} {
		_, err := d.run(args...)
		require.ErrorIs(t, err, program.ErrUsage, args)
	}
	for want, args := range map[string][]string{
		"want an id":                    {"gateway", "add", "../x"},
		"there is no gateway gw-x":      {"gateway", "revoke", "gw-x"},
		"no gateway gw-y":               {"gateway", "rotate", "gw-y"},
		"want a duration":               {"gateway", "add", "gw-x", "-ttl", "0s"},
		"-role: want one of":            {"client", "add", "x", "-role", "king"},
		"there is no program x":         {"client", "revoke", "x"},
		"BRIDGE_LEAF_URL=hub: want a U": {"gateway", "add", "gw-x"},
	} {
		if strings.HasPrefix(want, "BRIDGE") {
			d.tool.cfg.LeafURL = "hub"
		} else {
			d.tool.cfg.LeafURL = "nats-leaf://hub:7422"
		}
		_, err := d.run(args...)
		require.ErrorContains(t, err, want, args)
	}
}

// TestNoAccessIsChangedWithoutTheAudit has a Kafka that takes no security audit.
func TestNoAccessIsChangedWithoutTheAudit(t *testing.T) {
	d := newDesk(t)
	d.claim("gateway", "add", "gw-c")
	dir := t.TempDir()
	d.ok("client", "add", "portal", "-role", "portal", "-out", filepath.Join(dir, "portal.nk"))
	before, err := d.tool.store.Read(t.Context())
	require.NoError(t, err)
	topic := d.tool.cfg.Specs().Security
	topic.Name, topic.Partitions = topic.Name+"-of-none", 0
	d.tool.audit, err = auditlog.NewShell("bridge", d.tool.cfg.Cluster, topic)
	require.NoError(t, err)
	for _, args := range [][]string{
		{"gateway", "add", "gw-new"},
		{"gateway", "rotate", "gw-c"},
		{"gateway", "revoke", "gw-c"},
		{"client", "add", "core", "-role", "core", "-out", filepath.Join(dir, "core.nk")},
		{"client", "revoke", "portal"},
	} {
		out, err := d.run(args...)
		require.ErrorIs(t, err, securityaudit.ErrUnavailable, args)
		require.ErrorContains(t, err, "nothing was changed: the security audit cannot be written", args)
		require.Empty(t, out, "no claim is printed")
	}
	after, err := d.tool.store.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoFileExists(t, filepath.Join(dir, "core.nk"))
}

func TestCommandWithoutKafkaSaysSo(t *testing.T) {
	d := newDesk(t)
	d.tool.store.Cluster = kafka.At("127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, d.tool.run(ctx, []string{"gateway", "list"}), context.DeadlineExceeded)
}
