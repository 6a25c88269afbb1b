// Package command sends operators' commands to the alarm engine: it writes them to the
// alarm-commands topic, where the owner of the device's partition reads them, and waits for
// the outcome, which arrives in the alarm-audit topic (package audit). It also writes what
// operators keep (package metadata). It does not judge alarms or permissions. Do blocks for a few seconds at most, Run until its context ends;
// nothing else blocks.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

// Outcomes in addition to those of the engine.
const (
	// OutcomePending: the command is in Kafka, core has not answered yet.
	OutcomePending telemetry.Outcome = "pending"
	// OutcomeFailed: the command could not be sent; see Result.Err.
	OutcomeFailed telemetry.Outcome = "failed"
)

// Errors of a command that failed.
var (
	// ErrUnavailable means that Kafka did not acknowledge the command in time. It may have
	// stored it; a retry with the same id is safe.
	ErrUnavailable = errors.New("kafka unavailable")
	// ErrReused means that the id belongs to another command.
	ErrReused = errors.New("command_id was used for another command")
)

// Options of a Dispatcher. All but the durations are required.
type Options struct {
	Model    *state.Model
	Trail    *audit.Trail
	Cluster  kafka.Cluster
	Topics   topology.Topics
	Log      *slog.Logger
	Registry prometheus.Registerer
	// SendWithin is how long Kafka may take to store commands; 0 means 3 s.
	SendWithin time.Duration
	// AnswerWithin is how long to wait for their outcomes after that; 0 means 2 s.
	AnswerWithin time.Duration
}

// Dispatcher sends commands and collects their outcomes.
type Dispatcher struct {
	o       Options
	log     *slog.Logger
	metrics *metrics

	mu     sync.Mutex
	writer *writer       // nil while there is none
	ready  chan struct{} // closed when there is one again
}

var errMissing = errors.New("command: Model, Trail, Brokers, Topics, Log and Registry are required")

// New returns a Dispatcher; Run connects it.
func New(o Options) (*Dispatcher, error) {
	if o.Model == nil || o.Trail == nil || len(o.Cluster.Brokers) == 0 || o.Topics.Commands == "" || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	if o.SendWithin == 0 {
		o.SendWithin = 3 * time.Second
	}
	if o.AnswerWithin == 0 {
		o.AnswerWithin = 2 * time.Second
	}
	d := &Dispatcher{o: o, log: o.Log.With("component", "command"), ready: make(chan struct{})}
	var err error
	d.metrics, err = newMetrics(o.Registry, o.Trail)
	return d, err
}

// Result is the outcome of one command.
type Result struct {
	Command telemetry.AlarmCommand
	Outcome telemetry.Outcome
	Entry   *audit.Entry // the engine's answer, nil with OutcomePending and OutcomeFailed
	Alert   *state.Alert // the alarm's current state, nil if unknown
	Err     error        // with OutcomeFailed
}

// Do sends commands in order and waits for their outcomes. A command whose id has an outcome
// already is not sent again. The results are in the order of the commands.
func (d *Dispatcher) Do(ctx context.Context, commands []telemetry.AlarmCommand) []Result {
	began := time.Now()
	results := make([]Result, len(commands))
	outcomes := make([]<-chan *audit.Entry, len(commands))
	var send []int
	var stops []func()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	for i := range commands {
		results[i] = Result{Command: commands[i], Outcome: OutcomePending}
		if err := commands[i].Check(); err != nil {
			results[i].fail(err)
			continue
		}
		var stop func()
		outcomes[i], stop = d.o.Trail.Await(commands[i].CommandID)
		stops = append(stops, stop)
		if len(outcomes[i]) == 0 {
			send = append(send, i)
		}
	}
	d.send(ctx, results, send)
	d.answer(ctx, results, outcomes)
	d.metrics.observe(results, time.Since(began))
	return results
}

func (r *Result) fail(err error) { r.Outcome, r.Err = OutcomeFailed, err }

// send writes the commands with these indexes to Kafka and marks those that failed.
func (d *Dispatcher) send(ctx context.Context, results []Result, indexes []int) {
	if len(indexes) == 0 {
		return
	}
	messages := make([]*sarama.ProducerMessage, 0, len(indexes))
	for _, i := range indexes {
		c := &results[i].Command
		value, err := json.Marshal(c)
		if err != nil { // texts and numbers always marshal
			results[i].fail(err)
			continue
		}
		messages = append(messages, &sarama.ProducerMessage{
			Topic: d.o.Topics.Commands, Key: sarama.StringEncoder(c.DeviceID), Value: sarama.ByteEncoder(value), Metadata: i,
		})
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.SendWithin)
	defer cancel()
	err := d.produce(ctx, messages)
	if err == nil {
		return
	}
	d.log.Warn("commands not written", "topic", d.o.Topics.Commands, "commands", len(messages), "err", err)
	some, partly := errors.AsType[sarama.ProducerErrors](err)
	if !partly {
		for _, i := range indexes {
			results[i].fail(fmt.Errorf("%w: %w", ErrUnavailable, err))
		}
		return
	}
	for _, e := range some {
		if i, ok := e.Msg.Metadata.(int); ok {
			results[i].fail(fmt.Errorf("%w: %w", ErrUnavailable, e.Err))
		}
	}
}

// answer waits for the outcomes and for the alarms that they changed.
func (d *Dispatcher) answer(ctx context.Context, results []Result, outcomes []<-chan *audit.Entry) {
	ctx, cancel := context.WithTimeout(ctx, d.o.AnswerWithin)
	defer cancel()
	for i := range results {
		r := &results[i]
		if r.Err == nil {
			select {
			case e := <-outcomes[i]: // one that has arrived counts even after the deadline
				r.settle(e)
			default:
				select {
				case e := <-outcomes[i]:
					r.settle(e)
				case <-ctx.Done():
				}
			}
		}
		r.Alert = d.alarm(ctx, r)
	}
}

func (r *Result) settle(e *audit.Entry) {
	if c := &r.Command; e.DeviceID != c.DeviceID || e.AlertType != c.AlertType || e.Action != c.Action {
		r.fail(ErrReused)
		return
	}
	r.Outcome, r.Entry = e.Outcome, e
}

// lookEvery is the interval of checks for the changed alarm.
const lookEvery = 5 * time.Millisecond

// alarm returns the alarm of a command, with the command's change if that arrives in time: change
// and outcome come through different topics.
func (d *Dispatcher) alarm(ctx context.Context, r *Result) *state.Alert {
	id, revision := r.Command.AlertID, int64(0)
	if r.Entry != nil {
		revision = r.Entry.Revision
		if r.Entry.AlertID != "" {
			id = r.Entry.AlertID
		}
	}
	if id == "" {
		return nil
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		a := d.o.Model.Alert(id)
		if revision == 0 || a != nil && a.Revision >= revision {
			return a
		}
		select {
		case <-ctx.Done():
			return a
		case <-tick.C:
		}
	}
}
