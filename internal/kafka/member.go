package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

// rejoinPause is the pause before a group is joined again after a failure.
const rejoinPause = 500 * time.Millisecond

// ErrUnusable reports that topics do not fit the program; waiting does not help.
var ErrUnusable = errors.New("topics are not usable")

// Member is one member of a consumer group. All fields are required.
type Member struct {
	Log    *slog.Logger
	Group  string
	Topics []string
	// Connect makes the client of one membership and creates missing topics. ctx ends with
	// Run's; the client must end with life.
	Connect func(ctx, life context.Context) (sarama.Client, error)
	// Session returns the handler of the next session. A handler that is a Judge reports
	// afterwards why the session ended.
	Session func(sarama.Client, sarama.ConsumerGroup) sarama.ConsumerGroupHandler
	// Outlive is how long the client outlives Run's context, for a last commit.
	Outlive time.Duration
}

// Judge is a handler that reports why its session ended.
type Judge interface {
	// Err returns what ended the session, nil for the group's ordinary course.
	Err() error
}

// Run takes part in the group until ctx ends. Failures are logged and retried, on a new
// client if needed, except ErrUnusable, which is returned.
func (m Member) Run(ctx context.Context) error {
	life, cut := lifecycle.Outlive(ctx, m.Outlive)
	defer cut()
	for ctx.Err() == nil {
		err := m.join(ctx, life)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrUnusable):
			return err
		case err != nil:
			m.Log.Warn("kafka unavailable, retrying", "err", err)
			lifecycle.Pause(ctx, rejoinPause)
		}
	}
	return nil
}

// join is one membership: it lasts as long as its client.
func (m Member) join(ctx, life context.Context) error {
	client, err := m.Connect(ctx, life)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the group has closed before
	group, err := sarama.NewConsumerGroupFromClient(m.Group, client)
	if err != nil {
		return fmt.Errorf("opening group %s: %w", m.Group, err)
	}
	var errs sync.WaitGroup
	errs.Go(func() { m.logErrors(group.Errors()) })
	err = m.sessions(ctx, client, group)
	_ = group.Close() // leaves the group; without a broker there is none to leave
	errs.Wait()
	return err
}

func (m Member) sessions(ctx context.Context, client sarama.Client, group sarama.ConsumerGroup) error {
	for ctx.Err() == nil {
		h := m.Session(client, group)
		err := group.Consume(ctx, m.Topics, h)
		if j, ok := h.(Judge); ok {
			err = errors.Join(err, j.Err())
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrUnusable), errors.Is(err, sarama.ErrClosedConsumerGroup):
			return err
		case err != nil:
			m.Log.Warn("consumer group session failed, rejoining", "group", m.Group, "err", err)
			lifecycle.Pause(ctx, rejoinPause)
		}
	}
	return nil
}

func (m Member) logErrors(errs <-chan error) {
	var limit ops.LogLimit // an outage is reported by every partition
	for err := range errs {
		if skipped, ok := limit.Allow(); ok {
			m.Log.Warn("consumer group error", "group", m.Group, "err", err, "skipped", skipped)
		}
	}
}
