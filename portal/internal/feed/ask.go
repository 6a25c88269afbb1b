package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// ErrNoResponder says that nobody at the hub answers a question.
var ErrNoResponder = errors.New("nobody answers")

// Ask sends a question to the hub and returns the answer. The error wraps ErrNoResponder when the
// hub is away or nobody there takes the question, and is the context's when it ended.
func (f *Feed) Ask(ctx context.Context, subject string, question []byte) ([]byte, error) {
	nc := f.nc.Load()
	if nc == nil || !nc.IsConnected() {
		return nil, fmt.Errorf("asking %s: %w: %w", subject, ErrNoResponder, errNoHub)
	}
	m, err := nc.RequestWithContext(ctx, subject, question)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrConnectionClosed):
		return nil, fmt.Errorf("asking %s: %w: %w", subject, ErrNoResponder, err)
	case err != nil:
		return nil, fmt.Errorf("asking %s: %w", subject, err)
	}
	return m.Data, nil
}
