// Package devkafka embeds a Kafka-compatible broker for the demo and for tests. It is
// not a production broker: one node, no replication, franz-go's kfake. Start blocks
// until the broker listens.
package devkafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// DefaultRetention bounds the records of a partition in bytes. With the product's topics that is
// at most 4 GiB, plus the audit trail.
const DefaultRetention = 256 << 20

// segmentBytes is small, because a segment is deleted only as a whole.
const segmentBytes = "4194304"

// InternalTopics are the internal topics of every real cluster. The embedded broker stores
// nothing in them, but a client whose coordinator is unavailable asks for them, and without
// them it retries for half a minute.
func InternalTopics() []string { return []string{"__consumer_offsets", "__transaction_state"} }

// Options of an embedded broker.
type Options struct {
	Addr    string // host:port, port 0 picks a free one
	DataDir string // for the records; required: memory stays small only with it
	Nodes   int    // of the cluster, 0 means 1; all but the first listen on free ports
	// Retention is the size in bytes at which a partition loses its oldest records, unless its
	// topic says otherwise; 0 means DefaultRetention. Memory grows with it: 72 bytes a batch.
	Retention int64
	Log       *slog.Logger
}

// Broker is a running embedded broker.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	log     *slog.Logger
	stop    context.CancelFunc // of the cleaner
	cleaned sync.WaitGroup
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
		kfake.BrokerConfigs(map[string]string{
			"log.retention.bytes": strconv.FormatInt(cmp.Or(o.Retention, DefaultRetention), 10),
			"log.segment.bytes":   segmentBytes, "log.cleaner.backoff.ms": never,
		}),
		kfake.WithLogger(logger{o.Log.With("component", "devkafka")}),
	)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("embedded kafka address %s is already in use: %w", o.Addr, err)
	case err != nil:
		return nil, fmt.Errorf("starting embedded kafka on %s with %s: %w", o.Addr, o.DataDir, err)
	}
	b := &Broker{cluster: cluster, addr: cluster.ListenAddrs()[0], log: o.Log.With("component", "devkafka")}
	c, err := newCleaner(b)
	if err != nil {
		cluster.Close()
		return nil, fmt.Errorf("cleaning embedded kafka: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.cleaned.Go(func() { c.run(ctx) })
	return b, nil
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
	b.close.Do(func() {
		b.stop()
		b.cleaned.Wait() // or it would wait for an answer of the closed cluster
		b.cluster.Close()
	})
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
