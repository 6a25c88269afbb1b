package kafka_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// counter writes 0, 1, 2 … to a topic as the product's owners of a partition do: the
// position is committed with the records, and any failure leads back to it.
type counter struct {
	brokers           []string
	id                string
	data, checkpoints string
	failures          int
	log               func(format string, args ...any)
}

// run counts up to n and calls done after every commit.
func (c *counter) run(ctx context.Context, n int, done func(next int)) error {
	for {
		err := c.session(ctx, n, done)
		if err == nil || ctx.Err() != nil {
			return err
		}
		c.failures++
		c.log("session failed: %v", err)
	}
}

func (c *counter) session(ctx context.Context, n int, done func(next int)) error {
	p, err := kafka.NewProducer(ctx, quiet(), kafka.Config{Cluster: kafka.At(c.brokers...)}, "test", c.id)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	state, err := kafka.Restore(ctx, quiet(), kafka.At(c.brokers...), p, c.checkpoints, 0)
	if err != nil {
		return err
	}
	next, _ := strconv.Atoi(string(state["next"]))
	for next < n {
		if err := p.Begin(); err != nil {
			return err
		}
		for range 100 {
			if err := p.SendTo(0, message(c.data, "k", strconv.Itoa(next))); err != nil {
				return err
			}
			next++
		}
		if err := p.SendTo(0, message(c.checkpoints, "next", strconv.Itoa(next))); err != nil {
			return err
		}
		if err := p.Commit(); err != nil {
			return err
		}
		done(next)
	}
	return nil
}

func TestNothingIsLostOrDoubledWhileTheBrokerRestarts(t *testing.T) {
	dir := t.TempDir()
	b := kafkatest.Embedded(t, devkafka.Options{DataDir: dir})
	addr := b.Addr()
	brokers := []string{addr}
	c := &counter{
		brokers: brokers, id: kafkatest.Name(t, "tx"), log: t.Logf,
		data:        newTopic(t, brokers, kafka.Topic{Partitions: 1}),
		checkpoints: newTopic(t, brokers, kafka.Topic{Partitions: 1, Compacted: true}),
	}
	const n = 20_000
	ctx, cancel := context.WithTimeout(t.Context(), 2*waitTimeout)
	defer cancel()
	progress := make(chan int, n)
	result := make(chan error, 1)
	go func() { result <- c.run(ctx, n, func(next int) { progress <- next }) }()
	for _, at := range []int{3000, 9000, 15000} {
		for next := range progress {
			if next >= at {
				break
			}
		}
		require.NoError(t, b.Close())
		select {
		case <-time.After(500 * time.Millisecond): // an outage
		case err := <-result:
			t.Fatalf("ended during the outage: %v", err)
		}
		b = kafkatest.Embedded(t, devkafka.Options{DataDir: dir, Addr: addr})
	}
	require.NoError(t, <-result)
	t.Logf("sessions that failed: %d", c.failures)
	records := kafkatest.ReadAll(t, brokers, c.data, n, waitTimeout)
	require.Len(t, records, n)
	for i, r := range records {
		require.Equal(t, strconv.Itoa(i), string(r.Value))
	}
}
