package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/test/cluster"
)

const (
	// backlog is how many readings are drained from all gateways.
	backlog = 500_000
	// bareTopic gets the readings of the bare loop.
	bareTopic = "bench-bare"
	// drainTimeout bounds every step of a drain.
	drainTimeout = 5 * time.Minute
)

// drainLoad fills the gateways: 50,000 devices ten times, in batches.
var drainLoad = report.Load{Rate: backlog / 10, Batch: 50, Interval: time.Second, Protocol: "nats"}

// runDrain fills gateways while no bridge runs, then measures how fast a bridge moves the
// backlog into Kafka, beside a bare loop: pull from one gateway, produce with franz-go, without
// transactions and checkpoints. The hub is a process of its own, the same for both.
func runDrain(ctx context.Context, o Options, load report.Load, w workshop, name string) (_ report.Sample, _ []string, err error) {
	p, err := newPlant(ctx, &o, load, w, name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.remove(o.Keep)) }()
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	readings, err := p.fillGateways(ctx, &o)
	if err != nil {
		return nil, nil, err
	}
	found := report.Sample{report.Acked: float64(readings)}
	if load.Gateways == 1 {
		if err := p.bare(ctx, found); err != nil {
			return nil, nil, fmt.Errorf("in the bare loop: %w", err)
		}
	}
	if err := p.drain(ctx, found, readings); err != nil {
		return nil, nil, err
	}
	ratio(found, report.DrainRatio, found[report.DrainRate], found[report.BareRate])
	return found, nil, nil
}

// fillGateways starts Kafka, the hub and the gateways, and lets devices send. It returns how
// many readings are stored.
func (p *plant) fillGateways(ctx context.Context, o *Options) (uint64, error) {
	var names []string
	for _, n := range p.Names() {
		if n != cluster.Bridge && n != cluster.Core && n != cluster.Portal {
			names = append(names, n)
		}
	}
	if err := p.Start(ctx, names...); err != nil {
		return 0, err
	}
	if err := p.addSim(o, drainLoad, "-excursions=0", "-duration=10s"); err != nil {
		return 0, err
	}
	if err := errors.Join(p.Start(ctx, simName), p.Wait(ctx, simName)); err != nil {
		return 0, err
	}
	sum, err := readSummary(p.summary())
	if err == nil && sum.Acked == 0 {
		err = errors.New("no reading was acknowledged")
	}
	return sum.Acked, err
}

// bare measures the loop that any bridge contains.
func (p *plant) bare(ctx context.Context, found report.Sample) error {
	err := kafka.EnsureTopics(ctx, slog.New(slog.DiscardHandler), kafka.At(p.Brokers()...), kafka.Topic{Name: bareTopic, Partitions: topology.DataPartitions})
	if err != nil {
		return err
	}
	out, err := kgo.NewClient(kgo.SeedBrokers(p.Brokers()...), kgo.DefaultProduceTopic(bareTopic))
	if err != nil {
		return err
	}
	defer out.Close()
	nc, err := nats.Connect(p.HubURL())
	if err != nil {
		return fmt.Errorf("connecting to the hub: %w", err)
	}
	defer nc.Close()
	begin, used := time.Now(), ownCPU()
	readings, err := pullAll(ctx, nc, out, cluster.Gateway(0))
	if err := errors.Join(err, out.Flush(ctx)); err != nil {
		return err
	}
	found[report.BareRate] = float64(readings) / time.Since(begin).Seconds()
	found[report.BareCost] = float64((ownCPU() - used).Microseconds()) / float64(readings)
	return nil
}

// pullAll produces every reading of a gateway's stream and returns how many there are.
func pullAll(ctx context.Context, nc *nats.Conn, out *kgo.Client, gateway string) (int, error) {
	js, err := jetstream.NewWithDomain(nc, wire.Domain(gateway))
	if err != nil {
		return 0, err
	}
	stream, err := js.Stream(ctx, wire.PackStream(gateway))
	if err != nil {
		return 0, err
	}
	cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, err
	}
	it, err := cons.Messages()
	if err != nil {
		return 0, err
	}
	defer it.Stop()
	failed := make(chan error, 1)
	readings := 0
	for range stream.CachedInfo().State.Msgs {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return readings, err
		}
		pack, err := wire.OpenPack(msg.Data())
		if err != nil {
			return readings, err
		}
		for e, ok := pack.Next(); ok; e, ok = pack.Next() {
			readings++
			out.Produce(ctx, &kgo.Record{Key: []byte(e.Device), Value: e.Payload}, func(_ *kgo.Record, err error) {
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
	}
	select {
	case err := <-failed:
		return readings, err
	default:
		return readings, nil
	}
}

// drain measures a bridge: the gateways are suspended while it starts, so that its CPU is that
// of the readings, and its time is from the first of them in Kafka to the last.
func (p *plant) drain(ctx context.Context, found report.Sample, readings uint64) error {
	for i := range p.Gateways() {
		if err := p.Suspend(cluster.Gateway(i)); err != nil {
			return err
		}
	}
	if err := p.Start(ctx, cluster.Bridge); err != nil {
		return err
	}
	before, err := p.Usage(cluster.Bridge)
	if err != nil {
		return err
	}
	for i := range p.Gateways() {
		if err := p.Signal(cluster.Gateway(i), syscall.SIGCONT); err != nil {
			return err
		}
	}
	arrived, took, err := p.watch(ctx, readings)
	if err != nil {
		return err
	}
	after, err := p.Usage(cluster.Bridge)
	if err != nil {
		return err
	}
	found[report.DrainRate] = arrived / took.Seconds()
	found[report.DrainCost] = float64((after.CPU - before.CPU).Microseconds()) / float64(readings)
	found[report.RSS+cluster.Bridge] = float64(after.MaxRSS) / (1 << 20)
	return nil
}

// watch waits until all readings are in Kafka, and returns how many arrived between the first
// look that found some and the end, and in which time.
func (p *plant) watch(ctx context.Context, readings uint64) (arrived float64, took time.Duration, err error) {
	const look = 50 * time.Millisecond
	var first float64
	var begin time.Time
	for {
		m, err := p.Metrics(ctx, cluster.Bridge)
		if err != nil {
			return 0, 0, err
		}
		now, in := time.Now(), m.Sum("bridge_records_total")
		switch {
		case in >= float64(readings) && begin.IsZero():
			return 0, 0, errors.New("the drain was too fast to be measured")
		case in >= float64(readings):
			return in - first, now.Sub(begin), nil
		case in > 0 && begin.IsZero():
			first, begin = in, now
		}
		if err := sleep(ctx, look); err != nil {
			return 0, 0, fmt.Errorf("%.0f of %d readings drained: %w", in, readings, err)
		}
	}
}

// ownCPU is the CPU that this process has used.
func ownCPU() time.Duration {
	u, err := cluster.ProcessUsage(os.Getpid())
	if err != nil {
		return 0
	}
	return u.CPU
}
