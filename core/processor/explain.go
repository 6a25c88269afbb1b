package processor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/origin"
	"industrial-iot-monitor/core/internal/readback"
	"industrial-iot-monitor/core/internal/replay"
	"industrial-iot-monitor/core/internal/validate"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// explainQueue makes one member of core answer.
	explainQueue = "core"
	// explainers is how many alarms are explained at once, explainWaiting how many
	// questions wait.
	explainers     = 2
	explainWaiting = 16
	// explainTime bounds the work on one.
	explainTime = 8 * time.Second
	// explainAround is how long before and after the evidence is shown too.
	explainAround = 5 * time.Minute
	// explainRecords bounds what is read of other devices before the evidence, and
	// after its first record; explainSamples what is shown.
	explainRecords = 200_000
	explainSamples = 5_000
)

// explain answers why alarms were raised, until ctx ends.
func (p *Processor) explain(ctx context.Context, nc *nats.Conn) error {
	questions := make(chan *nats.Msg, explainWaiting)
	sub, err := nc.ChanQueueSubscribe(wire.ExplainSubject, explainQueue, questions)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.ExplainSubject, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	var workers sync.WaitGroup
	for range explainers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-questions:
					p.answer(ctx, m)
				}
			}
		})
	}
	workers.Wait()
	return nil
}

func (p *Processor) answer(ctx context.Context, m *nats.Msg) {
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	var q wire.ExplainRequest
	var e wire.Explanation
	if err := json.Unmarshal(m.Data, &q); err != nil {
		e.Error = "the question is not JSON"
	} else {
		e = p.explanation(ctx, &q.Alert)
		e.AlertID = q.Alert.AlertID
	}
	data, err := json.Marshal(e)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		p.log.Debug("an explanation could not be sent", "err", err)
	}
}

// explanation finds out why an alarm was raised.
func (p *Processor) explanation(ctx context.Context, a *telemetry.Alert) wire.Explanation {
	failed := func(why string) wire.Explanation { return wire.Explanation{Error: why} }
	switch {
	case a.Source == telemetry.SourceWatchdog:
		return failed("the alarm was found by the clock because something did not come; there are no readings to show")
	case a.Evidence == nil || !telemetry.ValidDeviceID(a.DeviceID):
		return failed("the alarm does not say where its readings are; it was raised by an older version")
	case a.Evidence.FirstOffset < 0 || a.Evidence.LastOffset < a.Evidence.FirstOffset:
		return failed("the alarm's evidence is not a range of readings")
	}
	inputs, missing, err := p.evidence(ctx, a)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failed("reading Kafka took too long")
	case err != nil:
		p.log.Warn("an alarm cannot be explained", "alert", a.AlertID, "err", err)
		return failed("Kafka cannot be read at the moment")
	case len(inputs) == 0:
		return failed("Kafka does not hold the readings any more")
	}
	e := replay.Explain(p.rulesOf(a), *a, inputs)
	if e.Incomplete == "" {
		e.Incomplete = missing
	}
	return e
}

// rulesOf returns the rules that raised an alarm where they are still known, else those
// in force.
func (p *Processor) rulesOf(a *telemetry.Alert) *alarm.Rules {
	for _, b := range p.rules.books() {
		if _, version, ok := b.rules.Rule(a.Rule); ok && version == a.RuleVersion {
			return b.rules
		}
	}
	return p.rules.load().rules
}

// evidence reads the readings of an alarm's device around its evidence. missing says why
// some are not there.
func (p *Processor) evidence(ctx context.Context, a *telemetry.Alert) (inputs []alarm.Input, missing string, err error) {
	log, err := readback.Open(ctx, p.cfg.Brokers, p.cfg.DeviceData, clientID)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = log.Close() }()
	from, to, missing, err := p.around(ctx, log, a)
	if err != nil || from >= to {
		return nil, missing, err
	}
	err = log.Read(ctx, a.Evidence.Partition, from, to, func(m *sarama.ConsumerMessage) bool {
		if string(m.Key) == a.DeviceID {
			if in, ok := inputOf(m); ok {
				inputs = append(inputs, in)
			}
		}
		return len(inputs) < explainSamples
	})
	if errors.Is(err, readback.ErrIncomplete) {
		return inputs, "the newest readings are not decided yet", nil
	}
	if len(inputs) == explainSamples {
		missing = fmt.Sprintf("only the first %d readings are shown", explainSamples)
	}
	return inputs, missing, err
}

// around returns the offsets to read: the evidence, and some minutes before and after.
func (p *Processor) around(ctx context.Context, log *readback.Log, a *telemetry.Alert) (from, to int64, missing string, err error) {
	ev := a.Evidence
	oldest, end, err := log.Bounds(ev.Partition)
	if err != nil {
		return 0, 0, "", err
	}
	if ev.FirstOffset < oldest {
		missing = "Kafka has removed the oldest readings"
	}
	if ev.LastOffset < oldest || ev.FirstOffset >= end {
		return 0, 0, missing, nil
	}
	first := max(ev.FirstOffset, oldest)
	var written time.Time
	err = log.Read(ctx, ev.Partition, first, end, func(m *sarama.ConsumerMessage) bool {
		written = m.Timestamp
		return false
	})
	if err != nil {
		return 0, 0, missing, err
	}
	if from, err = log.At(ev.Partition, written.Add(-explainAround).UnixMilli()); err != nil {
		return 0, 0, missing, err
	}
	from = max(min(from, first), first-explainRecords, oldest)
	lasted := time.Duration(max(a.LastSeen, a.ClearedAt)-a.RaisedAt) * time.Millisecond
	if to, err = log.At(ev.Partition, written.Add(max(lasted, 0)+explainAround).UnixMilli()); err != nil {
		return 0, 0, missing, err
	}
	to = min(max(to, ev.LastOffset+1), max(first+explainRecords, ev.LastOffset+1), end)
	return from, to, missing, nil
}

// inputOf makes of a record what the alarm stage judged.
func inputOf(m *sarama.ConsumerMessage) (alarm.Input, bool) {
	o := origin.Of(m)
	var r telemetry.Reading
	refusal := validate.Check(validate.Record{
		Key: m.Key, Value: m.Value, Received: o.Received, Written: o.Written,
	}, &r, new(wire.Layout))
	if refusal != nil {
		return alarm.Input{}, false
	}
	o.Settle(r.Timestamp)
	return alarm.Input{
		Reading: &r, Gateway: origin.Name(o.Gateway), Received: o.Received, Waited: o.Waited(),
		Partition: m.Partition, Offset: m.Offset,
	}, true
}
