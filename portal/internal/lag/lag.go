// Package lag asks Kafka how far core's consumer group is behind, partition by partition.
// Run blocks until its context ends; the other methods do not block.
package lag

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
)

const (
	every = 3 * time.Second
	// staleAfter is how long an answer counts.
	staleAfter = 15 * time.Second
)

// Options of a Watch. All are required.
type Options struct {
	Brokers  []string
	Topic    string
	Group    string
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Partition is how far behind the group is in one partition.
type Partition struct {
	Partition int32 `json:"partition"`
	Lag       int64 `json:"lag"` // records written and not committed by the group
}

// Lag is the whole. A record that ends a transaction counts as one.
type Lag struct {
	Total      int64       `json:"lag"`
	At         int64       `json:"at"` // ms since 1970
	Partitions []Partition `json:"partitions"`
}

// Watch asks now and then.
type Watch struct {
	o Options

	mu   sync.Mutex
	last *Lag
}

var errMissing = errors.New("lag: Brokers, Topic, Group, Log and Registry are required")

// New returns a Watch; Run makes it ask.
func New(o Options) (*Watch, error) {
	if len(o.Brokers) == 0 || o.Topic == "" || o.Group == "" || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	w := &Watch{o: o}
	w.o.Log = o.Log.With("component", "lag")
	return w, o.Registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "portal_kafka_lag_records",
		Help: "Records in device-data that core's group has not committed; -1 while unknown.",
	}, func() float64 {
		if l := w.Last(); l != nil {
			return float64(l.Total)
		}
		return -1
	}))
}

// Last returns the newest answer, nil while there is none or it is old.
func (w *Watch) Last() *Lag {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil || time.Since(time.UnixMilli(w.last.At)) > staleAfter {
		return nil
	}
	return w.last
}

// Run asks until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	var logged time.Time
	for ctx.Err() == nil {
		err := w.session(ctx)
		if err != nil && ctx.Err() == nil && time.Since(logged) > time.Minute {
			logged = time.Now()
			w.o.Log.Warn("kafka does not tell how far core is behind, trying again", "err", err)
		}
		lifecycle.Pause(ctx, every)
	}
	return nil
}

// session asks with one client until something fails.
func (w *Watch) session(ctx context.Context) error {
	settings := kafka.NewSettings("portal-lag")
	settings.Metadata.Retry.Max = 1
	client, err := kafka.NewClient(ctx, w.o.Brokers, settings)
	if err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		_ = client.Close() // the first error says why
		return fmt.Errorf("making an admin client: %w", err)
	}
	defer func() { _ = admin.Close() }() // closes the client; nothing is written through it
	for ctx.Err() == nil {
		l, err := w.ask(client, admin)
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.last = l
		w.mu.Unlock()
		lifecycle.Pause(ctx, every)
	}
	return nil
}

func (w *Watch) ask(client sarama.Client, admin sarama.ClusterAdmin) (*Lag, error) {
	partitions, err := client.Partitions(w.o.Topic)
	if err != nil {
		return nil, fmt.Errorf("looking up partitions: %w", err)
	}
	committed, err := admin.ListConsumerGroupOffsets(w.o.Group, map[string][]int32{w.o.Topic: partitions})
	if err != nil {
		return nil, fmt.Errorf("asking for the group's offsets: %w", err)
	}
	l := &Lag{At: time.Now().UnixMilli()}
	for _, p := range partitions {
		end, err := client.GetOffset(w.o.Topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, fmt.Errorf("asking for the end of partition %d: %w", p, err)
		}
		at := int64(0)
		if b := committed.GetBlock(w.o.Topic, p); b != nil {
			at = max(b.Offset, 0)
		}
		behind := max(end-at, 0)
		l.Total += behind
		l.Partitions = append(l.Partitions, Partition{Partition: p, Lag: behind})
	}
	slices.SortFunc(l.Partitions, func(a, b Partition) int { return int(a.Partition - b.Partition) })
	return l, nil
}
