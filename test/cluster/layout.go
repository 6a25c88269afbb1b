package cluster

import (
	"maps"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/test/freeport"
)

// layout defines the processes of a cluster in the order of their start.
type layout struct {
	*Cluster
	o    Options
	free []string // addresses
	leaf string   // the hub's address for gateways
}

// next returns an unused address.
func (l *layout) next() string {
	a := l.free[0]
	l.free = l.free[1:]
	return a
}

// define defines all processes.
func (c *Cluster) define(o Options) error {
	free, err := freeport.Addresses(9 + 3*o.Gateways + o.Bridges + o.Cores)
	if err != nil {
		return err
	}
	l := &layout{Cluster: c, o: o, free: free}
	l.defineKafka()
	c.hub, l.leaf = l.next(), l.next()
	if o.OwnHub {
		l.Add(Hub, Program{Binary: "natshub", Args: []string{"-addr", c.hub, "-leaf", l.leaf}, Listens: c.hub})
	}
	if err := l.defineBridges(); err != nil {
		return err
	}
	if err := l.defineGateways(); err != nil {
		return err
	}
	c.history = l.next()
	for i := range o.Cores {
		addr, keeps := l.next(), "off"
		if i == 0 {
			keeps = "embedded"
		}
		l.Add(Numbered(Core, i), Program{Binary: "core", HTTP: addr, Env: l.with(map[string]string{
			"CORE_HTTP_ADDR": addr, "HUB_URL": c.HubURL(),
			"KAFKA_GROUP_ID": "iot-consumer-group" + o.Suffix, "CORE_TXN_PREFIX": "core" + o.Suffix + "-",
			"HISTORY": keeps, "CORE_HISTORY_ADDR": c.history, "CORE_DATA_DIR": filepath.Join(l.dir, "core"),
		})})
	}
	c.portal = l.next()
	_, c.wsPort, _ = strings.Cut(l.next(), ":")
	l.Add(Portal, Program{Binary: "portal", HTTP: c.portal, Env: l.with(map[string]string{
		"PORTAL_ADDR": c.portal, "KAFKA_GROUP_ID": "iot-consumer-group" + o.Suffix, "WEBSOCKET_PORT": c.wsPort, "HUB_URL": c.HubURL(),
		"PORTAL_HISTORY_URL": c.HistoryURL(), "PORTAL_STORE": filepath.Join(l.dir, "portal.db"),
	})})
	return nil
}

// defineKafka adds the embedded broker unless there is a Kafka.
func (l *layout) defineKafka() {
	if len(l.brokers) > 0 {
		return
	}
	addr := l.next()
	l.brokers, l.control = []string{addr}, l.next()
	args := []string{"-addr", addr, "-control", l.control, "-nodes", strconv.Itoa(max(l.o.Nodes, 1)), "-data", filepath.Join(l.dir, "kafka")}
	if l.o.Retention != 0 {
		args = append(args, "-retention", strconv.FormatInt(l.o.Retention, 10))
	}
	l.Add(Kafka, Program{Binary: "devkafka", Args: args, Listens: addr})
}

func (l *layout) defineBridges() error {
	brokers := l.brokers
	if l.o.BridgeBrokers != nil {
		var err error
		if brokers, err = l.o.BridgeBrokers(brokers); err != nil {
			return err
		}
	}
	for i := range l.o.Bridges {
		addr := l.next()
		env := map[string]string{
			"BRIDGE_HTTP_ADDR": addr, "KAFKA_BROKERS": strings.Join(brokers, ","),
			"BRIDGE_TXN_PREFIX": "bridge" + l.o.Suffix + "-", "BRIDGE_GROUP_ID": "bridge-lanes" + l.o.Suffix,
		}
		if l.o.Bridges > 1 {
			env["BRIDGE_LANES"] = strconv.Itoa(2 * l.o.Bridges) // each gets some
		}
		if l.o.OwnHub {
			env["HUB_URL"] = l.HubURL()
		} else {
			env["BRIDGE_HUB_ADDR"], env["BRIDGE_LEAF_ADDR"] = l.hub, l.leaf
		}
		l.Add(Numbered(Bridge, i), Program{Binary: "bridge", HTTP: addr, Env: l.with(env)})
	}
	return nil
}

func (l *layout) defineGateways() error {
	for i := range l.o.Gateways {
		g := endpoints{l.next(), l.next(), l.next()}
		dial := l.leaf
		if l.o.Line != nil {
			var err error
			if dial, err = l.o.Line(i, l.leaf); err != nil {
				return err
			}
		}
		l.gateways = append(l.gateways, g)
		l.Add(Gateway(i), Program{Binary: "edge", HTTP: g.http, Env: l.with(map[string]string{
			"EDGE_GATEWAY_ID": Gateway(i), "EDGE_BUILDING": Building(i), "EDGE_NATS_ADDR": g.nats, "EDGE_MQTT_ADDR": g.mqtt,
			"EDGE_HTTP_ADDR": g.http, "EDGE_HUB_URL": "nats-leaf://" + dial, "EDGE_DATA_DIR": filepath.Join(l.dir, "edge"),
		})})
	}
	return nil
}

// Add adds a program with its own environment.
func (l *layout) Add(name string, p Program) {
	if l.o.EnvOf != nil {
		maps.Copy(p.Env, l.o.EnvOf(p.Binary))
	}
	l.Cluster.Add(name, p)
}

// with returns the environment shared by all programs, plus more variables.
func (l *layout) with(more map[string]string) map[string]string {
	env := map[string]string{"LOG_LEVEL": "info", "KAFKA_BROKERS": strings.Join(l.brokers, ",")}
	maps.Copy(env, TopicEnv(l.Topics))
	maps.Copy(env, more)
	maps.Copy(env, l.o.Env)
	return env
}

// TopicEnv returns the environment that names the topics.
func TopicEnv(t topology.Topics) map[string]string {
	env := map[string]string{}
	for field, value := range reflect.ValueOf(t).Fields() {
		env[field.Tag.Get("env")] = value.String()
	}
	return env
}

// Building returns the name of the i-th gateway's building.
func Building(i int) string { return string(rune('A'+i)) + "栋" }
