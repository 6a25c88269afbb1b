package auditlog

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/securityaudit"
)

// newestHash returns the hash of the newest record of the topic, empty if there is none, or none that is one.
func newestHash(ctx context.Context, client sarama.Client, topic string) (hash string, err error) {
	end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
	if err != nil {
		return "", fmt.Errorf("looking for the end of %s: %w", topic, err)
	}
	err = read(ctx, client, topic, end-1, end, func(m *sarama.ConsumerMessage) {
		if r, err := securityaudit.Decode(m.Value); err == nil {
			hash = r.Hash
		}
	})
	return hash, err
}

// read calls each with the records of the topic from an offset, or the oldest one behind it, to before end.
func read(ctx context.Context, client sarama.Client, topic string, from, end int64, each func(*sarama.ConsumerMessage)) error {
	oldest, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("looking for the beginning of %s: %w", topic, err)
	}
	if from = max(from, oldest); from >= end {
		return nil
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("creating a consumer: %w", err)
	}
	defer func() { _ = consumer.Close() }() // nothing was written through it
	part, err := consumer.ConsumePartition(topic, 0, from)
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	defer func() { _ = part.Close() }() // likewise
	for {
		select {
		case m := <-part.Messages():
			each(m)
			if m.Offset >= end-1 {
				return nil
			}
		case e := <-part.Errors():
			return fmt.Errorf("reading %s: %w", topic, e.Err)
		case <-ctx.Done():
			return fmt.Errorf("reading %s: %w", topic, ctx.Err())
		}
	}
}

// Verify reads the topic from its beginning to its present end.
func Verify(ctx context.Context, log *slog.Logger, cluster kafka.Cluster, topic kafka.Topic) (*securityaudit.Verifier, error) {
	if err := kafka.EnsureTopics(ctx, log, cluster, topic); err != nil {
		return nil, err
	}
	settings := cluster.Settings("security-audit-verify")
	settings.Consumer.Return.Errors = true
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := kafka.NewClient(ctx, cluster, settings)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }() // nothing is written through it
	end, err := client.GetOffset(topic.Name, 0, sarama.OffsetNewest)
	if err != nil {
		return nil, fmt.Errorf("looking for the end of %s: %w", topic.Name, err)
	}
	var v securityaudit.Verifier
	err = read(ctx, client, topic.Name, 0, end, func(m *sarama.ConsumerMessage) { v.Add(m.Offset, m.Value) })
	if err != nil {
		return nil, err
	}
	v.End(end)
	return &v, nil
}
