package relay

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/config"
)

func defaults(t *testing.T) Config {
	t.Helper()
	var c Config
	require.NoError(t, config.FromEnvironment(&c))
	return c
}

func TestDefaultsAreUsable(t *testing.T) {
	c := defaults(t)
	require.NoError(t, c.Check())
	require.Equal(t, "127.0.0.1:4230", c.HubAddr)
	require.Equal(t, "127.0.0.1:7422", c.LeafAddr)
	require.Equal(t, "127.0.0.1:9102", c.HTTPAddr)
	require.Equal(t, 1, c.Lanes)
}

func TestBadValueNamesTheVariable(t *testing.T) {
	for name, set := range map[string]func(c *Config){
		"BRIDGE_LANES":             func(c *Config) { c.Lanes = 0 },
		"BRIDGE_BATCH":             func(c *Config) { c.Batch = -1 },
		"BRIDGE_COMMIT_MIN":        func(c *Config) { c.CommitMin = c.CommitMax + time.Millisecond },
		"BRIDGE_COMMIT_MAX":        func(c *Config) { c.CommitMax = time.Minute },
		"BRIDGE_TRIM_MARGIN":       func(c *Config) { c.TrimMargin = 0 },
		"BRIDGE_LEAF_COMPRESSION":  func(c *Config) { c.LeafCompression = "best" },
		"BRIDGE_HUB_AUTH: want":    func(c *Config) { c.HubAuth = "on" },
		"BRIDGE_HUB_AUTH is for":   func(c *Config) { c.HubAuth, c.HubURL = "required", "nats://hub:4222" },
		"BRIDGE_GROUP_ID":          func(c *Config) { c.GroupID = "" },
		"BRIDGE_TXN_PREFIX":        func(c *Config) { c.TxnPrefix = "" },
		"KAFKA_BROKERS":            func(c *Config) { c.Brokers = nil },
		"KAFKA_TOPIC_DEVICE_DATA":  func(c *Config) { c.DeviceData = "" },
		"KAFKA_TOPIC_DEAD_LETTERS": func(c *Config) { c.DeadLetters = "" },
		"KAFKA_TOPIC_CHECKPOINTS":  func(c *Config) { c.Checkpoints = "bad topic!" },
	} {
		t.Run(name, func(t *testing.T) {
			c := defaults(t)
			set(&c)
			_, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler)})
			require.ErrorContains(t, err, name)
		})
	}
}

func TestNewReleasesWhatItTook(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	c := defaults(t)
	c.HubAddr, c.LeafAddr, c.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", ln.Addr().String()
	_, err = New(Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "BRIDGE_HTTP_ADDR="+c.HTTPAddr)

	c.HTTPAddr = "127.0.0.1:0"
	r, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NotEmpty(t, r.HubURL())
	require.NotEmpty(t, r.Addr())
	require.ErrorIs(t, r.Ready(), errNotReady)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())

	_, err = New(Options{Config: c})
	require.ErrorContains(t, err, "Log is required")
}
