package fanout

import (
	"context"
	"encoding/json"

	"industrial-iot-monitor/portal/internal/dashboard"
)

// Commands does what one connection's alarm_command messages ask for and returns the message
// that answers, which is sent as JSON. It may block until ctx ends, which it does with the
// connection.
type Commands func(ctx context.Context, command json.RawMessage) any

// mostCommands bounds the commands of one client that are under way.
const mostCommands = 8

// command starts what an alarm_command message asks for; its answer comes when it is done.
// The reader goes on meanwhile.
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
		defer c.survive()
		if frame := textFrame(c.commands(raw)); frame != nil {
			c.tell(frame)
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

// tell queues a message that is neither a reading nor an alert.
func (c *client) tell(frame []byte) {
	c.mu.Lock()
	full := len(c.notes) >= mostNotes
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
