package relay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"industrial-iot-monitor/bridge/internal/registry"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
)

// Config is the bridge's environment.
type Config struct {
	HubAddr         string `env:"BRIDGE_HUB_ADDR" envDefault:"127.0.0.1:4230" help:"address of the embedded hub for core and portal; port 0 picks a free one"`
	LeafAddr        string `env:"BRIDGE_LEAF_ADDR" envDefault:"127.0.0.1:7422" help:"address of the embedded hub that gateways dial; port 0 picks a free one"`
	HubAuth         string `env:"BRIDGE_HUB_AUTH" envDefault:"off" help:"who may connect to the embedded hub: off, everybody; observe, also gateways and programs that have no key yet, which are counted; required, only those with a key (bridge gateway add, bridge client add)"`
	TLSCertFile     string `env:"BRIDGE_TLS_CERT_FILE" help:"PEM file of the embedded hub's certificate and those that sign it (bridge ca init); with it gateways and programs connect by TLS alone; a new one is taken without a restart; empty: in clear"`
	TLSKeyFile      string `env:"BRIDGE_TLS_KEY_FILE" help:"PEM file of the key of BRIDGE_TLS_CERT_FILE"`
	LeafCompression string `env:"BRIDGE_LEAF_COMPRESSION" envDefault:"auto" help:"compression of the embedded hub's links to gateways: auto, by round trip; or off, which saves 4 MB a gateway at both ends"`
	HubURL          string `env:"HUB_URL" help:"external NATS hub to use, as in nats://hub:4222; when set, nothing is embedded. It has to allow max_payload 8MB"`
	HubKeyFile      string `env:"HUB_KEY_FILE" help:"file with the key that this program proves to the hub of HUB_URL, from bridge client add; empty: none"`
	HubCAFile       string `env:"HUB_CA_FILE" help:"PEM file of the certificates that the hub's is signed by, for a HUB_URL of tls://; empty: those of the system"`
	HTTPAddr        string `env:"BRIDGE_HTTP_ADDR" envDefault:"127.0.0.1:9102" help:"address of /metrics, /livez and /readyz; empty: none"`

	Lanes     int    `env:"BRIDGE_LANES" envDefault:"1" help:"lanes that bridges share, at least one for each bridge; the partitions of the checkpoints topic, and fixed once that exists"`
	GroupID   string `env:"BRIDGE_GROUP_ID" envDefault:"bridge" help:"consumer group in which bridges share the lanes"`
	TxnPrefix string `env:"BRIDGE_TXN_PREFIX" envDefault:"bridge-" help:"prefix of the lanes' transactional ids"`

	TrimMargin uint64        `env:"BRIDGE_TRIM_MARGIN" envDefault:"100" help:"packs kept in a gateway behind its checkpoint, at least 1"`
	Batch      int           `env:"BRIDGE_BATCH" envDefault:"5000" help:"most readings in one Kafka transaction"`
	CommitMin  time.Duration `env:"BRIDGE_COMMIT_MIN" envDefault:"50ms" help:"how long a transaction gathers readings when there are many"`
	CommitMax  time.Duration `env:"BRIDGE_COMMIT_MAX" envDefault:"500ms" help:"the same when there are few: less than 350 readings and 192 KiB; screens do not wait for it"`

	kafka.Config
	topology.Topics
	ops.LogConfig
	Tracing tracing.Config
	ops.PprofConfig
}

// Values of BRIDGE_LEAF_COMPRESSION.
const compressAuto, compressOff = "auto", "off"

// errConfig is wrapped by every error about a value.
var errConfig = errors.New("bad configuration")

// Check names the variable of an unusable value.
func (c *Config) Check() error {
	for _, r := range []struct {
		name          string
		value, lo, hi int64
		want          string
	}{
		{"BRIDGE_LANES", int64(c.Lanes), 1, 1000, "1 to 1000"},
		{"BRIDGE_BATCH", int64(c.Batch), 1, 100_000, "1 to 100000"},
		{"BRIDGE_COMMIT_MAX", c.CommitMax.Milliseconds(), 0, 5000, "0 to 5s"},
		{"BRIDGE_COMMIT_MIN", c.CommitMin.Milliseconds(), 0, c.CommitMax.Milliseconds(), "0 to BRIDGE_COMMIT_MAX"},
		// The pack at the checkpoint itself must stay: it identifies the stream after a
		// reconnect.
		{"BRIDGE_TRIM_MARGIN", int64(c.TrimMargin), 1, 1 << 40, "at least 1"},
	} {
		if r.value < r.lo || r.value > r.hi {
			return fmt.Errorf("%s: want %s: %w", r.name, r.want, errConfig)
		}
	}
	for name, value := range map[string]string{
		"BRIDGE_GROUP_ID": c.GroupID, "BRIDGE_TXN_PREFIX": c.TxnPrefix,
	} {
		if value == "" {
			return fmt.Errorf("%s: must not be empty: %w", name, errConfig)
		}
	}
	if c.LeafCompression != compressAuto && c.LeafCompression != compressOff {
		return fmt.Errorf("BRIDGE_LEAF_COMPRESSION: want %s or %s: %w", compressAuto, compressOff, errConfig)
	}
	if modes := registry.Modes(); !slices.Contains(modes, registry.Mode(c.HubAuth)) {
		return fmt.Errorf("BRIDGE_HUB_AUTH: want one of %v: %w", modes, errConfig)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return fmt.Errorf("BRIDGE_TLS_CERT_FILE and BRIDGE_TLS_KEY_FILE: want both or none: %w", errConfig)
	}
	if c.HubURL != "" && registry.Mode(c.HubAuth) != registry.Off {
		return fmt.Errorf("BRIDGE_HUB_AUTH is for the embedded hub; with HUB_URL the external one decides, see docs/security.md: %w", errConfig)
	}
	return errors.Join(c.Config.Check(), c.Topics.Check(), c.Tracing.Check(), c.CheckPorts(c.ports()...))
}

// ports returns where the bridge listens, for the start rule.
func (c *Config) ports() []listen.Port {
	ports := []listen.Port{c.OpsPort("BRIDGE_HTTP_ADDR", c.HTTPAddr)}
	if c.HubURL != "" {
		return ports // nothing is embedded
	}
	var proof, encryption string
	if registry.Mode(c.HubAuth) != registry.Required {
		proof = "BRIDGE_HUB_AUTH=required"
	}
	if c.TLSCertFile == "" {
		encryption = "BRIDGE_TLS_CERT_FILE and BRIDGE_TLS_KEY_FILE"
	}
	return append(ports,
		listen.Port{Variable: "BRIDGE_HUB_ADDR", Addr: c.HubAddr, Proof: proof, Encryption: encryption},
		listen.Port{Variable: "BRIDGE_LEAF_ADDR", Addr: c.LeafAddr, Proof: proof, Encryption: encryption},
	)
}
