package historian

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// keeper is where readings are kept: an archive, or an engine elsewhere.
type keeper interface {
	// ID tells it from others, and Renew says how to begin another history.
	ID() string
	Renew(group string) string
	// Shared reports whether several historians keep their readings there, each those of its partitions.
	Shared() bool
	// Head returns the head of a partition whose committed position is given; an archive knows its own.
	Head(ctx context.Context, client sarama.Client, partition int32, committed int64) (head, error)
	Drop(h head)

	Series(ctx context.Context, q *history.Query) (*history.Answer, error)
	Export(ctx context.Context, q *history.ExportQuery, f func(device string, b *samples.Block) error) error
	Status(ctx context.Context) (history.Status, error)

	// Rebuild receives when readings were lost that Lost names and that Kafka may still have.
	Rebuild() <-chan struct{}
	Lost(ctx context.Context) (at int64, some bool, err error)
	Rewind(ctx context.Context, to map[int32]int64) error

	Maintain(ctx context.Context) error
	Close() error
}

// head takes the readings of one partition. It is for one goroutine.
type head interface {
	// Next is the offset from which to read on, and Kept that before which nothing has to be read
	// again.
	Next() int64
	Kept() int64
	ClockOffset(device string) (offset int64, known bool)
	Append(m *sarama.ConsumerMessage, r *archive.Reading) error
	Skip(offset int64)
	// Full and Due report whether to Flush: there are many readings, or the oldest has waited.
	Full() bool
	Due() bool
	Flush(ctx context.Context) error
}

// open returns the keeper of the configuration.
func (h *Historian) open() (keeper, error) {
	c := &h.o.Config
	if c.Mode != Embedded {
		return newEngine(h)
	}
	a, err := archive.Open(archive.Options{
		Dir: c.dir(), Log: h.log, Registry: h.o.Registry, Retention: time.Duration(c.Retention), MaxBytes: c.MaxBytes,
		FlushEvery: c.Flush,
	})
	if errors.Is(err, archive.ErrInUse) {
		err = fmt.Errorf("CORE_DATA_DIR=%s: %w: set HISTORY=off for this core, or give it another directory", c.DataDir, err)
	}
	if err != nil {
		return nil, err
	}
	return &embedded{a, c.dir()}, nil
}

// embedded is an archive as a keeper.
type embedded struct {
	*archive.Archive
	dir string
}

// embeddedHead is its head.
type embeddedHead struct{ *archive.Head }

func (e *embedded) Shared() bool { return false }

func (e *embedded) Renew(string) string { return "Move the directory " + e.dir + " away" }

func (e *embedded) Head(ctx context.Context, _ sarama.Client, partition int32, _ int64) (head, error) {
	h, err := e.Archive.Head(ctx, partition)
	if err != nil {
		return nil, err
	}
	return embeddedHead{h}, nil
}

func (e *embedded) Drop(h head) {
	if own, ok := h.(embeddedHead); ok {
		e.Archive.Drop(own.Head)
	}
}

func (e *embedded) Status(context.Context) (history.Status, error) { return e.Archive.Status(), nil }

func (h embeddedHead) Kept() int64 { return h.Next() }

func (h embeddedHead) Append(m *sarama.ConsumerMessage, r *archive.Reading) error {
	return h.Head.Append(m.Offset, r)
}
