package web

import (
	"context"
	"math"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/pipeline"
)

// makeReporter makes the reporter of this portal. It tells its own board too when the hub is away.
func (p *Portal) makeReporter(o Options) (err error) {
	p.vitals, err = vitals.New(vitals.Options{
		Program: "portal", Instance: vitals.Instance(p.Addr()), Gatherer: o.Gatherer, Log: o.Log,
		Publish: func(subject string, data []byte) error {
			if v, err := wire.DecodeVitals(data); err == nil {
				p.observe(v)
			}
			return p.feed.Publish(subject, data)
		},
	})
	return err
}

func (p *Portal) observe(v wire.Vitals) {
	p.pipeline.Observe(v, p.model.Now())
	if version := v.Facts["rules"]; v.Program == "core" && version != "" {
		p.limits.heard(version)
	}
}

// samplePipeline takes the figures of the stages once a step, until ctx ends.
func (p *Portal) samplePipeline(ctx context.Context) error {
	for lifecycle.Pause(ctx, pipeline.StepMS*time.Millisecond) {
		p.pipeline.Sample(p.ownFigures(), p.model.Now())
	}
	return nil
}

func (p *Portal) ownFigures() pipeline.Own {
	received, sent := p.model.Stats().Received, p.fanout.Stats()
	pushed := sent.Pushed
	own := pipeline.Own{Received: received.PerSecond, Sent: sent.PerSecond, Buffers: make(map[string]float64)}
	for _, g := range p.model.Gateways() {
		if !g.Silent(p.model.Now()) {
			own.Buffers[g.GatewayStatus.Gateway] = g.BufferUsed()
		}
	}
	if received.Aged > 0 {
		own.ToPortal = new(received.Mean)
	}
	if pushed.Aged > 0 {
		own.ToSocket = new(pushed.Mean)
	}
	if l := p.lag.Last(); l != nil {
		own.Lag = new(l.Total)
		for _, x := range l.Partitions {
			own.Partitions = append(own.Partitions, pipeline.Partition{Number: x.Partition, Rate: x.Rate, Lag: x.Lag})
		}
	}
	if f, ok := p.screens.Figures(p.model.Now()); ok {
		own.Painted = new(f.PerSecond)
		if f.Timed > 0 {
			own.PaintedMS, own.PaintedP99 = new(f.Mean), new(f.P99)
		}
	}
	return own
}

// ranges of the pipeline's courses by their names.
var ranges = map[string]pipeline.Range{"1h": pipeline.Hour, "6h": pipeline.SixHours}

// getPipeline handles GET /api/v1/pipeline.
func (p *Portal) getPipeline(c *fiber.Ctx) error {
	from, err := number(c, "from", 0, 0, math.MaxInt)
	if err != nil {
		return err
	}
	back, known := ranges[c.Query("range", "1h")]
	if !known {
		return badParameter("range", "1h or 6h")
	}
	return c.JSON(p.pipeline.Pipeline(back, int64(from), p.model.Now()))
}

// listProcesses handles GET /api/v1/processes.
func (p *Portal) listProcesses(c *fiber.Ctx) error {
	return answerPage(c, p.pipeline.Processes(p.model.Now()), p.model.Now())
}

// listEvents handles GET /api/v1/events.
func (p *Portal) listEvents(c *fiber.Ctx) error {
	return answerPage(c, p.pipeline.Events(), p.model.Now())
}

// listWarnings handles GET /api/v1/warnings.
func (p *Portal) listWarnings(c *fiber.Ctx) error {
	return answerPage(c, p.pipeline.Warnings(), p.model.Now())
}

// answerPage answers with the page of all that the query asks for.
func answerPage[T any](c *fiber.Ctx, all []T, now int64) error {
	page, err := readPaging(c)
	if err != nil {
		return err
	}
	items := part(all, page)
	return c.JSON(list[T]{Total: len(all), Count: len(items), Offset: page.Offset, Time: now, Items: items})
}
