package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// dryRunWithin bounds a dry run: what was read until then is the answer.
	dryRunWithin = 25 * time.Second
	// dryRunRaised bounds the alarms of a dry run, and with them its memory.
	dryRunRaised = 20_000
	// dryRunShown is how many alarms of each side are in the answer.
	dryRunShown = 200
)

// Tester answers requests for dry runs of a changed rule, one at a time: whatever core is
// asked, it reads all partitions from Kafka. All fields are required.
type Tester struct {
	Log     *slog.Logger
	Cluster kafka.Cluster
	Topic   string
	// Rules returns the rules in force, with their catalogue.
	Rules func() alarm.RuleSet

	busy sync.Mutex
}

// Run answers requests on nc until ctx ends.
func (t *Tester) Run(ctx context.Context, nc *nats.Conn) error {
	var work sync.WaitGroup
	sub, err := nc.QueueSubscribe(wire.DryRunSubject, explainQueue, func(m *nats.Msg) {
		if !t.busy.TryLock() {
			t.respond(m, &wire.DryRunAnswer{Busy: true})
			return
		}
		work.Go(func() {
			defer t.busy.Unlock()
			ctx, cancel := context.WithTimeout(ctx, dryRunWithin)
			defer cancel()
			t.respond(m, t.answer(ctx, m.Data))
		})
	})
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.DryRunSubject, err)
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // the connection is closed next
	work.Wait()
	return nil
}

func (t *Tester) respond(m *nats.Msg, a *wire.DryRunAnswer) {
	for _, side := range []*wire.DryRunAlarms{&a.Before, &a.After} {
		if side.Alarms == nil {
			side.Alarms = []wire.DryRunAlarm{}
		}
	}
	data, err := json.Marshal(a)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		t.Log.Debug("dry run not sent", "err", err)
	}
}

func (t *Tester) answer(ctx context.Context, request []byte) *wire.DryRunAnswer {
	var q wire.DryRunRequest
	if json.Unmarshal(request, &q) != nil {
		return &wire.DryRunAnswer{Error: "the request is not JSON"}
	}
	set := t.Rules()
	changed, problems := rules.Changed(set, q.Rule, q.Change, q.YAML)
	if len(problems) > 0 {
		return &wire.DryRunAnswer{Rule: q.Rule, Problems: problems}
	}
	before, after, err := sides(set, changed)
	if err != nil {
		return &wire.DryRunAnswer{Rule: changed.ID, Problems: []wire.RuleProblem{{Message: err.Error()}}}
	}
	results, err := dryRun(ctx, Options{
		Cluster: t.Cluster, Topic: t.Topic, Sensors: set.Catalogue, From: q.From, Device: q.Device, MaxRaised: dryRunRaised,
	}, []*alarm.Rules{before, after})
	if err != nil {
		t.Log.Warn("dry run failed", "rule", changed.ID, "err", err)
		return &wire.DryRunAnswer{Rule: changed.ID, Error: "Kafka is unavailable at the moment"}
	}
	out := outcome(results[0], results[1])
	out.Rule, out.Text = changed.ID, rules.Format(changed)
	if ctx.Err() != nil {
		out.Incomplete = wire.DryRunSlow
	}
	return out
}

// named returns r with its type written out.
func named(r alarm.Rule) alarm.Rule {
	if r.Type == "" {
		r.Type = r.ID
	}
	return r
}

// sides returns the rules without and with the change: those of the types at hand, since
// of several rules with one type the first that matches a device applies.
func sides(set alarm.RuleSet, changed alarm.Rule) (before, after *alarm.Rules, err error) {
	types := map[string]bool{changed.Type: true}
	for _, r := range set.Rules {
		if r.ID == changed.ID {
			types[named(r).Type] = true
		}
	}
	some := func(all []alarm.Rule) (*alarm.Rules, error) {
		part := alarm.RuleSet{MaxWait: set.MaxWait, Catalogue: set.Catalogue}
		for _, r := range all {
			if types[named(r).Type] {
				part.Rules = append(part.Rules, r)
			}
		}
		return alarm.Compile(part)
	}
	if before, err = some(set.Rules); err != nil {
		return nil, nil, err
	}
	after, err = some(set.With(alarm.RuleSet{Rules: []alarm.Rule{changed}, Catalogue: set.Catalogue}).Rules)
	return before, after, err
}

func outcome(before, after *Result) *wire.DryRunAnswer {
	out := &wire.DryRunAnswer{
		Before: alarmsOf(before), After: alarmsOf(after),
		Readings: after.Readings, Devices: after.Devices, From: after.Since, To: after.Until, HeldSince: after.HeldSince,
	}
	switch {
	case after.Full:
		out.Incomplete = wire.DryRunFull
	case after.Incomplete != "":
		out.Incomplete = wire.DryRunUnread
	}
	return out
}

func alarmsOf(r *Result) wire.DryRunAlarms {
	out := wire.DryRunAlarms{Total: len(r.Raised), Alarms: []wire.DryRunAlarm{}}
	devices := make(map[string]struct{})
	for _, a := range r.Raised {
		devices[a.DeviceID] = struct{}{}
		active := a.Status == telemetry.AlertActive
		if active {
			out.Active++
		}
		if len(out.Alarms) == dryRunShown {
			continue
		}
		x := wire.DryRunAlarm{DeviceID: a.DeviceID, Severity: a.Severity, RaisedAt: a.Start, PeakValue: a.PeakValue}
		if !active {
			x.ClearedAt = a.ClearedAt
		}
		out.Alarms = append(out.Alarms, x)
	}
	out.Devices = len(devices)
	return out
}
