package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/enrolment"
	"industrial-iot-monitor/internal/access"
	environment "industrial-iot-monitor/internal/config"
)

// startGate runs a hub that lets in who proves a key.
func startGate(t *testing.T, public string) (url string) {
	t.Helper()
	return startGateWith(t, public, nil)
}

func startGateWith(t *testing.T, public string, settings *tls.Config) (url string) {
	t.Helper()
	so := &server.Options{
		ServerName: "hub", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Nkeys: []*server.NkeyUser{{Nkey: public}},
	}
	so.LeafNode.Host, so.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT
	so.LeafNode.TLSConfig, so.LeafNode.TLSTimeout = settings, 5
	srv, err := server.NewServer(so)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	varz, err := srv.Varz(nil)
	require.NoError(t, err)
	return fmt.Sprintf("nats-leaf://127.0.0.1:%d", varz.LeafNode.Port)
}

func publicOf(t *testing.T, seed string) string {
	t.Helper()
	kp, err := nkeys.FromSeed([]byte(seed))
	require.NoError(t, err)
	public, err := kp.PublicKey()
	require.NoError(t, err)
	return public
}

func TestEnrolmentIsAllThatAGatewayNeeds(t *testing.T) {
	dir := t.TempDir()
	claim := access.Claim{Gateway: "gw-c", Building: "C栋", Secret: "s"}
	seed, err := enrolment.Draw(dir, claim)
	require.NoError(t, err)
	again, err := enrolment.Draw(dir, claim)
	require.NoError(t, err)
	require.Equal(t, seed, again, "an attempt that was interrupted goes on with its key")
	none, err := enrolment.Seed(dir, "gw-c")
	require.NoError(t, err)
	require.Empty(t, none, "it is not in force yet")

	claim.Hub = startGate(t, publicOf(t, seed))
	require.NoError(t, enrol(t.Context(), claim, dir))
	kept, err := enrolment.Seed(dir, "gw-c")
	require.NoError(t, err)
	require.Equal(t, seed, kept)
	for _, name := range []string{"enrolment.json", filepath.Join("gw-c", "security", "gateway.nk")} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), name)
	}

	cfg := Config{DataDir: dir, HubURL: defaultHub}
	require.NoError(t, cfg.Complete())
	require.Equal(t, Config{DataDir: dir, HubURL: claim.Hub, ID: "gw-c", Building: "C栋"}, cfg)
	set := Config{DataDir: dir, HubURL: "nats-leaf://other:1", ID: "gw-c", Building: "mine"}
	want := set
	require.NoError(t, set.Complete())
	require.Equal(t, want, set, "the environment wins")
	other := Config{DataDir: dir, HubURL: defaultHub, ID: "gw-d"}
	require.NoError(t, other.Complete())
	require.Equal(t, defaultHub, other.HubURL, "another gateway on the same disk")
}

func TestDefaultHubIsTheDocumentedOne(t *testing.T) {
	for _, v := range environment.Describe(Config{}) {
		if v.Name == "EDGE_HUB_URL" {
			require.Equal(t, defaultHub, v.Default)
			return
		}
	}
	t.Fatal("EDGE_HUB_URL is not documented")
}

func TestRefusedOrUnreachableHubChangesNothing(t *testing.T) {
	dir := t.TempDir()
	stranger, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := stranger.PublicKey()
	require.NoError(t, err)
	claim := access.Claim{Hub: startGate(t, public), Gateway: "gw-c", Secret: "s"}
	require.ErrorIs(t, enrol(t.Context(), claim, dir), broker.ErrRefused)
	e, err := enrolment.Load(dir)
	require.NoError(t, err)
	require.Nil(t, e)
	seed, err := enrolment.Seed(dir, "gw-c")
	require.NoError(t, err)
	require.Empty(t, seed)
}

func TestEnrolCommandNamesWhatIsWrong(t *testing.T) {
	claim := access.Claim{Hub: "nats-leaf://127.0.0.1:1", Gateway: "gw-c", Secret: "s3cr3t"}.String()
	for want, tt := range map[string]struct {
		args []string
		env  string
	}{
		"usage: edge enroll":         {nil, ""},
		"usage: edge enroll iotc_":   {[]string{claim, "more"}, ""},
		"not a claim":                {[]string{"iotc_abc"}, ""},
		"but EDGE_GATEWAY_ID=gw-d\n": {[]string{claim}, "gw-d"},
	} {
		t.Run(want, func(t *testing.T) {
			t.Setenv("EDGE_GATEWAY_ID", tt.env)
			t.Setenv("EDGE_DATA_DIR", t.TempDir())
			var out, errs bytes.Buffer
			require.Equal(t, 2, EnrolCommand(t.Context(), tt.args, &out, &errs))
			require.Contains(t, errs.String(), want)
			require.Empty(t, out.String())
			require.NotContains(t, errs.String(), "s3cr3t")
		})
	}
}

func TestDamagedKeyIsNamedAndNotReplaced(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "gw-c", "security", "gateway.nk")
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
	require.NoError(t, os.WriteFile(name, []byte("SU"), 0o600))
	_, err := enrolment.Seed(dir, "gw-c")
	require.ErrorContains(t, err, "enrol again")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "enrolment.json"), []byte("{"), 0o600))
	require.ErrorContains(t, (&Config{DataDir: dir}).Complete(), "enrol again")
}

func TestKeyIsDrawnOnceAndPrinted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EDGE_DATA_DIR", dir)
	t.Setenv("EDGE_GATEWAY_ID", "gw-c")
	var first, second, errs bytes.Buffer
	require.Zero(t, KeyCommand(nil, &first, &errs))
	require.Zero(t, KeyCommand(nil, &second, &errs))
	require.Equal(t, first.String(), second.String())
	seed, err := enrolment.Seed(dir, "gw-c")
	require.NoError(t, err)
	require.Equal(t, publicOf(t, seed)+"\n", first.String())
	require.Equal(t, 2, KeyCommand([]string{"x"}, &first, &errs))
	t.Setenv("EDGE_GATEWAY_ID", "")
	require.Equal(t, 2, KeyCommand(nil, &first, &errs))
	require.Contains(t, errs.String(), "EDGE_GATEWAY_ID")
}
