// Package devkafka embeds a Kafka-compatible broker for the demo and for tests. It is
// not a production broker: one node, no replication, franz-go's kfake. Start blocks
// until the broker listens.
package devkafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// retentionBytes bounds each partition on disk: the oldest records are deleted, checked
// hourly. With the product's topics that is at most 4 GiB, plus the audit trail.
const retentionBytes = "268435456"

// InternalTopics are the internal topics of every real cluster. The embedded broker stores
// nothing in them, but a client whose coordinator is unavailable asks for them, and without
// them it retries for half a minute.
func InternalTopics() []string { return []string{"__consumer_offsets", "__transaction_state"} }

// Options of an embedded broker.
type Options struct {
	Addr    string // host:port, port 0 picks a free one
	DataDir string // for the records; required: memory stays small only with it
	Nodes   int    // of the cluster, 0 means 1; all but the first listen on free ports
	Log     *slog.Logger
}

// Broker is a running embedded broker.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	close   sync.Once
}

// Start runs a broker on o.Addr with the data in o.DataDir.
func Start(o Options) (*Broker, error) {
	switch {
	case o.Log == nil:
		return nil, errors.New("devkafka: Log is required")
	case o.DataDir == "":
		return nil, errors.New("devkafka: DataDir is required")
	}
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		return nil, fmt.Errorf("embedded kafka address %q: %w", o.Addr, err)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(max(o.Nodes, 1)), // one node leads every partition
		kfake.ListenFn(listener(o.Addr)),
		kfake.DataDir(o.DataDir),
		kfake.SeedTopics(1, InternalTopics()...),
		kfake.BrokerConfigs(map[string]string{"log.retention.bytes": retentionBytes}),
		kfake.WithLogger(logger{o.Log.With("component", "devkafka")}),
	)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("embedded kafka address %s is already in use: %w", o.Addr, err)
	case err != nil:
		return nil, fmt.Errorf("starting embedded kafka on %s with %s: %w", o.Addr, o.DataDir, err)
	}
	return &Broker{cluster: cluster, addr: cluster.ListenAddrs()[0]}, nil
}

// listener returns a function that listens on addr first, and on free ports after that.
func listener(addr string) func(network, _ string) (net.Listener, error) {
	return func(network, _ string) (net.Listener, error) {
		var lc net.ListenConfig
		ln, err := lc.Listen(context.Background(), network, addr)
		if err == nil {
			host, _, _ := net.SplitHostPort(addr)
			addr = net.JoinHostPort(host, "0")
		}
		return ln, err
	}
}

// Addr returns the bound address.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker once its data is on disk. Closing twice does nothing.
func (b *Broker) Close() error {
	b.close.Do(b.cluster.Close)
	return nil
}

// logger forwards kfake's lines to slog. kfake is chatty: it warns of a transaction that takes
// some milliseconds, so its warnings are our debug, and lower levels are dropped.
type logger struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded kafka", "detail", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Debug("embedded kafka", "detail", fmt.Sprintf(format, args...))
	default:
	}
}
