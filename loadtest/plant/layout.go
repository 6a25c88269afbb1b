package plant

import (
	"maps"
	"path/filepath"
	"strings"

	"industrial-iot-monitor/internal/wire"
)

// topics returns the topics' names, each ending in suffix.
func topics(suffix string) wire.Topics {
	return wire.Topics{
		DeviceData:  "device-data" + suffix,
		Alerts:      "alerts" + suffix,
		DeadLetters: "device-data-dlq" + suffix,
		Checkpoints: "bridge-checkpoints" + suffix,
		AlarmState:  "alarm-state" + suffix,
		DeviceState: "device-state" + suffix,
	}
}

// define lays out all processes, in the order in which they are best started.
func (p *Plant) define(o Options) error {
	ports, err := freePorts(7 + 3*o.Gateways)
	if err != nil {
		return err
	}
	next := func() string {
		a := "127.0.0.1:" + ports[0]
		ports = ports[1:]
		return a
	}
	if len(p.brokers) == 0 {
		p.brokers = []string{next()}
		p.Add(Kafka, Program{
			Binary: "devkafka", Args: []string{"-addr", p.brokers[0], "-data", filepath.Join(p.dir, "kafka")}, Listens: p.brokers[0],
		})
	}
	hub, leaf := next(), next()
	common := p.environment(o)
	with := func(more map[string]string) map[string]string {
		env := maps.Clone(common)
		maps.Copy(env, more)
		maps.Copy(env, o.Env)
		return env
	}
	addr := next()
	p.Add(Bridge, Program{Binary: "bridge", HTTP: addr, Env: with(map[string]string{
		"BRIDGE_HUB_ADDR": hub, "BRIDGE_LEAF_ADDR": leaf, "BRIDGE_HTTP_ADDR": addr,
		"BRIDGE_TXN_PREFIX": "bridge" + o.Suffix + "-", "BRIDGE_GROUP_ID": "bridge-lanes" + o.Suffix,
	})})
	for i := range o.Gateways {
		g := endpoints{next(), next(), next()}
		p.gateways = append(p.gateways, g)
		p.Add(Gateway(i), Program{Binary: "edge", HTTP: g.http, Env: with(map[string]string{
			"EDGE_GATEWAY_ID": Gateway(i), "EDGE_BUILDING": Building(i), "EDGE_NATS_ADDR": g.nats, "EDGE_MQTT_ADDR": g.mqtt,
			"EDGE_HTTP_ADDR": g.http, "EDGE_HUB_URL": "nats-leaf://" + leaf, "EDGE_DATA_DIR": filepath.Join(p.dir, "edge"),
		})})
	}
	addr = next()
	p.Add(Core, Program{Binary: "core", HTTP: addr, Env: with(map[string]string{
		"CORE_HTTP_ADDR": addr, "HUB_URL": "nats://" + hub,
		"KAFKA_GROUP_ID": "iot-consumer-group" + o.Suffix, "CORE_TXN_PREFIX": "core" + o.Suffix + "-",
	})})
	p.portal = next()
	_, p.wsPort, _ = strings.Cut(next(), ":")
	p.Add(Portal, Program{Binary: "portal", HTTP: p.portal, Env: with(map[string]string{
		"PORTAL_ADDR": p.portal, "WEBSOCKET_PORT": p.wsPort, "HUB_URL": "nats://" + hub,
	})})
	return nil
}

// environment is what all programs share.
func (p *Plant) environment(Options) map[string]string {
	return map[string]string{
		"LOG_LEVEL":                "info",
		"KAFKA_BROKERS":            strings.Join(p.brokers, ","),
		"KAFKA_TOPIC_DEVICE_DATA":  p.Topics.DeviceData,
		"KAFKA_TOPIC_ALERTS":       p.Topics.Alerts,
		"KAFKA_TOPIC_DEAD_LETTERS": p.Topics.DeadLetters,
		"KAFKA_TOPIC_CHECKPOINTS":  p.Topics.Checkpoints,
		"KAFKA_TOPIC_ALARM_STATE":  p.Topics.AlarmState,
		"KAFKA_TOPIC_DEVICE_STATE": p.Topics.DeviceState,
	}
}

// Building returns the name of the i-th gateway's building.
func Building(i int) string { return string(rune('A'+i)) + "栋" }
