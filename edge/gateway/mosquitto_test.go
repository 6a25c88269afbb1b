package gateway

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/freeport"
)

// findMosquitto returns the program; Debian keeps it where users do not look. A machine
// without it passes these tests, except where CI is set: there they have to run.
func findMosquitto(t *testing.T) (string, bool) {
	t.Helper()
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	require.Empty(t, os.Getenv("CI"), "mosquitto is required here: apt-get install mosquitto") //nolint:forbidigo // whether a test may do without a program is the machine's to say
	t.Log("not tested: mosquitto is not installed")
	return "", false
}

// startBridge runs a mosquitto that forwards devices' topics to the gateway, with the default
// settings of a bridge. Only the number of messages in flight is raised: at its limit mosquitto
// lets a message overtake those that wait. It returns where its devices connect.
func startBridge(t *testing.T, path, gateway, settings string) string {
	t.Helper()
	addr := freeport.Address(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "listener %s 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\nconnection gateway\naddress %s\ntopic devices/# out 1\n%s", port, gateway, settings), 0o600))
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, "-v", "-c", conf)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()         // it was killed
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return addr
}

// TestMosquittoBridgeDelivers runs a real mosquitto as a bridge, which first tries a version
// byte of its own (0x83 or 0x84). Readings published to it arrive in the gateway's stream
// once, in order.
func TestMosquittoBridgeDelivers(t *testing.T) {
	path, ok := findMosquitto(t)
	if !ok {
		return
	}
	for name, settings := range map[string]string{
		"defaults": "",
		"3.1":      "bridge_protocol_version mqttv31\n",
		"3.1.1":    "bridge_protocol_version mqttv311\n",
		"5":        "bridge_protocol_version mqttv50\n",
	} {
		t.Run(name, func(t *testing.T) {
			g, h := startWithHub(t)
			addr := startBridge(t, path, g.MQTTAddr(), settings)
			client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("device").SetConnectRetry(true).SetConnectRetryInterval(20 * time.Millisecond))
			token := client.Connect()
			require.True(t, token.WaitTimeout(waitTimeout))
			require.NoError(t, token.Error())
			t.Cleanup(func() { client.Disconnect(100) })
			var want []string
			for n := range 50 {
				payload := reading("device_001", 1640995200000+int64(n))
				token := client.Publish(wire.TelemetryTopic("device_001"), byte(1+n%2), false, payload)
				require.True(t, token.WaitTimeout(waitTimeout))
				want = append(want, string(payload))
				if n == 0 { // while its bridge connects, mosquitto lets a message overtake those that wait
					require.Eventually(t, func() bool { return g.collector.Stats().Accepted > 0 }, waitTimeout, 5*time.Millisecond)
				}
			}
			require.Eventually(t, func() bool { return g.collector.Stats().Accepted >= uint64(len(want)) }, waitTimeout, 5*time.Millisecond)
			require.Zero(t, g.collector.Stats().Unpromised, "every reading was delivered with QoS 1")
			var got []string
			for _, e := range h.entries(t, g.cfg.ID) {
				if e.Refusal == nil {
					got = append(got, string(e.Payload))
				}
			}
			require.Equal(t, want, got)
		})
	}
}
