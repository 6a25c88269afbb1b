package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/tlsfiles"
	"industrial-iot-monitor/internal/wire"
)

// waysByTLS are all in which a device connects and publishes a reading; without settings in clear.
func waysByTLS(t *testing.T, g *Gateway) map[string]func(settings *tls.Config, id string, at int64) error {
	t.Helper()
	byMQTT := func(scheme, secure string, addr func() string) func(*tls.Config, string, int64) error {
		return func(settings *tls.Config, id string, at int64) error {
			url := scheme
			if settings != nil {
				url = secure
			}
			c := paho.NewClient(paho.NewClientOptions().AddBroker(url + "://" + addr()).SetTLSConfig(settings).SetAutoReconnect(false).SetHTTPHeaders(http.Header{}))
			token := c.Connect()
			require.True(t, token.WaitTimeout(waitTimeout))
			if token.Error() != nil {
				return token.Error()
			}
			defer c.Disconnect(0)
			token = c.Publish(wire.TelemetryTopic(id), 1, false, reading(id, at))
			require.True(t, token.WaitTimeout(waitTimeout))
			return token.Error()
		}
	}
	return map[string]func(*tls.Config, string, int64) error{
		"nats": func(settings *tls.Config, id string, at int64) error {
			nc, err := nats.Connect(g.NATSAddr(), func(o *nats.Options) error { o.TLSConfig, o.Secure = settings, settings != nil; return nil })
			if err != nil {
				return err
			}
			defer nc.Close()
			_, err = nc.Request(wire.TelemetrySubject(id), reading(id, at), waitTimeout)
			return err
		},
		"mqtt": byMQTT("mqtt", "mqtts", g.MQTTAddr),
		"ws":   byMQTT("ws", "wss", func() string { return g.MQTTWebSocketAddr() + "/mqtt" }),
	}
}

// TestDevicesConnectByTLS: by all three ways, with the right authority and no old version; in clear only where
// that is optional.
func TestDevicesConnectByTLS(t *testing.T) {
	dir := authority(t, "127.0.0.1")
	server := filepath.Join(dir, "gw")
	require.NoError(t, ca.Issue(dir, server, []string{"127.0.0.1"}, time.Now()))
	trust, err := tlsfiles.Client(filepath.Join(dir, "ca.pem"), tls.VersionTLS12)
	require.NoError(t, err)
	old := trust.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	stranger := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, mode := range []string{tlsRequired, tlsOptional} {
		t.Run(mode, func(t *testing.T) {
			cfg := config(t)
			cfg.TLSCertFile, cfg.TLSKeyFile, cfg.TLSMode, cfg.MQTTWSAddr = server+".pem", server+".key", mode, "127.0.0.1:0"
			g := start(t, cfg)
			n := int64(1640995200000)
			ways := map[string]func(*tls.Config) error{}
			for way, publish := range waysByTLS(t, g) {
				ways[way] = func(settings *tls.Config) error {
					err := publish(settings, "d1", n+1)
					if err == nil {
						n++
					}
					return err
				}
			}
			for name, connect := range ways {
				require.NoError(t, connect(trust), name)
				require.ErrorContains(t, connect(stranger), "certificate signed by unknown authority", name)
				require.ErrorContains(t, connect(old), "protocol version", name)
			}
			for name, connect := range ways {
				if mode == tlsOptional {
					require.NoError(t, connect(nil), name)
				} else { // a NATS client is told to use TLS, and does not trust the certificate
					require.Error(t, connect(nil), name)
				}
			}
			silent, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.MQTTAddr())
			require.NoError(t, err)
			defer func() { _ = silent.Close() }()
			require.NoError(t, silent.SetReadDeadline(time.Now().Add(waitTimeout)))
			_, err = silent.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, "closed after the time for a CONNECT")
			require.EqualValues(t, g.collector.Stats().Accepted, n-1640995200000)
		})
	}
}
