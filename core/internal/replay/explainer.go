package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// explainQueue makes one member of core answer.
	explainQueue = "core"
	// explainWorkers is how many alarms are explained at once, explainBacklog how many
	// requests may wait.
	explainWorkers = 2
	explainBacklog = 16
	// explainTimeout bounds the work on one alarm.
	explainTimeout = 8 * time.Second
	// explainMargin is how long before and after the evidence readings are shown.
	explainMargin = 5 * time.Minute
	// maxRecords bounds how many records are read before the evidence and after its first
	// record, those of other devices included; maxSamples how many readings are shown.
	maxRecords = 200_000
	maxSamples = 5_000
	// maxBytes bounds what is read for one alarm, records of other devices included; at most half of it are
	// records before the evidence.
	maxBytes = 64 << 20
)

// Explainer answers requests to explain why an alarm was raised. All fields but MaxBytes are required.
type Explainer struct {
	Log             *slog.Logger
	Cluster         kafka.Cluster
	Topic, ClientID string
	// Rules returns the rules that raised an alarm, or those in force if they are gone.
	Rules func(*telemetry.Alert) *alarm.Rules
	// MaxBytes bounds the records that are read for one alarm; 0: 64 MiB.
	MaxBytes int
}

// Run answers requests on nc until ctx ends.
func (e *Explainer) Run(ctx context.Context, nc *nats.Conn) error {
	requests := make(chan *nats.Msg, explainBacklog)
	sub, err := nc.ChanQueueSubscribe(wire.ExplainSubject, explainQueue, requests)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.ExplainSubject, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	var workers sync.WaitGroup
	for range explainWorkers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-requests:
					e.respond(ctx, m)
				}
			}
		})
	}
	workers.Wait()
	return nil
}

func (e *Explainer) respond(ctx context.Context, m *nats.Msg) {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	var q wire.ExplainRequest
	var x wire.Explanation
	if err := json.Unmarshal(m.Data, &q); err != nil {
		x.Error = "the request is not JSON"
	} else {
		x = e.explain(ctx, &q.Alert)
		x.AlertID = q.Alert.AlertID
	}
	data, err := json.Marshal(x)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		e.Log.Debug("explanation not sent", "err", err)
	}
}

func (e *Explainer) explain(ctx context.Context, a *telemetry.Alert) wire.Explanation {
	failed := func(why string) wire.Explanation { return wire.Explanation{Error: why} }
	switch {
	case a.Source == telemetry.SourceWatchdog:
		return failed("the watchdog raised this alarm because data stopped arriving; there are no readings to show")
	case a.Evidence == nil || !telemetry.ValidDeviceID(a.DeviceID):
		return failed("the alarm does not record where its readings are; an older version raised it")
	case a.Evidence.FirstOffset < 0 || a.Evidence.LastOffset < a.Evidence.FirstOffset:
		return failed("the alarm's evidence is not a range of readings")
	}
	rules := e.Rules(a)
	inputs, missing, err := e.evidence(ctx, a, rules.Catalogue())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failed("reading from Kafka took too long")
	case err != nil:
		e.Log.Warn("alarm not explained: reading from Kafka failed", "alert", a.AlertID, "err", err)
		return failed("Kafka is unavailable at the moment")
	case len(inputs) == 0:
		return failed("the readings are no longer in Kafka")
	}
	x := explain(rules, *a, inputs)
	if x.Incomplete == "" {
		x.Incomplete = missing
	}
	return x
}

// evidence reads the readings of an alarm's device around its evidence; missing is why
// some are not among them. Units are converted as the rules' limits were.
func (e *Explainer) evidence(ctx context.Context, a *telemetry.Alert, catalogue *sensors.Catalogue) (inputs []alarm.Input, missing string, err error) {
	log, err := kafka.OpenLog(ctx, e.Cluster, e.Topic, e.ClientID)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = log.Close() }()
	from, to, missing, err := around(ctx, log, a)
	if err != nil || from >= to {
		return nil, missing, err
	}
	records, err := e.gather(ctx, log, a, from, to, catalogue)
	if errors.Is(err, errEarly) {
		missing = "the readings before the alarm are not shown, there is too much between them"
		records, err = e.gather(ctx, log, a, a.Evidence.FirstOffset, to, catalogue)
	}
	inputs = placeAll(records)
	switch {
	case errors.Is(err, errIncomplete):
		return inputs, "the newest readings are in a transaction that is still open", nil
	case errors.Is(err, errLarge):
		return inputs, fmt.Sprintf("only the readings in the first %d MiB are shown", e.most()>>20), nil
	case len(inputs) == maxSamples:
		missing = fmt.Sprintf("only the first %d readings are shown", maxSamples)
	}
	return inputs, missing, err
}

var (
	// errLarge is returned when the records are larger than what is read for one alarm.
	errLarge = errors.New("more to read than one explanation may")
	// errEarly is returned when those before the evidence are.
	errEarly = errors.New("more to read before the evidence than one explanation may")
)

func (e *Explainer) most() int { return cmp.Or(e.MaxBytes, maxBytes) }

// gather reads the readings of the alarm's device from the offsets. With errLarge it returns those up to the bound.
func (e *Explainer) gather(ctx context.Context, log *kafka.Log, a *telemetry.Alert, from, to int64, catalogue *sensors.Catalogue) (records []record, err error) {
	size := 0
	var large error
	err = readLog(ctx, log, a.Evidence.Partition, from, to, func(m *sarama.ConsumerMessage) bool {
		size += len(m.Key) + len(m.Value)
		switch early := m.Offset < a.Evidence.FirstOffset; {
		case early && size > e.most()/2:
			large = errEarly
		case size > e.most():
			large = errLarge
		case string(m.Key) == a.DeviceID:
			if r, ok := read(&intake.Intake{Sensors: catalogue}, m); ok {
				records = append(records, r)
			}
		}
		return large == nil && len(records) < maxSamples
	})
	return records, cmp.Or(err, large)
}

// around returns the offsets to read: the evidence, and some minutes before and after.
func around(ctx context.Context, log *kafka.Log, a *telemetry.Alert) (from, to int64, missing string, err error) {
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
	err = readLog(ctx, log, ev.Partition, first, end, func(m *sarama.ConsumerMessage) bool {
		written = m.Timestamp
		return false
	})
	if err != nil {
		return 0, 0, missing, err
	}
	if from, err = log.At(ev.Partition, written.Add(-explainMargin).UnixMilli()); err != nil {
		return 0, 0, missing, err
	}
	from = max(min(from, first), first-maxRecords, oldest)
	lasted := time.Duration(max(a.LastSeen, a.ClearedAt)-a.RaisedAt) * time.Millisecond
	if to, err = log.At(ev.Partition, written.Add(max(lasted, 0)+explainMargin).UnixMilli()); err != nil {
		return 0, 0, missing, err
	}
	to = min(max(to, ev.LastOffset+1), max(first+maxRecords, ev.LastOffset+1), end)
	return from, to, missing, nil
}
