package web

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
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
	payer := p.payer(c)
	if !p.explaining.enter(payer) {
		c.Set(fiber.HeaderRetryAfter, "1")
		return errExplaining
	}
	defer p.explaining.leave(payer)
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

var errExplaining = refuse(fiber.StatusTooManyRequests, "explain_busy", "another explanation for this address is being made; ask again when it is done")

// explaining are the callers for whom core explains an alarm. Each has one at a time: core reads Kafka for it,
// for as long as 8 s, and explains two at a time.
type explaining struct {
	mu  sync.Mutex
	who map[string]struct{}
}

// enter reports whether a caller may ask; "" always may. Who entered has to leave.
func (e *explaining) enter(who string) bool {
	if who == "" {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, busy := e.who[who]; busy {
		return false
	}
	if e.who == nil {
		e.who = make(map[string]struct{})
	}
	e.who[who] = struct{}{}
	return true
}

func (e *explaining) leave(who string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.who, who)
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
