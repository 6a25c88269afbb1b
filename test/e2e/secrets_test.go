//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/cluster"
)

// TestNoSecretIsPrinted looks for every secret in all that the programs print and show: logs at debug level
// with refused and accepted connections, metrics, readiness, and the stacks of a crash.
func TestNoSecretIsPrinted(t *testing.T) {
	p := startCluster(t)
	gateway := cluster.Gateway(0)
	tool := func(name string, args ...string) string {
		t.Helper()
		out, err := p.Tool(t.Context(), name, map[string]string{"BRIDGE_LEAF_URL": "nats-leaf://" + p.Env(cluster.Bridge, "BRIDGE_LEAF_ADDR")}, args...)
		require.NoError(t, err)
		return out
	}
	secrets := map[string]string{"token of receivers": "brr-token-of-receivers", "Redis password": "redis-horse-battery"}
	if _, _, ok := kafkatest.Secured(); ok {
		secrets["Kafka password"] = userPassword
	}
	restart := func(name string, env map[string]string) {
		t.Helper()
		env["LOG_LEVEL"] = "debug"
		require.NoError(t, p.SetEnv(name, env))
		require.NoError(t, p.Stop(name))
		require.NoError(t, p.Launch(name))
	}
	ready := func(name string) {
		t.Helper()
		require.Eventually(t, func() bool { return p.Ready(t.Context(), name) == nil }, waitTimeout, pollInterval, name)
	}
	keys := t.TempDir()
	key := func(role string) (file string) {
		t.Helper()
		file = filepath.Join(keys, role+".nk")
		tool(cluster.Bridge, "client", "add", role, "-role", role, "-out", file)
		seed, err := os.ReadFile(file)
		require.NoError(t, err)
		secrets["key of "+role] = strings.TrimSpace(string(seed))
		return file
	}
	coreKey, portalKey := key("core"), key("portal")
	restart(cluster.Bridge, map[string]string{"BRIDGE_HUB_AUTH": "observe"})
	ready(cluster.Bridge)
	claim := strings.Fields(tool(cluster.Bridge, "gateway", "add", gateway))[2]
	tool(gateway, "enroll", claim)
	secrets["claim"] = claim
	seed, err := os.ReadFile(filepath.Join(p.Env(gateway, "EDGE_DATA_DIR"), gateway, "security", "gateway.nk"))
	require.NoError(t, err)
	secrets["key of the gateway"] = strings.TrimSpace(string(seed))
	words := strings.Fields(tool(gateway, "device", "add", "device_1"))
	secrets["secret of the device"] = words[3]
	secrets["wrong secret"] = "wrong-horse-battery"

	restart(cluster.Bridge, map[string]string{"BRIDGE_HUB_AUTH": "required"})
	ready(cluster.Bridge)
	restart(gateway, map[string]string{"EDGE_DEVICE_AUTH": "required"})
	restart(cluster.Core, map[string]string{
		"HUB_KEY_FILE": coreKey, "NOTIFY_BEARER_TOKEN": secrets["token of receivers"],
		"NOTIFY_WEBHOOK_URL": "http://127.0.0.1:1/alarms",
	})
	restart(cluster.Portal, map[string]string{
		"HUB_KEY_FILE": portalKey, "REDIS_URL": "redis://:" + secrets["Redis password"] + "@127.0.0.1:1/0",
	})
	names := []string{cluster.Bridge, gateway, cluster.Core, cluster.Portal}
	for _, name := range names {
		ready(name)
	}
	addr := p.NATS()[0]
	_, err = nats.Connect(addr, nats.UserInfo("device_1", secrets["wrong secret"]))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	nc, err := nats.Connect(addr, nats.UserInfo("device_1", secrets["secret of the device"]))
	require.NoError(t, err)
	nc.Close()

	printed := map[string]string{}
	for name, variable := range map[string]string{cluster.Bridge: "BRIDGE_HTTP_ADDR", gateway: "EDGE_HTTP_ADDR", cluster.Core: "CORE_HTTP_ADDR", cluster.Portal: "PORTAL_ADDR"} {
		printed[name] = get(p.Env(name, variable), "/metrics") + get(p.Env(name, variable), "/readyz")
		require.Contains(t, printed[name], "go_goroutines")
	}
	for _, name := range names {
		require.NoError(t, p.Signal(name, syscall.SIGQUIT)) // the runtime prints all stacks
		require.Eventually(t, func() bool { return !p.Running(name) }, waitTimeout, pollInterval)
		printed[name] += logs(t, p, name)
		require.Contains(t, printed[name], "goroutine 1 ", name)
		require.Contains(t, printed[name], "level=DEBUG", name)
	}
	require.Contains(t, printed[gateway], "device=device_1", "the refused connection")
	for name, text := range printed {
		for what, secret := range secrets {
			require.NotEmpty(t, secret, what)
			require.NotContains(t, text, secret, "%s prints the %s", name, what)
		}
	}
}
