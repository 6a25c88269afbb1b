package plant

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/core/historian"
	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/portal/web"
	"industrial-iot-monitor/sim/simulator"
)

// loads are the functions by which the programs load their settings; after an error they end with code 2 and have opened
// nothing.
var loads = map[string]func() error{
	"edge":           load[gateway.Config],
	"bridge":         load[relay.Config],
	"core":           load[processor.Config],
	"core historian": load[historian.ProgramConfig],
	"portal":         load[web.Config],
	"sim":            func() error { _, err := simulator.Load(nil, io.Discard); return err },
	"allinone":       func() error { _, err := LoadConfig(nil, io.Discard); return err },
}

func load[C any]() error {
	_, err := program.FromEnvironment[C]("program", "", nil)()
	return err
}

// guards are the settings that make a port acceptable beyond loopback: for authentication and for TLS. A nil one is
// not needed.
type guards struct{ proof, encryption map[string]string }

var (
	edgeGuards    = guards{map[string]string{"EDGE_DEVICE_AUTH": "required"}, map[string]string{"EDGE_TLS_CERT_FILE": "c", "EDGE_TLS_KEY_FILE": "k"}}
	hubGuards     = guards{map[string]string{"BRIDGE_HUB_AUTH": "required"}, map[string]string{"BRIDGE_TLS_CERT_FILE": "c", "BRIDGE_TLS_KEY_FILE": "k"}}
	portalGuards  = guards{map[string]string{"PORTAL_AUTH": "local"}, map[string]string{"PORTAL_TLS_CERT_FILE": "c", "PORTAL_TLS_KEY_FILE": "k"}}
	historyGuards = guards{map[string]string{"CORE_HISTORY_TOKEN": "t"}, map[string]string{"CORE_HISTORY_TLS_CERT_FILE": "c", "CORE_HISTORY_TLS_KEY_FILE": "k"}}
	opsGuards     = guards{proof: map[string]string{"OPS_TOKEN": "t"}}
)

// ports are those of docs/security-model.md.
var ports = []struct {
	program, variable string
	guards            guards
}{
	{"edge", "EDGE_NATS_ADDR", edgeGuards},
	{"edge", "EDGE_MQTT_ADDR", edgeGuards},
	{"edge", "EDGE_MQTT_WS_ADDR", edgeGuards},
	{"edge", "EDGE_HTTP_ADDR", opsGuards},
	{"bridge", "BRIDGE_HUB_ADDR", hubGuards},
	{"bridge", "BRIDGE_LEAF_ADDR", hubGuards},
	{"bridge", "BRIDGE_HTTP_ADDR", opsGuards},
	{"core", "CORE_HISTORY_ADDR", historyGuards},
	{"core", "CORE_HTTP_ADDR", opsGuards},
	{"core historian", "CORE_HISTORY_ADDR", historyGuards},
	{"core historian", "CORE_HTTP_ADDR", opsGuards},
	{"portal", "PORTAL_ADDR", portalGuards},
	{"portal", "PORTAL_ADDR", guards{portalGuards.proof, map[string]string{"PORTAL_TRUSTED_PROXIES": "192.0.2.1"}}},
	{"sim", "SIM_HTTP_ADDR", opsGuards},
	{"allinone", "PORTAL_ADDR", portalGuards},
	{"allinone", "BRIDGE_LEAF_ADDR", hubGuards},
	{"allinone", "CORE_HISTORY_ADDR", historyGuards},
	{"allinone", "DEMO_KAFKA_ADDR", guards{map[string]string{"KAFKA_BROKERS": "k1:9092"}, map[string]string{"KAFKA_BROKERS": "k1:9092"}}},
}

// TestNothingIsOpenToOthersByAccident: each program, on each port, by each way to name more than loopback.
func TestNothingIsOpenToOthersByAccident(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, p := range ports {
		for _, host := range []string{"0.0.0.0", "", "::", "192.0.2.7", "plant.example.com"} {
			if host == "" && p.variable == "DEMO_KAFKA_ADDR" {
				continue // the parts connect to this address too, so it needs a host
			}
			addr := "[" + host + "]:9999"
			if !strings.Contains(host, ":") {
				addr = host + ":9999"
			}
			t.Run(fmt.Sprintf("%s %s=%s", p.program, p.variable, addr), func(t *testing.T) {
				refusal := func(what string, more ...map[string]string) {
					t.Helper()
					err := loadWith(t, p.program, append(more, map[string]string{p.variable: addr})...)
					if what == "" {
						require.NoError(t, err)
						return
					}
					require.ErrorContains(t, err, p.variable+"="+addr+" can be reached from other machines")
					require.ErrorContains(t, err, "INSECURE="+what)
				}
				anonymous, plaintext := map[string]string{"INSECURE": "anonymous"}, map[string]string{"INSECURE": "plaintext"}
				if p.guards.proof != nil {
					refusal("anonymous")
					refusal("anonymous", plaintext)
					refusal("", plaintext, p.guards.proof)
				}
				if p.guards.encryption != nil {
					refusal("plaintext")
					refusal("plaintext", anonymous)
					refusal("", anonymous, p.guards.encryption)
				}
				refusal("", map[string]string{"INSECURE": "anonymous,plaintext"})
			})
		}
	}
}

// loadWith loads the settings of a program in an environment that has what it needs, and more.
func loadWith(t *testing.T, name string, more ...map[string]string) error {
	t.Helper()
	env := map[string]string{"EDGE_GATEWAY_ID": "gw-1"}
	for _, m := range more {
		maps.Copy(env, m)
	}
	for k, v := range env {
		t.Setenv(k, v)
	}
	defer func() {
		for k := range env {
			_ = os.Unsetenv(k)
		}
	}()
	return loads[name]()
}

// TestObserveAndOptionalDoNotCount: with them a port still accepts clients without authentication or TLS.
func TestObserveAndOptionalDoNotCount(t *testing.T) {
	t.Chdir(t.TempDir())
	require.ErrorContains(t, loadWith(t, "edge", edgeGuards.encryption, map[string]string{"EDGE_MQTT_ADDR": ":1883", "EDGE_DEVICE_AUTH": "observe"}), "set EDGE_DEVICE_AUTH=required")
	require.ErrorContains(t, loadWith(t, "edge", edgeGuards.proof, edgeGuards.encryption, map[string]string{"EDGE_MQTT_ADDR": ":1883", "EDGE_TLS": "optional"}), "set EDGE_TLS=required")
	require.ErrorContains(t, loadWith(t, "bridge", hubGuards.encryption, map[string]string{"BRIDGE_LEAF_ADDR": ":7422", "BRIDGE_HUB_AUTH": "observe"}), "set BRIDGE_HUB_AUTH=required")
	require.NoError(t, loadWith(t, "bridge", map[string]string{"BRIDGE_LEAF_ADDR": ":7422", "HUB_URL": "nats://hub:4222"}), "an external hub listens for itself")
	require.NoError(t, loadWith(t, "core", map[string]string{"CORE_HISTORY_ADDR": ":9106", "HISTORY": "off"}))
}

// TestAllPortsAreReportedAtOnce, so that one start shows everything that is missing.
func TestAllPortsAreReportedAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	err := loadWith(t, "edge", map[string]string{"EDGE_NATS_ADDR": ":4222", "EDGE_MQTT_ADDR": ":1883", "EDGE_HTTP_ADDR": ":9101"})
	require.Error(t, err)
	require.Len(t, strings.Split(err.Error(), "\n"), 5, err.Error())
}

// TestDemoListensOnLoopbackAlone, with nothing set.
func TestDemoListensOnLoopbackAlone(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	require.Empty(t, cfg.Parts.Portal.Insecure)
	p := start(t, cfg, io.Discard)
	run(t, p)
	found := listening(t)
	require.GreaterOrEqual(t, len(found), 12, "gateways, hub, Kafka, history, portal: %v", found)
	for _, addr := range found {
		require.True(t, strings.HasPrefix(addr, "0100007F:") || strings.HasPrefix(addr, "00000000000000000000000001000000:"), addr)
	}
}

// listening returns the local addresses of the sockets on which this process listens, as Linux tells them.
func listening(t *testing.T) (found []string) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	var mine []string
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil { // it may be closed by now
			mine = append(mine, link)
		}
	}
	const local, state, inode, listens = 1, 3, 9, "0A"
	for _, family := range []string{"tcp", "tcp6"} {
		table, err := os.ReadFile("/proc/self/net/" + family)
		if os.IsNotExist(err) && family == "tcp6" { // a machine without IPv6
			continue
		}
		require.NoError(t, err)
		for line := range strings.Lines(string(table)) {
			f := strings.Fields(line)
			if len(f) <= inode || f[state] != listens {
				continue
			}
			if _, err := strconv.Atoi(f[inode]); err == nil && slices.Contains(mine, "socket:["+f[inode]+"]") {
				found = append(found, f[local])
			}
		}
	}
	return found
}
