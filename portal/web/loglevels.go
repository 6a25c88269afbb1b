package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
)

// levelWithin is how long a process may take to change the level of its log.
const levelWithin = 3 * time.Second

// levelBody changes the level of a process's log for 15 minutes.
type levelBody struct {
	Program  string `json:"program"` // as in the list of processes
	Instance string `json:"instance"`
	Level    string `json:"level"` // debug, info, warn or error
	By       string `json:"by"`    // operator; see access.go
}

// levelJSON says how long the level lasts.
type levelJSON struct {
	Time  int64 `json:"time"`
	Until int64 `json:"until"` // when the usual level is back
}

// setLogLevel handles POST /api/v1/log-levels.
func (p *Portal) setLogLevel(c *fiber.Ctx) error {
	var body levelBody
	by, err := decodeBy(c, &body, &body.By)
	switch {
	case err != nil:
		return err
	case body.Level != "debug" && body.Level != "info" && body.Level != "warn" && body.Level != "error":
		return badField("level", "debug, info, warn or error")
	case !p.pipeline.Knows(body.Program, body.Instance):
		return refuse(fiber.StatusNotFound, "process_not_found", "no such process has reported within the last hour")
	}
	a, err := p.changeLevel(body.Program, wire.LogLevelRequest{Instance: strings.Clone(body.Instance), Level: body.Level, By: by})
	if err != nil {
		return err
	}
	if a.Error != "" {
		return refuse(fiber.StatusServiceUnavailable, "level_unchanged", a.Error)
	}
	return c.JSON(levelJSON{Time: p.model.Now(), Until: a.Until})
}

// changeLevel asks the process, itself without the hub.
func (p *Portal) changeLevel(program string, q wire.LogLevelRequest) (a wire.LogLevelAnswer, err error) {
	if program == "portal" && q.Instance == vitals.Instance(p.Addr()) {
		a.Until, a.Error = p.vitals.SetLevel(q.Level, q.By)
		return a, nil
	}
	question, err := json.Marshal(q)
	if err != nil {
		return a, fmt.Errorf("encoding a log level: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), levelWithin)
	defer cancel()
	data, err := p.feed.Ask(ctx, wire.LogLevelSubject(program), question)
	switch {
	case errors.Is(err, feed.ErrNoResponder), errors.Is(err, context.DeadlineExceeded):
		return a, refuse(fiber.StatusServiceUnavailable, "process_unreachable", "the process gives no answer; its log is as it was, or the list of processes says otherwise")
	case err != nil:
		return a, err
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("reading an answer about a log level: %w", err)
	}
	return a, nil
}
