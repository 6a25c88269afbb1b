package plant

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/portal/web"
)

// Config is the environment of the all-in-one process. The programs inside read their
// own variables too (see Parts).
type Config struct {
	ops.LogConfig

	DataDir    string        `env:"DEMO_DATA_DIR" envDefault:"./data" help:"where the gateways and the embedded broker keep their data"`
	KafkaAddr  string        `env:"DEMO_KAFKA_ADDR" envDefault:"127.0.0.1:9092" help:"address of the embedded broker; not used with KAFKA_BROKERS"`
	Retention  int64         `env:"DEMO_KAFKA_RETENTION" envDefault:"16777216" help:"bytes at which a partition of the embedded broker loses its oldest records; alarm-audit is kept for ever"`
	Brokers    []string      `env:"KAFKA_BROKERS" envSeparator:"," help:"a real Kafka in place of the embedded broker: host:port, comma separated"`
	Devices    int           `env:"DEMO_DEVICES" envDefault:"1000" help:"simulated devices; 0: none, bring your own"`
	Interval   time.Duration `env:"DEMO_INTERVAL" envDefault:"5s" help:"time between two readings of a simulated device"`
	PortOffset int           `env:"DEMO_PORT_OFFSET" envDefault:"0" help:"added to every listening port, so that two plants fit on one machine"`

	Parts Parts `env:"-"`
}

// Parts are the environments of the programs inside. They are loaded one by one,
// because programs share variables. Addresses, directories and gateway names in them
// are overwritten by those of the plant.
type Parts struct {
	Edge   gateway.Config
	Bridge relay.Config
	Core   processor.Config
	Portal web.Config
}

// LoadConfig reads the environment. It returns config.ErrHelp after printing the help.
func LoadConfig(args []string, out io.Writer) (Config, error) {
	var c Config
	err := config.Load(config.Program{
		Name:    "allinone",
		Summary: "the whole plant in one process; it also reads the variables of edge, bridge, core and portal, see their --help",
		Args:    args, Out: out,
	}, &c)
	if err != nil {
		return c, err
	}
	p := &c.Parts
	for _, part := range []any{&p.Edge, &p.Bridge, &p.Core, &p.Portal} {
		if err := config.FromEnvironment(part); err != nil {
			return c, err
		}
	}
	return c, c.check()
}

// check refuses what a part would refuse, before anything is opened.
func (c *Config) check() error {
	placed := *c
	errs := []error{placed.place()}
	p := &placed.Parts
	edge := placed.gateway(buildings[0])
	// The first complaint alone: programs share variables.
	errs = append(errs, cmp.Or(edge.Check(), p.Bridge.Check(), p.Core.Check(), p.Portal.Check()))
	if len(placed.Brokers) == 0 {
		errs = append(errs, p.Edge.CheckPorts(listen.Port{
			Variable: "DEMO_KAFKA_ADDR", Addr: placed.KafkaAddr, Proof: realKafka, Encryption: realKafka,
		}))
	}
	if c.Devices < 0 || c.Devices > 100_000 {
		errs = append(errs, fmt.Errorf("DEMO_DEVICES=%d: want 0 to 100000", c.Devices))
	}
	if c.Interval < 10*time.Millisecond {
		errs = append(errs, fmt.Errorf("DEMO_INTERVAL=%s: want 10ms or more", c.Interval))
	}
	if c.Retention < 1<<16 {
		errs = append(errs, fmt.Errorf("DEMO_KAFKA_RETENTION=%d: want 65536 or more", c.Retention))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("DEMO_DATA_DIR is empty: want a directory"))
	}
	return errors.Join(errs...)
}

// realKafka is what to set in place of the embedded broker, which has neither authentication nor TLS.
const realKafka = "KAFKA_BROKERS to a real Kafka"

// Warn is listen.Rule.Warn, once for all parts: they share INSECURE.
func (c Config) Warn(log *slog.Logger) { c.Parts.Portal.Warn(log) }

// building is one of the plant's three buildings with its gateway.
type building struct {
	gateway, name      string
	natsPort, mqttPort int
}

var buildings = []building{
	{"gw-a", "A栋", 4222, 1883},
	{"gw-b", "B栋", 4223, 1884},
	{"gw-c", "C栋", 4224, 1885},
}

const loopback = "127.0.0.1"

// shift adds the port offset to an address.
func (c *Config) shift(variable, addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%s=%s: want host:port: %w", variable, addr, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 || n+c.PortOffset < 1 || n+c.PortOffset > 65535 {
		return "", fmt.Errorf("%s=%s with DEMO_PORT_OFFSET=%d: want a port from 1 to 65535", variable, addr, c.PortOffset)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+c.PortOffset)), nil
}

func (c *Config) port(n int) string { return net.JoinHostPort(loopback, strconv.Itoa(n+c.PortOffset)) }

// place puts every part on its address of this plant.
func (c *Config) place() error {
	var errs []error
	shift := func(variable string, addr *string) {
		moved, err := c.shift(variable, *addr)
		if err != nil {
			errs = append(errs, err)
			return
		}
		*addr = moved
	}
	p := &c.Parts
	for _, b := range buildings {
		for variable, port := range map[string]int{"EDGE_NATS_ADDR": b.natsPort, "EDGE_MQTT_ADDR": b.mqttPort} {
			_, err := c.shift(variable, net.JoinHostPort(loopback, strconv.Itoa(port)))
			errs = append(errs, err)
		}
	}
	if len(c.Brokers) == 0 {
		shift("DEMO_KAFKA_ADDR", &c.KafkaAddr)
	}
	shift("BRIDGE_HUB_ADDR", &p.Bridge.HubAddr)
	shift("BRIDGE_LEAF_ADDR", &p.Bridge.LeafAddr)
	shift("PORTAL_ADDR", &p.Portal.Addr)
	shift("CORE_HISTORY_ADDR", &p.Core.History.Addr)
	p.Core.History.DataDir = filepath.Join(c.DataDir, "core")
	p.Portal.StorePath = filepath.Join(c.DataDir, "portal.db")
	if p.Portal.HistoryURL = ""; p.Core.History.Enabled() {
		p.Portal.HistoryURL, p.Portal.HistoryToken = "http://"+p.Core.History.Addr, p.Core.History.Token
		if p.Core.History.TLSCertFile != "" {
			p.Portal.HistoryURL = "https://" + p.Core.History.Addr
		}
	}
	if port := p.Portal.WebSocketPort; port != 0 {
		_, err := c.shift("WEBSOCKET_PORT", ":"+strconv.Itoa(port))
		errs = append(errs, err)
		p.Portal.WebSocketPort += c.PortOffset
	}
	cluster := p.Bridge.Cluster // every part reads the same variables
	if cluster.Brokers = c.Brokers; len(c.Brokers) == 0 {
		cluster = kafka.At(c.KafkaAddr) // the embedded broker takes anybody
	}
	hub := "nats://" + p.Bridge.HubAddr
	p.Bridge.Cluster, p.Core.Cluster, p.Portal.Cluster = cluster, cluster, cluster
	p.Bridge.HubURL, p.Core.HubURL, p.Portal.HubURL = "", hub, hub
	p.Edge.HubURL = "nats-leaf://" + p.Bridge.LeafAddr
	p.Edge.DataDir = filepath.Join(c.DataDir, "edge")
	p.Edge.HTTPAddr, p.Bridge.HTTPAddr, p.Core.HTTPAddr = "", "", "" // the portal shows them all
	return errors.Join(errs...)
}

// gateway returns the environment of one building's gateway.
func (c *Config) gateway(b building) gateway.Config {
	g := c.Parts.Edge
	g.ID, g.Building = b.gateway, b.name
	g.NATSAddr, g.MQTTAddr = c.port(b.natsPort), c.port(b.mqttPort)
	g.MQTTWSAddr = "" // one address cannot serve several gateways
	return g
}
