package web

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/topology"
)

// Config is the portal's environment.
type Config struct {
	Addr           string   `env:"PORTAL_ADDR" envDefault:"127.0.0.1:8080" help:"address of the page, the API and /ws, host:port"`
	WebSocketPort  int      `env:"WEBSOCKET_PORT" envDefault:"8081" help:"second port that serves the WebSocket, on the host of PORTAL_ADDR; 0 picks a free one"`
	WebSocketPath  string   `env:"WEBSOCKET_PATH" envDefault:"/ws" help:"path of the WebSocket on both ports"`
	MaxConnections int      `env:"WEBSOCKET_MAX_CONNECTIONS" envDefault:"1000" help:"WebSocket connections that may be open at once, on both ports together"`
	MaxPerAddress  int      `env:"WEBSOCKET_MAX_CONNECTIONS_PER_IP" envDefault:"200" help:"of these, from one IP address (IPv6: one /64); connections from this machine itself are not counted; 0: no limit; behind a proxy see PORTAL_TRUSTED_PROXIES"`
	Hosts          []string `env:"PORTAL_HOSTS" envSeparator:"," help:"names under which browsers, proxies and scrapers reach the portal, as in portal.example.com, comma separated; localhost and the IP addresses it listens on always count; requests for another host are refused (421)"`
	TrustedProxies []string `env:"PORTAL_TRUSTED_PROXIES" envSeparator:"," help:"IP addresses and networks (10.0.0.0/8) of the proxies before the portal, comma separated: X-Forwarded-For and X-Forwarded-Host count from these only"`
	MessageRate    float64  `env:"WEBSOCKET_MESSAGES_PER_SECOND" envDefault:"50" help:"messages a WebSocket client may send on average; ten times as many at once"`
	ReplayBytes    int      `env:"PORTAL_REPLAY_BYTES" envDefault:"67108864" help:"memory for the readings of the last minute, which clients of the simple dialect that come back get; 0: none are kept"`
	HubURL         string   `env:"HUB_URL" envDefault:"nats://127.0.0.1:4230" help:"NATS hub that live readings come from"`
	GroupID        string   `env:"KAFKA_GROUP_ID" envDefault:"iot-consumer-group" help:"core's consumer group, to show how far it is behind"`
	AllowedOrigins []string `env:"PORTAL_ALLOWED_ORIGINS" envSeparator:"," help:"further origins whose pages may open the WebSocket and command alarms, as in https://wall.example.com, comma separated, * for any; pages of the portal's own host always may"`
	AuditEntries   int      `env:"PORTAL_AUDIT_ENTRIES" envDefault:"20000" help:"entries of the alarms' audit trail that are kept in memory, the newest; some 500 bytes each"`

	kafka.Config
	topology.Topics
	ops.LogConfig
	ops.PprofConfig
}

// Check names the variable of an unusable value.
func (c *Config) Check() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("PORTAL_ADDR=%q: want host:port: %w", c.Addr, err)
	}
	if c.WebSocketPort < 0 || c.WebSocketPort > 65535 {
		return fmt.Errorf("WEBSOCKET_PORT=%d: %w", c.WebSocketPort, errPort)
	}
	if !strings.HasPrefix(c.WebSocketPath, "/") || strings.ContainsAny(c.WebSocketPath, "*:?# ") || c.WebSocketPath == "/" {
		return fmt.Errorf("WEBSOCKET_PATH=%q: %w", c.WebSocketPath, errPath)
	}
	if c.MaxConnections < 1 {
		return fmt.Errorf("WEBSOCKET_MAX_CONNECTIONS=%d: %w", c.MaxConnections, errCount)
	}
	if c.MaxPerAddress < 0 {
		return fmt.Errorf("WEBSOCKET_MAX_CONNECTIONS_PER_IP=%d: %w", c.MaxPerAddress, errNotNegative)
	}
	if c.ReplayBytes < 0 {
		return fmt.Errorf("PORTAL_REPLAY_BYTES=%d: %w", c.ReplayBytes, errNotNegative)
	}
	if c.MessageRate < 0 {
		return fmt.Errorf("WEBSOCKET_MESSAGES_PER_SECOND=%g: %w", c.MessageRate, errNotNegative)
	}
	if c.AuditEntries < 1 {
		return fmt.Errorf("PORTAL_AUDIT_ENTRIES=%d: %w", c.AuditEntries, errCount)
	}
	if _, err := parseProxies(c.TrustedProxies); err != nil {
		return fmt.Errorf("PORTAL_TRUSTED_PROXIES: %w", err)
	}
	if err := checkHosts(c.Hosts); err != nil {
		return fmt.Errorf("PORTAL_HOSTS: %w", err)
	}
	for _, o := range c.AllowedOrigins {
		if o == "*" || o == "null" {
			continue
		}
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			return fmt.Errorf("PORTAL_ALLOWED_ORIGINS: %q: %w", o, errOrigin)
		}
	}
	return errors.Join(c.Config.Check(), c.Topics.Check(), c.CheckPprof(c.Addr, "PORTAL_ADDR"))
}

var (
	errPort        = errors.New("want a port, 0 to 65535")
	errNotNegative = errors.New("want 0 or more")
	errPath        = errors.New("want a path such as /ws")
	errCount       = errors.New("want 1 or more")
	errOrigin      = errors.New("want an origin such as https://wall.example.com, or *")
)

// webSocketAddr returns where the second listener goes, "" when the first one has it.
func (c *Config) webSocketAddr() string {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil || (port == strconv.Itoa(c.WebSocketPort) && port != "0") {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(c.WebSocketPort))
}
