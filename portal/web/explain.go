package web

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
)

// explainAnswer explains why an alarm was raised.
type explainAnswer struct {
	Time        int64            `json:"time"`
	Explanation wire.Explanation `json:"explanation"`
}

// explain asks core, which reads the alarm's readings from Kafka again.
func (p *Portal) explain(c *fiber.Ctx) error {
	a := p.model.Alert(c.Params("id"))
	if a == nil {
		return errNoAlert()
	}
	question, err := json.Marshal(wire.ExplainRequest{Alert: a.Alert})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.explainWithin)
	defer cancel()
	data, err := p.feed.Ask(ctx, wire.ExplainSubject, question)
	if err != nil {
		return p.unexplained(err)
	}
	var e wire.Explanation
	if err := json.Unmarshal(data, &e); err != nil {
		return p.unexplained(err)
	}
	return c.JSON(explainAnswer{Time: p.model.Now(), Explanation: e})
}

// explainWithin is how long core may take to explain an alarm.
const explainWithin = 10 * time.Second

func (p *Portal) unexplained(err error) error {
	p.log.Warn("alarm not explained", "err", err)
	message := "malformed answer from core; try again"
	switch {
	case errors.Is(err, feed.ErrNoResponder):
		message = "core is unreachable; try again later"
	case errors.Is(err, context.DeadlineExceeded):
		message = "no answer from core in time; try again later"
	}
	return refuse(fiber.StatusServiceUnavailable, "explain_unavailable", message)
}
