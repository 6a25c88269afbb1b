// Package lag polls Kafka for the lag of core's consumer group, partition by partition. It reads
// no records. Run blocks until its context ends; the other methods do not block.
package lag

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

const (
	every = 3 * time.Second
	// staleAfter is the age at which an answer no longer counts.
	staleAfter = 15 * time.Second
)

// Options of a Poller. All are required.
type Options struct {
	Cluster  kafka.Cluster
	Topic    string
	Group    string
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Partition is the lag in one partition.
type Partition struct {
	Partition int32 `json:"partition"`
	Lag       int64 `json:"lag"` // records written and not committed by the group
	// Rate is how many are written a second; null while unknown.
	Rate *float64 `json:"rate"`

	end int64
}

// Lag is that of all partitions. Offsets are compared, so transaction markers count as records.
type Lag struct {
	Total      int64       `json:"lag"`
	At         int64       `json:"at"` // ms since 1970
	Partitions []Partition `json:"partitions"`
}

// Poller asks Kafka for the lag every three seconds.
type Poller struct {
	o Options

	mu   sync.Mutex
	last *Lag
}

var errMissing = errors.New("lag: Brokers, Topic, Group, Log and Registry are required")

// New returns a Poller; Run makes it ask.
func New(o Options) (*Poller, error) {
	if len(o.Cluster.Brokers) == 0 || o.Topic == "" || o.Group == "" || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	p := &Poller{o: o}
	p.o.Log = o.Log.With("component", "lag")
	return p, o.Registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "portal_kafka_lag_records",
		Help: "Records in device-data not yet committed by core's consumer group; -1 while unknown.",
	}, func() float64 {
		if l := p.Last(); l != nil {
			return float64(l.Total)
		}
		return -1
	}))
}

// Last returns the newest answer, nil while there is none or it is old.
func (p *Poller) Last() *Lag {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || time.Since(time.UnixMilli(p.last.At)) > staleAfter {
		return nil
	}
	return p.last
}

// Run asks until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	var limit ops.LogLimit
	for ctx.Err() == nil {
		if err := p.session(ctx); err != nil && ctx.Err() == nil {
			if skipped, ok := limit.Allow(); ok {
				p.o.Log.Warn("consumer lag unavailable, retrying", "err", err, "skipped", skipped)
			}
		}
		lifecycle.Pause(ctx, every)
	}
	return nil
}

// session polls with one client until something fails.
func (p *Poller) session(ctx context.Context) error {
	settings := p.o.Cluster.Settings("portal-lag")
	settings.Metadata.Retry.Max = 1
	client, err := kafka.NewClient(ctx, p.o.Cluster, settings)
	if err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		_ = client.Close() // the first error says why
		return fmt.Errorf("creating an admin client: %w", err)
	}
	defer func() { _ = admin.Close() }() // closes the client
	for ctx.Err() == nil {
		l, err := p.ask(client, admin)
		if err != nil {
			return err
		}
		l.rates(p.Last())
		p.mu.Lock()
		p.last = l
		p.mu.Unlock()
		lifecycle.Pause(ctx, every)
	}
	return nil
}

func (p *Poller) ask(client sarama.Client, admin sarama.ClusterAdmin) (*Lag, error) {
	partitions, err := client.Partitions(p.o.Topic) // sorted
	if err != nil {
		return nil, fmt.Errorf("looking up partitions: %w", err)
	}
	committed, err := admin.ListConsumerGroupOffsets(p.o.Group, map[string][]int32{p.o.Topic: partitions})
	if errors.Is(err, sarama.ErrGroupIDNotFound) { // core was never started; not every Kafka says so
		committed, err = &sarama.OffsetFetchResponse{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the group's offsets: %w", err)
	}
	l := &Lag{At: time.Now().UnixMilli()}
	for _, n := range partitions {
		end, err := client.GetOffset(p.o.Topic, n, sarama.OffsetNewest)
		if err != nil {
			return nil, fmt.Errorf("reading the end of partition %d: %w", n, err)
		}
		at := int64(0)
		if b := committed.GetBlock(p.o.Topic, n); b != nil {
			at = max(b.Offset, 0)
		}
		behind := Partition{Partition: n, Lag: max(end-at, 0), end: end}
		l.Total += behind.Lag
		l.Partitions = append(l.Partitions, behind)
	}
	return l, nil
}

// rates sets how fast the partitions grew since an earlier answer, nil for none.
func (l *Lag) rates(before *Lag) {
	if before == nil || l.At <= before.At {
		return
	}
	for i := range l.Partitions {
		p := &l.Partitions[i]
		for _, was := range before.Partitions {
			if was.Partition == p.Partition && p.end >= was.end {
				p.Rate = new(1000 * float64(p.end-was.end) / float64(l.At-before.At))
			}
		}
	}
}
