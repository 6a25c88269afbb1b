package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/enrolment"
	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/tlsfiles"
)

// authority makes an authority whose hub has a name, and returns its directory.
func authority(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	require.NoError(t, ca.Init(dir, []string{name}, time.Now()))
	return dir
}

// hubOf returns the settings of the hub of an authority.
func hubOf(t *testing.T, dir string) *tls.Config {
	t.Helper()
	c, err := tlsfiles.Server(filepath.Join(dir, "hub.pem"), filepath.Join(dir, "hub.key"), tls.VersionTLS13, discard())
	require.NoError(t, err)
	return c
}

// TestAGatewayTrustsTheHubOfItsClaimAlone: another authority, another name, a hub without TLS, and one with an
// old version of it get neither the claim nor a line, and the log says why.
func TestAGatewayTrustsTheHubOfItsClaimAlone(t *testing.T) {
	const host = "127.0.0.1"
	right, foreign, misnamed := authority(t, host), authority(t, host), authority(t, "elsewhere.example.com")
	hash := func(dir string) []byte {
		sum, err := ca.HashOf(filepath.Join(dir, "ca.pem"))
		require.NoError(t, err)
		return sum
	}
	old := hubOf(t, right)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, tt := range map[string]struct {
		hub   *tls.Config
		trust string // the authority that the claim names, empty for none
		said  string // in the log; empty: it connects
		enrol error  // nil: it is not reached
	}{
		"right":             {hubOf(t, right), right, "", nil},
		"plain to plain":    {nil, "", "", nil},
		"man in the middle": {hubOf(t, foreign), right, "certificate signed by unknown authority", broker.ErrCertificate},
		"another name":      {hubOf(t, misnamed), misnamed, "doesn't contain any IP SANs", broker.ErrCertificate},
		"plain hub":         {nil, right, "TLS Handshake Failure", broker.ErrUnreachable},
		"plain gateway":     {hubOf(t, right), "", "certificate signed by unknown authority", broker.ErrUnreachable},
		"old TLS":           {old, right, "protocol version", broker.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			claim := access.Claim{Gateway: "gw-a", Secret: "s"}
			if tt.trust != "" {
				claim.CA = hash(tt.trust)
			}
			seed, err := enrolment.Draw(dir, claim)
			require.NoError(t, err)
			claim.Hub = startGateWith(t, publicOf(t, seed), tt.hub)
			if tt.said == "" {
				require.NoError(t, enrol(t.Context(), claim, dir))
			} else {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second) // no answer comes
				defer cancel()
				_, err := broker.Enrol(ctx, claim, seed, discard())
				require.ErrorIs(t, err, tt.enrol)
				var pem []byte
				if tt.trust != "" {
					pem, err = os.ReadFile(filepath.Join(tt.trust, "ca.pem"))
					require.NoError(t, err)
				}
				require.NoError(t, enrolment.Finish(dir, claim, pem)) // as if it had been the right one then
			}
			cfg := config(t)
			cfg.DataDir, cfg.HubURL = dir, claim.Hub
			var log logtest.Buffer
			g, err := New(Options{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, err)
			defer func() { require.NoError(t, g.Close()) }()
			if tt.said == "" {
				require.Eventually(t, g.HubConnected, waitTimeout, 5*time.Millisecond)
				return
			}
			require.Eventually(t, func() bool { return strings.Contains(log.String(), tt.said) }, waitTimeout, 5*time.Millisecond, "%s", log.String())
			require.False(t, g.HubConnected())
		})
	}
}
