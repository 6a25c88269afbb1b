package historian

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/logtest"
)

// flushes is a head whose Flush is given; sess is a session that has ended, and notes what is marked.
type (
	flushes struct {
		head

		flush func(context.Context) error
	}
	sess struct {
		sarama.ConsumerGroupSession

		ctx    context.Context //nolint:containedctx // that of the session, as in sarama
		marked int
	}
)

func (f flushes) Flush(ctx context.Context) error { return f.flush(ctx) }
func (flushes) Kept() int64                       { return 7 }

func (s *sess) Context() context.Context                { return s.ctx }
func (s *sess) MarkOffset(string, int32, int64, string) { s.marked++ }

// TestStopDoesNotWaitForTheDisk: what a stop has no time to write is no failure, since Kafka has it.
func TestStopDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, end := context.WithCancel(t.Context())
		end()
		text := new(logtest.Buffer)
		s := &handler{h: &Historian{o: Options{Topic: kafka.Topic{Name: "device-data"}}, log: slog.New(slog.NewTextHandler(text, nil))}}
		last := func(flush func(context.Context) error) (int, error) {
			session := &sess{ctx: ended}
			err := s.lastFlush(session, 3, flushes{flush: flush})
			return session.marked, err
		}

		marked, err := last(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.NoError(t, err)
		require.Zero(t, marked, "it was not written")
		require.Contains(t, text.String(), "no time was left")

		broken := errors.New("disk full")
		marked, err = last(func(context.Context) error { return broken })
		require.ErrorIs(t, err, broken)
		require.Zero(t, marked)
	})
}
