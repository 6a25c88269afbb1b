package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/enrolment"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/tracing"
)

// Config is the environment of one gateway.
type Config struct {
	ID         string `env:"EDGE_GATEWAY_ID" help:"name of this gateway, unique in the plant; 1 to 32 of A-Z a-z 0-9 _ -; required unless it was enrolled by edge enroll"`
	Building   string `env:"EDGE_BUILDING" help:"name of the building the gateway is installed in; empty: as it was enrolled"`
	NATSAddr   string `env:"EDGE_NATS_ADDR" envDefault:"127.0.0.1:4222" help:"address on which devices connect by NATS; port 0 picks a free one"`
	MQTTAddr   string `env:"EDGE_MQTT_ADDR" envDefault:"127.0.0.1:1883" help:"address on which devices connect by MQTT; port 0 picks a free one"`
	MQTTWSAddr string `env:"EDGE_MQTT_WS_ADDR" help:"address on which devices and browsers connect by MQTT over WebSocket; port 0 picks a free one; empty: none"`
	// MQTTWSOrigins protects devices' topics from pages that an operator visits: a browser sends the page's origin.
	MQTTWSOrigins []string      `env:"EDGE_MQTT_WS_ORIGINS" envSeparator:"," help:"comma-separated origins whose pages may connect by MQTT over WebSocket, such as https://wall.example.com; *: any; the gateway's own host and clients other than browsers are always allowed"`
	MappingsFile  string        `env:"EDGE_MAPPINGS_FILE" help:"YAML file with the mappings of other formats to readings, see deploy/mappings; reloaded when it changes; try it with edge mappings test"`
	HubURL        string        `env:"EDGE_HUB_URL" envDefault:"nats-leaf://127.0.0.1:7422" help:"leaf node URL of the hub; the hub may be down at any time; the one that edge enroll was told takes the place of the default"`
	HubCAFile     string        `env:"EDGE_HUB_CA_FILE" help:"PEM file of the certificates that the hub's is signed by; empty: the one that edge enroll has found, else those of the system for an EDGE_HUB_URL of tls://"`
	DataDir       string        `env:"EDGE_DATA_DIR" envDefault:"./data/edge" help:"directory of the buffer; each gateway uses a subdirectory"`
	BufferBytes   int64         `env:"EDGE_BUFFER_BYTES" envDefault:"10737418240" help:"limit of the buffer for undelivered readings, in bytes; lowered to the room on the disk"`
	HTTPAddr      string        `env:"EDGE_HTTP_ADDR" envDefault:"127.0.0.1:9101" help:"address of /metrics, /livez and /readyz; empty: none"`
	Linger        time.Duration `env:"EDGE_LINGER" envDefault:"12ms" help:"how long a pack stays open for further readings at most before it is written to disk, a quarter of it while packs are rare; 0 to 1s"`
	// Per address of MQTT alone: nats-server has no such limit.
	MaxConnections int `env:"EDGE_MAX_CONNECTIONS" envDefault:"10000" help:"connections at most, by MQTT and MQTT over WebSocket together, and as many by NATS; 1 to 1000000"`
	MaxPerIP       int `env:"EDGE_MAX_CONNECTIONS_PER_IP" envDefault:"1000" help:"connections by MQTT from one address at most, from one /64 of IPv6; loopback is not counted; 1 to 1000000"`
	// DeviceAuth off is for a building where every device may be any.
	DeviceAuth  devices.Mode `env:"EDGE_DEVICE_AUTH" envDefault:"off" help:"whether devices have to prove who they are, see edge device: off; observe: a connection without a right proof is let in and counted; required: only devices with a credential connect, and each publishes under its own name"`
	TLSCertFile string       `env:"EDGE_TLS_CERT_FILE" help:"PEM file of the certificate that devices see, and those that sign it (bridge ca issue); with it they connect by TLS, by MQTT, MQTT over WebSocket and NATS; a new one is taken without a restart; empty: in clear"`
	TLSKeyFile  string       `env:"EDGE_TLS_KEY_FILE" help:"PEM file of the key of EDGE_TLS_CERT_FILE"`
	// TLSClientCAFile is for plants whose devices have certificates.
	TLSClientCAFile string `env:"EDGE_TLS_CLIENT_CA_FILE" help:"PEM file of the certificates that sign those of devices (bridge ca issue -device); with it a device may prove by TLS who it is: the common name, or a URI urn:device:ID, is its id; a new file is taken without a restart; empty: none do"`
	TLSMode         string `env:"EDGE_TLS" envDefault:"required" help:"with EDGE_TLS_CERT_FILE: required; or optional, which lets devices in that speak no TLS, on the same ports, while a building goes over"`
	// What follows keeps one broken or stolen device from taking the gateway from the others.
	DeviceRate      float64 `env:"EDGE_DEVICE_RATE" envDefault:"100" help:"readings a second that one device may store, ten times as many at once after a pause; 0: no limit"`
	DeviceBytes     float64 `env:"EDGE_DEVICE_BYTES" envDefault:"262144" help:"bytes a second that one device may store, ten times as many at once after a pause; 0: no limit"`
	MaxDevices      int     `env:"EDGE_MAX_DEVICES" envDefault:"50000" help:"devices that the gateway remembers at most; the one silent for longest makes room"`
	NewDevices      float64 `env:"EDGE_NEW_DEVICES" envDefault:"60" help:"devices without a credential and not heard before that the gateway takes a minute, unless EDGE_DEVICE_AUTH is off; 0: no limit"`
	DeadLetterBytes float64 `env:"EDGE_DEAD_LETTER_BYTES" envDefault:"67108864" help:"bytes of refused messages that the gateway keeps an hour, an eighth of them of one device; 0: no limit"`
	Tracing         tracing.Config
	ops.LogConfig
	ops.PprofConfig
}

const (
	maxLinger         = time.Second
	maxMaxConnections = 1_000_000
	maxMaxDevices     = 1_000_000
)

// Values of EDGE_TLS.
const tlsRequired, tlsOptional = "required", "optional"

// defaultHub is the default of EDGE_HUB_URL.
const defaultHub = "nats-leaf://127.0.0.1:7422"

// Complete takes from the enrolment what the environment leaves open.
func (c *Config) Complete() error {
	e, err := enrolment.Load(c.DataDir)
	if err != nil || e == nil || (c.ID != "" && c.ID != e.Gateway) {
		return err
	}
	c.ID = e.Gateway
	c.Building = cmp.Or(c.Building, e.Building)
	if c.HubURL == defaultHub {
		c.HubURL = e.Hub
	}
	return nil
}

// Check names the variable of an unusable value, and what the start rule lacks.
func (c *Config) Check() error {
	if err := c.checkValues(); err != nil {
		return err
	}
	return c.CheckPorts(c.ports()...)
}

// checkValues is Check for commands, which listen nowhere: devices get their credentials before they are required.
func (c *Config) checkValues() error {
	if !validID(c.ID) {
		return fmt.Errorf("EDGE_GATEWAY_ID=%q: want 1 to 32 of A-Z a-z 0-9 _ -, or enrol this gateway with edge enroll", c.ID)
	}
	for name, addr := range map[string]string{"EDGE_NATS_ADDR": c.NATSAddr, "EDGE_MQTT_ADDR": c.MQTTAddr} {
		if addr == "" {
			return fmt.Errorf("%s is empty: want host:port", name)
		}
	}
	if c.Linger < 0 || c.Linger > maxLinger {
		return fmt.Errorf("EDGE_LINGER=%s: want 0 to %s", c.Linger, maxLinger)
	}
	for name, n := range map[string]int{"EDGE_MAX_CONNECTIONS": c.MaxConnections, "EDGE_MAX_CONNECTIONS_PER_IP": c.MaxPerIP} {
		if n < 1 || n > maxMaxConnections {
			return fmt.Errorf("%s=%d: want 1 to %d", name, n, maxMaxConnections)
		}
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return errors.New("EDGE_TLS_CERT_FILE and EDGE_TLS_KEY_FILE: want both or none")
	}
	if c.TLSClientCAFile != "" && (c.TLSCertFile == "" || c.DeviceAuth == devices.Off) {
		return errors.New("EDGE_TLS_CLIENT_CA_FILE: want EDGE_TLS_CERT_FILE too, and EDGE_DEVICE_AUTH=observe or required")
	}
	if c.TLSMode != tlsRequired && c.TLSMode != tlsOptional {
		return fmt.Errorf("EDGE_TLS=%s: want %s or %s", c.TLSMode, tlsRequired, tlsOptional)
	}
	if c.MaxDevices < 1 || c.MaxDevices > maxMaxDevices {
		return fmt.Errorf("EDGE_MAX_DEVICES=%d: want 1 to %d", c.MaxDevices, maxMaxDevices)
	}
	for name, n := range map[string]float64{
		"EDGE_DEVICE_RATE": c.DeviceRate, "EDGE_DEVICE_BYTES": c.DeviceBytes, "EDGE_NEW_DEVICES": c.NewDevices, "EDGE_DEAD_LETTER_BYTES": c.DeadLetterBytes,
	} {
		if n < 0 || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("%s=%g: want 0, for no limit, or more", name, n)
		}
	}
	if !slices.Contains(devices.Modes(), c.DeviceAuth) {
		return fmt.Errorf("EDGE_DEVICE_AUTH=%s: want one of %v", c.DeviceAuth, devices.Modes())
	}
	return cmp.Or(c.checkOrigins(), c.Tracing.Check())
}

// ports returns where the gateway listens, for the start rule.
func (c *Config) ports() []listen.Port {
	var proof, encryption string
	if c.DeviceAuth != devices.Required {
		proof = "EDGE_DEVICE_AUTH=required"
	}
	switch {
	case c.TLSCertFile == "":
		encryption = "EDGE_TLS_CERT_FILE and EDGE_TLS_KEY_FILE"
	case c.TLSMode != tlsRequired:
		encryption = "EDGE_TLS=required"
	}
	ports := []listen.Port{c.OpsPort("EDGE_HTTP_ADDR", c.HTTPAddr)}
	for _, p := range []struct{ variable, addr string }{
		{"EDGE_NATS_ADDR", c.NATSAddr}, {"EDGE_MQTT_ADDR", c.MQTTAddr}, {"EDGE_MQTT_WS_ADDR", c.MQTTWSAddr},
	} {
		ports = append(ports, listen.Port{Variable: p.variable, Addr: p.addr, Proof: proof, Encryption: encryption})
	}
	return ports
}

// checkOrigins refuses what no browser sends as an origin.
func (c *Config) checkOrigins() error {
	for _, o := range c.MQTTWSOrigins {
		if o == "*" {
			continue
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			return fmt.Errorf("EDGE_MQTT_WS_ORIGINS: %q: want an origin such as https://wall.example.com, or *", o)
		}
	}
	return nil
}

func validID(id string) bool {
	if id == "" || len(id) > 32 {
		return false
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return false
		}
	}
	return true
}
