package gateway

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/tlsfiles"
)

// certified is a gateway whose devices have certificates.
type certified struct {
	*building

	dir   string // of the authority
	times int64
}

func openCertified(t *testing.T) *certified {
	t.Helper()
	dir := authority(t, "127.0.0.1")
	server := filepath.Join(dir, "gw")
	require.NoError(t, ca.Issue(dir, server, []string{"127.0.0.1"}, time.Now()))
	b := openBuilding(t, devices.Required, func(c *Config) {
		c.TLSCertFile, c.TLSKeyFile, c.TLSClientCAFile, c.MQTTWSAddr = server+".pem", server+".key", filepath.Join(dir, "ca.pem"), "127.0.0.1:0"
	})
	return &certified{building: b.start(), dir: dir, times: 1640995200000}
}

// show returns the settings of a device with a certificate of the authority in dir; issue: with another one.
func (c *certified) show(dir, id string, issue func(dir, out string) error) *tls.Config {
	c.t.Helper()
	out := filepath.Join(c.t.TempDir(), id)
	if issue == nil {
		issue = func(dir, out string) error { return ca.IssueDevice(dir, out, id, time.Now()) }
	}
	require.NoError(c.t, issue(dir, out))
	return c.with(out)
}

// with shows the certificate in a file, and trusts the gateway's.
func (c *certified) with(file string) *tls.Config {
	c.t.Helper()
	settings, err := tlsfiles.Client(filepath.Join(c.dir, "ca.pem"), tls.VersionTLS12)
	require.NoError(c.t, err)
	if file != "" {
		pair, err := tls.LoadX509KeyPair(file+".pem", file+".key")
		require.NoError(c.t, err)
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings
}

// ways are all in which a device connects and publishes a reading.
func (c *certified) ways() map[string]func(settings *tls.Config, id string) error {
	ways := map[string]func(*tls.Config, string) error{}
	for way, publish := range waysByTLS(c.t, c.Gateway) {
		ways[way] = func(settings *tls.Config, id string) error {
			c.times++
			return publish(settings, id, c.times)
		}
	}
	return ways
}

// TestADeviceProvesItselfByItsCertificate: one of the plant's authority, made for a device, which is revoked by a name.
func TestADeviceProvesItselfByItsCertificate(t *testing.T) {
	c := openCertified(t)
	right := c.show(c.dir, "pump-1", nil)
	wrong := map[string]*tls.Config{
		"no certificate":       c.with(""),
		"another authority":    c.show(authority(t, "127.0.0.1"), "pump-1", nil),
		"one of a server":      c.show(c.dir, "pump-1", func(dir, out string) error { return ca.Issue(dir, out, []string{"pump-1"}, time.Now()) }),
		"one that has expired": c.show(c.dir, "pump-1", func(dir, out string) error { return ca.IssueDevice(dir, out, "pump-1", time.Now().AddDate(-6, 0, 0)) }),
	}
	for way, connect := range c.ways() {
		require.NoError(t, connect(right, "pump-1"), way)
		for name, settings := range wrong {
			require.Error(t, connect(settings, "pump-1"), "%s: %s", way, name)
		}
	}
	require.NoError(t, c.ways()["mqtt"](right, "pump-2"), "MQTT 3 cannot say no")
	require.EqualValues(t, 3, c.collector.Stats().Accepted, "nothing of another device")

	c.device("revoke", "pump-1", "-kind", "x509")
	for way, connect := range c.ways() {
		require.Eventually(t, func() bool { return connect(right, "pump-1") != nil }, waitTimeout, 50*time.Millisecond, way)
	}
	next := filepath.Join(t.TempDir(), "next")
	require.NoError(t, ca.IssueDevice(c.dir, next, "pump-1", time.Now()))
	c.device("add", "pump-1", "-cert", next+".pem", "-publishes", "pump-2")
	for way, connect := range c.ways() {
		require.Eventually(t, func() bool { return connect(c.with(next), "pump-2") == nil }, waitTimeout, 50*time.Millisecond, way)
		require.Error(t, connect(right, "pump-1"), "%s: the one of before", way)
	}
}

// TestARevokedCertificateCutsAConnection that is there.
func TestARevokedCertificateCutsAConnection(t *testing.T) {
	c := openCertified(t)
	settings := c.show(c.dir, "pump-1", nil)
	ended := make(chan struct{})
	nc, err := nats.Connect(c.NATSAddr(), func(o *nats.Options) error { o.TLSConfig, o.Secure = settings, true; return nil },
		nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(ended) }))
	require.NoError(t, err)
	defer nc.Close()
	c.device("add", "pump-2") // another one changes nothing
	c.inForce("pump-2")
	require.True(t, nc.IsConnected())
	c.device("revoke", "pump-1", "-kind", "x509")
	select {
	case <-ended:
	case <-time.After(waitTimeout):
		require.Fail(t, "still connected")
	}
}

// TestAuthoritiesOfDevicesNeedNoRestart: another file counts for the next connection, a damaged one does not.
func TestAuthoritiesOfDevicesNeedNoRestart(t *testing.T) {
	c := openCertified(t)
	other := authority(t, "127.0.0.1")
	settings := c.show(other, "pump-1", nil)
	connect := c.ways()["mqtt"]
	require.Error(t, connect(settings, "pump-1"))
	both := func(extra []byte) {
		t.Helper()
		own, err := os.ReadFile(filepath.Join(c.dir, "ca.pem"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(c.dir, "ca.pem"), append(own, extra...), 0o600))
	}
	theirs, err := os.ReadFile(filepath.Join(other, "ca.pem"))
	require.NoError(t, err)
	both(theirs)
	require.Eventually(t, func() bool { return connect(settings, "pump-1") == nil }, waitTimeout, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "ca.pem"), []byte("nothing"), 0o600))
	settings.RootCAs = nil
	settings.InsecureSkipVerify = true
	require.NoError(t, connect(settings, "pump-1"))
}

func TestAuthoritiesOfDevicesNeedTLSAndAuth(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no TLS": func(c *Config) { c.DeviceAuth = devices.Required },
		"off":    func(c *Config) { c.TLSCertFile, c.TLSKeyFile = "a.pem", "a.key" },
	} {
		cfg := config(t)
		cfg.TLSClientCAFile = "ca.pem"
		change(&cfg)
		require.ErrorContains(t, cfg.Check(), "EDGE_TLS_CLIENT_CA_FILE: want", name)
	}
}
