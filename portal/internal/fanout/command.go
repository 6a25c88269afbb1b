package fanout

import (
	"context"
	"encoding/json"

	"industrial-iot-monitor/portal/internal/dashboard"
)

// Commands executes an alarm_command of a connection and returns the answer, which is sent as
// JSON. It may block until ctx ends, which it does with the
// connection.
type Commands func(ctx context.Context, command json.RawMessage) any

// maxCommands bounds the running commands of one client.
const maxCommands = 8

// command starts an alarm_command; its answer is queued when it is done.
func (c *client) command(raw json.RawMessage) error {
	if c.commands == nil {
		return &refusal{codeBadRequest, "commands are not taken here"}
	}
	select {
	case c.working <- struct{}{}:
	default:
		return &refusal{codeRateLimited, "too many commands are under way; send this one again later"}
	}
	c.workers.Go(func() {
		defer func() { <-c.working }()
		defer c.recoverPanic()
		if frame := textFrame(c.commands(raw)); frame != nil {
			c.queueNote(frame)
		}
	})
	return nil
}

// textFrame returns v as JSON in a text frame, nil when v cannot be JSON.
func textFrame(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return dashboard.TextFrame(body)
}

// queueNote queues a message that is neither a reading nor an alert.
func (c *client) queueNote(frame []byte) {
	c.mu.Lock()
	full := len(c.notes) >= maxNotes
	if !full {
		c.notes = append(c.notes, frame)
	}
	c.mu.Unlock()
	if full {
		c.close(CloseSlow, "too slow: answers were not taken")
		return
	}
	poke(c.urgent)
}
