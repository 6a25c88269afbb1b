package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/sensors/sensorfile"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/portal/internal/share"
	"industrial-iot-monitor/portal/internal/store"
)

// Config is the portal's environment.
type Config struct {
	Addr           string        `env:"PORTAL_ADDR" envDefault:"127.0.0.1:8080" help:"address of the page, the API and /ws, host:port"`
	WebSocketPort  int           `env:"WEBSOCKET_PORT" envDefault:"8081" help:"second port for the WebSocket, on the host of PORTAL_ADDR; 0: a free one"`
	WebSocketPath  string        `env:"WEBSOCKET_PATH" envDefault:"/ws" help:"path of the WebSocket on both ports"`
	MaxConnections int           `env:"WEBSOCKET_MAX_CONNECTIONS" envDefault:"1000" help:"limit of open WebSocket connections, both ports together"`
	MaxPerAddress  int           `env:"WEBSOCKET_MAX_CONNECTIONS_PER_IP" envDefault:"200" help:"limit of these for one IP address (IPv6: one /64), loopback excepted; 0: none; behind a proxy see PORTAL_TRUSTED_PROXIES"`
	MaxTCP         int           `env:"PORTAL_MAX_CONNECTIONS" envDefault:"10000" help:"connections at most, both ports together, of browsers, programs and WebSockets; further ones are closed at once; 0: no limit"`
	MaxTCPPerIP    int           `env:"PORTAL_MAX_CONNECTIONS_PER_IP" envDefault:"1000" help:"these from one IP address (IPv6: one /64) at most, loopback and PORTAL_TRUSTED_PROXIES excepted; 0: no limit"`
	Hosts          []string      `env:"PORTAL_HOSTS" envSeparator:"," help:"comma-separated host names of the portal, such as portal.example.com; localhost and its own IP addresses are always allowed, requests for other hosts get 421"`
	TrustedProxies []string      `env:"PORTAL_TRUSTED_PROXIES" envSeparator:"," help:"comma-separated IP addresses and networks (10.0.0.0/8) of reverse proxies; X-Forwarded-For and X-Forwarded-Host are ignored from others"`
	TLSCertFile    string        `env:"PORTAL_TLS_CERT_FILE" help:"PEM file of the portal's certificate and those that sign it (bridge ca issue); with it browsers and programs connect by TLS alone, on both ports; a new one is taken without a restart; empty: in clear"`
	TLSKeyFile     string        `env:"PORTAL_TLS_KEY_FILE" help:"PEM file of the key of PORTAL_TLS_CERT_FILE"`
	MessageRate    float64       `env:"WEBSOCKET_MESSAGES_PER_SECOND" envDefault:"50" help:"rate limit of messages from a WebSocket client; bursts of ten times as many are allowed"`
	ReplayBytes    int           `env:"PORTAL_REPLAY_BYTES" envDefault:"33554432" help:"memory for the readings of the last minute, from which reconnecting clients of the simple dialect resume; 0: none"`
	HubURL         string        `env:"HUB_URL" envDefault:"nats://127.0.0.1:4230" help:"NATS hub for live readings"`
	HubKeyFile     string        `env:"HUB_KEY_FILE" help:"file with the key that this program proves to the hub, from bridge client add; empty: none"`
	HubCAFile      string        `env:"HUB_CA_FILE" help:"PEM file of the certificates that the hub's is signed by, for a HUB_URL of tls://; empty: those of the system"`
	GroupID        string        `env:"KAFKA_GROUP_ID" envDefault:"iot-consumer-group" help:"core's consumer group, to report its lag"`
	HistoryURL     string        `env:"PORTAL_HISTORY_URL" envDefault:"http://127.0.0.1:9106" help:"where core keeps the history of readings (CORE_HISTORY_ADDR), for charts and exports; empty: there is none"`
	HistoryToken   config.Secret `env:"PORTAL_HISTORY_TOKEN" help:"CORE_HISTORY_TOKEN of the core at PORTAL_HISTORY_URL"`
	HistoryCAFile  string        `env:"PORTAL_HISTORY_CA_FILE" help:"PEM file of the certificates that the one of PORTAL_HISTORY_URL is signed by, for an https:// one; empty: those of the system"`
	StorePath      string        `env:"PORTAL_STORE" envDefault:"./data/portal.db" help:"file of the portal's database (SQLite): alarms and audit trail, for as long as you keep it; empty: none"`
	Retention      config.Age    `env:"PORTAL_STORE_RETENTION" envDefault:"0" help:"how long the database keeps audit entries, records of the security audit and alarms that are over, such as 1000d, 30d at least; 0: for ever"`
	DatabaseURL    string        `env:"DATABASE_URL" help:"PostgreSQL in place of PORTAL_STORE, for several portals: postgres://user:password@host:5432/database"`
	RedisURL       string        `env:"REDIS_URL" help:"Redis (6.2 or newer) that portals share, for the newest readings when one starts, who is at the screens, and rate limits: redis://user:password@host:6379/0, rediss:// for TLS; empty: none"`
	RedisPrefix    string        `env:"REDIS_PREFIX" envDefault:"iot" help:"first part of all keys in Redis; plants that share a Redis need different ones"`
	RequestRate    float64       `env:"PORTAL_REQUESTS_PER_SECOND" envDefault:"100" help:"tokens a second for API requests of one person or program that has signed in, or else from one IP address (IPv6: one /64), loopback excepted, over all portals that share a Redis; ten times as many can be saved up; lists and charts take 5, files and reports 20; 0: no limit"`
	CommandRate    float64       `env:"PORTAL_COMMANDS_PER_MINUTE" envDefault:"600" help:"rate limit of commands to alarms and devices, likewise; as many are allowed at once"`
	AllowedOrigins []string      `env:"PORTAL_ALLOWED_ORIGINS" envSeparator:"," help:"comma-separated further origins whose pages may open the WebSocket and command alarms, such as https://wall.example.com; *: any; the portal's own host is always allowed"`
	AuditEntries   int           `env:"PORTAL_AUDIT_ENTRIES" envDefault:"20000" help:"newest entries of the audit trail kept in memory too, some 500 bytes each: the answers to commands, and what is shown while the database is away"`
	Shifts         []string      `env:"PORTAL_SHIFTS" envSeparator:"," envDefault:"00:00,08:00,16:00" help:"comma-separated times of day at which shifts begin, for reports"`

	Sensors sensorfile.Config // SENSORS_FILE

	AuthConfig
	kafka.Config
	topology.Topics
	ops.LogConfig
	Tracing tracing.Config
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
	if err := c.checkConnections(); err != nil {
		return err
	}
	if c.ReplayBytes < 0 {
		return fmt.Errorf("PORTAL_REPLAY_BYTES=%d: %w", c.ReplayBytes, errNotNegative)
	}
	if c.MessageRate < 0 {
		return fmt.Errorf("WEBSOCKET_MESSAGES_PER_SECOND=%g: %w", c.MessageRate, errNotNegative)
	}
	if c.RequestRate < 0 {
		return fmt.Errorf("PORTAL_REQUESTS_PER_SECOND=%g: %w", c.RequestRate, errNotNegative)
	}
	if c.CommandRate < 0 {
		return fmt.Errorf("PORTAL_COMMANDS_PER_MINUTE=%g: %w", c.CommandRate, errNotNegative)
	}
	if err := c.checkRedis(); err != nil {
		return err
	}
	if c.AuditEntries < 1 {
		return fmt.Errorf("PORTAL_AUDIT_ENTRIES=%d: %w", c.AuditEntries, errCount)
	}
	if _, err := c.history(); err != nil {
		return err
	}
	if err := c.checkDatabase(); err != nil {
		return err
	}
	if err := checkShifts(c.Shifts); err != nil {
		return fmt.Errorf("PORTAL_SHIFTS=%s: %w", strings.Join(c.Shifts, ","), err)
	}
	if _, err := parseProxies(c.TrustedProxies); err != nil {
		return fmt.Errorf("PORTAL_TRUSTED_PROXIES: %w", err)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return errTLS
	}
	if err := c.Tracing.Check(); err != nil {
		return err
	}
	if err := checkHosts(c.Hosts); err != nil {
		return fmt.Errorf("PORTAL_HOSTS: %w", err)
	}
	if err := c.checkOrigins(); err != nil {
		return err
	}
	anyOrigin := slices.Contains(c.AllowedOrigins, "*") || slices.Contains(c.AllowedOrigins, "null")
	if err := c.check(c.StorePath != "" || c.DatabaseURL != "", len(c.TrustedProxies) > 0, anyOrigin); err != nil {
		return err
	}
	return errors.Join(c.Config.Check(), c.Topics.Check(), c.CheckPprof(c.Addr, "PORTAL_ADDR"), c.CheckPorts(c.port()))
}

// port returns where the portal listens, for the start rule. WEBSOCKET_PORT is on the same host, with the same
// sign-in and certificate.
func (c *Config) port() listen.Port {
	p := listen.Port{Variable: "PORTAL_ADDR", Addr: c.Addr}
	if c.off() {
		p.Proof = "PORTAL_AUTH"
	}
	if c.TLSCertFile == "" && len(c.TrustedProxies) == 0 {
		p.Encryption = "PORTAL_TLS_CERT_FILE and PORTAL_TLS_KEY_FILE, or PORTAL_TRUSTED_PROXIES to the proxy that ends TLS in front"
	}
	return p
}

func (c *Config) checkOrigins() error {
	for _, o := range c.AllowedOrigins {
		if o == "*" || o == "null" {
			continue
		}
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			return fmt.Errorf("PORTAL_ALLOWED_ORIGINS: %q: %w", o, errOrigin)
		}
	}
	return nil
}

func (c *Config) checkConnections() error {
	if c.MaxConnections < 1 {
		return fmt.Errorf("WEBSOCKET_MAX_CONNECTIONS=%d: %w", c.MaxConnections, errCount)
	}
	if c.MaxPerAddress < 0 {
		return fmt.Errorf("WEBSOCKET_MAX_CONNECTIONS_PER_IP=%d: %w", c.MaxPerAddress, errNotNegative)
	}
	if c.MaxTCP < 0 || c.MaxTCP > 0 && c.MaxTCP < c.MaxConnections {
		return fmt.Errorf("PORTAL_MAX_CONNECTIONS=%d: %w", c.MaxTCP, errFewer)
	}
	if c.MaxTCPPerIP < 0 {
		return fmt.Errorf("PORTAL_MAX_CONNECTIONS_PER_IP=%d: %w", c.MaxTCPPerIP, errNotNegative)
	}
	return nil
}

func (c *Config) checkDatabase() error {
	if c.Retention != 0 && time.Duration(c.Retention) < shortestRetention {
		return fmt.Errorf("PORTAL_STORE_RETENTION=%s: %w", c.Retention, errRetention)
	}
	if c.DatabaseURL == "" {
		return nil
	}
	if err := store.CheckURL(c.DatabaseURL); err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	return nil
}

// shortestRetention is that of the database.
const shortestRetention = 720 * time.Hour

// prefix is what REDIS_PREFIX may be: a key has it in braces.
var prefix = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// checkRedis names the variable of an unusable address.
func (c *Config) checkRedis() error {
	if c.RedisURL == "" {
		return nil
	}
	if err := share.CheckURL(c.RedisURL); err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	if !prefix.MatchString(c.RedisPrefix) {
		return fmt.Errorf("REDIS_PREFIX=%q: %w", c.RedisPrefix, errPrefix)
	}
	return nil
}

var (
	errTLS         = errors.New("PORTAL_TLS_CERT_FILE and PORTAL_TLS_KEY_FILE: want both or none")
	errRetention   = errors.New("want 30d or more, or 0 to keep them for ever")
	errPort        = errors.New("want a port, 0 to 65535")
	errNotNegative = errors.New("want 0 or more")
	errFewer       = errors.New("want WEBSOCKET_MAX_CONNECTIONS or more, or 0 for no limit")
	errPath        = errors.New("want a path such as /ws")
	errCount       = errors.New("want 1 or more")
	errPrefix      = errors.New("want 1 to 64 of A-Z a-z 0-9 _ . -")
	errOrigin      = errors.New("want an origin such as https://wall.example.com, or *")
)

// history returns the client of the historian, nil without one.
func (c *Config) history() (*history.Client, error) {
	if c.HistoryURL == "" {
		return nil, nil //nolint:nilnil // there may be none
	}
	client, err := history.NewClient(history.Options{URL: c.HistoryURL, Token: string(c.HistoryToken), CAFile: c.HistoryCAFile})
	if err != nil {
		return nil, fmt.Errorf("PORTAL_HISTORY_URL, PORTAL_HISTORY_CA_FILE: %w", err)
	}
	return client, nil
}

// store returns the portal's database, nil without one.
func (c *Config) store(log *slog.Logger, reg prometheus.Registerer) (*store.Store, error) {
	o := store.Options{Path: c.StorePath, URL: c.DatabaseURL, Log: log, Registry: reg, Retention: time.Duration(c.Retention)}
	switch {
	case o.URL != "":
		o.Path = ""
	case o.Path == "":
		return nil, nil //nolint:nilnil // there may be none
	}
	s, err := store.New(o)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return s, nil
}

// webSocketAddr returns the address of the second listener, "" if the first one serves its port.
func (c *Config) webSocketAddr() string {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil || (port == strconv.Itoa(c.WebSocketPort) && port != "0") {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(c.WebSocketPort))
}
