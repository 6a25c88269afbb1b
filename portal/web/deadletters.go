package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
)

// lettersWithin is how long core may take to list or replay dead letters: it bounds itself at 25 s.
const lettersWithin = 27 * time.Second

// deadLettersJSON is what is in the topic of dead letters.
type deadLettersJSON struct {
	Time  int64 `json:"time"`
	Since int64 `json:"since"` // when the oldest of those counted was written, 0 without any
	// Most is how many letters one replay takes.
	Most    int                     `json:"most"`
	Reasons []wire.DeadLetterReason `json:"reasons"`
	Replays []wire.DeadLetterReplay `json:"replays"` // the newest first
}

// listDeadLetters handles GET /api/v1/dead-letters.
func (p *Portal) listDeadLetters(c *fiber.Ctx) error {
	var a wire.DeadLettersAnswer
	if err := p.askLetters(wire.DeadLettersSubject, nil, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return refuse(fiber.StatusServiceUnavailable, "letters_unavailable", a.Error)
	}
	return c.JSON(deadLettersJSON{Time: p.model.Now(), Since: a.Since, Most: wire.MaxLettersReplay, Reasons: a.Reasons, Replays: a.Replays})
}

// replayBody asks for a replay.
type replayBody struct {
	Reason string `json:"reason"` // one of the list's
	By     string `json:"by"`     // operator; see access.go
	Most   int    `json:"most"`   // how many letters at most: the number that the operator was shown
}

// replayJSON is what became of a replay.
type replayJSON struct {
	Time   int64  `json:"time"`
	Replay string `json:"replay"` // its id in the list of replays
	Count  int    `json:"count"`  // letters that went to device-data; 0: none was left to replay
}

// replayLetters handles POST /api/v1/dead-letters/replays.
func (p *Portal) replayLetters(c *fiber.Ctx) error {
	var body replayBody
	by, err := decodeBy(c, &body, &body.By)
	switch {
	case err != nil:
		return err
	case body.Reason == "":
		return badField("reason", "a reason of the list of dead letters")
	case body.Most < 1 || body.Most > wire.MaxLettersReplay:
		return badField("most", fmt.Sprintf("1 to %d", wire.MaxLettersReplay))
	}
	question, err := json.Marshal(wire.DeadLetterReplayRequest{Reason: strings.Clone(body.Reason), By: by, Most: body.Most})
	if err != nil {
		return fmt.Errorf("encoding a replay: %w", err)
	}
	var a wire.DeadLetterReplayAnswer
	if err := p.askLetters(wire.DeadLettersReplaySubject, question, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return refuse(fiber.StatusServiceUnavailable, "letters_unavailable", a.Error+"; whether the letters were replayed, the list says")
	}
	return c.JSON(replayJSON{Time: p.model.Now(), Replay: a.ID, Count: a.Count})
}

// askLetters asks core about dead letters.
func (p *Portal) askLetters(subject string, question []byte, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), lettersWithin)
	defer cancel()
	data, err := p.feed.Ask(ctx, subject, question)
	switch {
	case errors.Is(err, feed.ErrNoResponder):
		return refuse(fiber.StatusServiceUnavailable, "core_unavailable", "core is unreachable; try again later")
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(fiber.StatusServiceUnavailable, "core_unavailable", "no answer from core in time; what became of a replay, the list says")
	case err != nil:
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading an answer about dead letters: %w", err)
	}
	return nil
}
