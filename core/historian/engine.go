package historian

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/deadletter"
	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/internal/telemetry"
)

// engine is an engine elsewhere as a keeper.
type engine struct {
	*remote.Keeper
	letters string
}

func newEngine(h *Historian) (keeper, error) {
	c := &h.o.Config
	k, err := remote.New(remote.Options{Engine: c.Mode, URL: c.URL, ReadURL: c.ReadURL, Log: h.log, Registry: h.o.Registry})
	if err != nil {
		return nil, fmt.Errorf("HISTORY_URL: %w", err)
	}
	return &engine{k, h.o.Letters.Name}, nil
}

func (e *engine) Shared() bool { return true }

func (e *engine) Renew(group string) string { return "Delete the consumer group " + group }

// Head waits for the engine, and asks whether it can keep readings: a session without it fails and is
// tried again.
func (e *engine) Head(ctx context.Context, client sarama.Client, partition int32, committed int64) (head, error) {
	if err := e.Check(ctx); err != nil {
		return nil, err
	}
	h := &engineHead{records: make(map[int64]*sarama.ConsumerMessage), client: client, letters: e.letters}
	var err error
	h.Head, err = e.Keeper.Head(ctx, partition, committed, h.refuse)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (e *engine) Drop(h head) {
	if own, ok := h.(*engineHead); ok {
		own.Close()
	}
}

// Rebuild, Lost and Rewind: what an engine loses is for its backups.
func (e *engine) Rebuild() <-chan struct{}                  { return nil }
func (e *engine) Lost(context.Context) (int64, bool, error) { return 0, false, nil }

// Rewind is never needed.
func (e *engine) Rewind(context.Context, map[int32]int64) error { return nil }

// Maintain waits: an engine removes old readings by its own settings.
func (e *engine) Maintain(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// engineHead keeps the records of a batch until it is written, for dead letters.
type engineHead struct {
	*remote.Head
	records map[int64]*sarama.ConsumerMessage
	client  sarama.Client
	letters string
}

func (h *engineHead) Append(m *sarama.ConsumerMessage, r *archive.Reading) error {
	h.records[m.Offset] = m
	h.Head.Append(m.Offset, r)
	return nil
}

func (h *engineHead) Flush(ctx context.Context) error {
	err := h.Head.Flush(ctx)
	if err == nil {
		clear(h.records)
	}
	return err
}

// refuse writes a dead letter.
func (h *engineHead) refuse(_ context.Context, offset int64, why string) error {
	p, err := sarama.NewSyncProducerFromClient(h.client)
	if err != nil {
		return fmt.Errorf("opening the producer of dead letters: %w", err)
	}
	defer func() { _ = p.Close() }() // it waits for each letter
	letter := deadletter.New(h.letters, h.records[offset], &telemetry.Refusal{Reason: telemetry.ReasonHistory, Message: why})
	if _, _, err := p.SendMessage(letter); err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	return nil
}
