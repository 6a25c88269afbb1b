package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
)

// traceWithin is how long a gateway may take to answer.
const traceWithin = 3 * time.Second

// traceJSON names the trace of a device's next reading.
type traceJSON struct {
	ID    string `json:"id"`    // 32 hex digits
	Until int64  `json:"until"` // when the gateway gives up waiting for the reading
}

var (
	errTracesOff   = refuse(fiber.StatusConflict, "traces_off", "this portal sends no traces: OTEL_EXPORTER_OTLP_ENDPOINT is not set")
	errGatewayAway = refuse(fiber.StatusServiceUnavailable, "gateway_unreachable", "the device's gateway gives no answer, so no reading is traced")
)

// traceNext asks the gateway of a device to trace its next reading, if ?trace=1 is there.
func (p *Portal) traceNext(c *fiber.Ctx, device, gateway string) (*traceJSON, error) {
	wanted, err := oneOf(c, "trace", "1")
	if err != nil || wanted == "" {
		return nil, err
	}
	id := who(c)
	if err := id.check(maintain); err != nil {
		return nil, err
	}
	if p.tracer == nil {
		return nil, errTracesOff
	}
	parent, trace := tracing.NewParent()
	question, err := json.Marshal(wire.TraceRequest{Instance: gateway, DeviceID: device, TraceParent: parent, By: strings.Clone(id.Name)})
	if err != nil {
		return nil, fmt.Errorf("encoding a request for a trace: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), traceWithin)
	defer cancel()
	data, err := p.feed.Ask(ctx, wire.TraceSubject, question)
	switch {
	case errors.Is(err, feed.ErrNoResponder), errors.Is(err, context.DeadlineExceeded):
		return nil, errGatewayAway
	case err != nil:
		return nil, err
	}
	var a wire.TraceAnswer
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("reading an answer about a trace: %w", err)
	}
	if a.Error != "" {
		return nil, refuse(fiber.StatusServiceUnavailable, "not_traced", a.Error)
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return &traceJSON{ID: trace, Until: a.Until}, nil
}
