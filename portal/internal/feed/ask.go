package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// ErrNoResponder means that the hub is unreachable or has no subscriber for the subject.
var ErrNoResponder = errors.New("no responder")

// Publish sends a message to the hub. While the hub is away it is dropped.
func (f *Feed) Publish(subject string, data []byte) error {
	nc := f.nc.Load()
	if nc == nil || !nc.IsConnected() {
		return nil
	}
	if err := nc.Publish(subject, data); err != nil {
		return fmt.Errorf("publishing on %s: %w", subject, err)
	}
	return nil
}

// Ask sends a request through the hub and returns the reply. The error wraps ErrNoResponder, or
// is the context's when that ended first.
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
