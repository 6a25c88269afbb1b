package processor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/wire"
)

// answerLimits answers requests for the limits of the rules in force until ctx ends. One
// member of core answers each; they have the same rules.
func (p *Processor) answerLimits(ctx context.Context, nc *nats.Conn) error {
	sub, err := nc.QueueSubscribe(wire.LimitsSubject, "core", func(m *nats.Msg) {
		data, err := json.Marshal(p.rules.load().ValueLimits())
		if err == nil {
			err = m.Respond(data)
		}
		if err != nil {
			p.log.Debug("limits of rules not sent", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.LimitsSubject, err)
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // the connection is closed next
	return nil
}
