package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

// fakeProducer calls send in place of Kafka.
type fakeProducer struct {
	sarama.SyncProducer

	send func([]*sarama.ProducerMessage) error
}

func (p *fakeProducer) SendMessages(m []*sarama.ProducerMessage) error { return p.send(m) }

func complete() Options {
	return Options{
		Model: state.New(state.Options{}), Trail: audit.NewTrail(100), Cluster: kafka.At("127.0.0.1:1"), Topics: topology.Topics{Commands: "commands"},
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), SendWithin: waitTimeout, AnswerWithin: waitTimeout,
	}
}

// fake returns a dispatcher that writes with send.
func fake(tb testing.TB, change func(*Options), send func([]*sarama.ProducerMessage) error) (*Dispatcher, *writer) {
	tb.Helper()
	o := complete()
	change(&o)
	d, err := New(o)
	require.NoError(tb, err)
	w := &writer{producer: &fakeProducer{send: send}, waiting: make(chan struct{}, mostSends), broken: make(chan struct{})}
	d.setWriter(w)
	return d, w
}

// answered adds an audit entry.
func answered(tb testing.TB, d *Dispatcher, e telemetry.AuditEntry) {
	tb.Helper()
	raw, err := json.Marshal(e)
	require.NoError(tb, err)
	entry, err := audit.Parse(raw, 0, 0, 1)
	require.NoError(tb, err)
	d.o.Trail.Add(entry)
}

// counted returns how many commands had an outcome.
func counted(tb testing.TB, d *Dispatcher, outcome telemetry.Outcome) float64 {
	tb.Helper()
	reg, ok := d.o.Registry.(*prometheus.Registry)
	require.True(tb, ok)
	families, err := reg.Gather()
	require.NoError(tb, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "portal_alarm_commands_total" && m.GetLabel()[0].GetValue() == string(outcome) {
				return m.GetCounter().GetValue()
			}
		}
	}
	require.Fail(tb, "no such counter", outcome)
	return 0
}

func TestEachPartIsRequired(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"Model": func(o *Options) { o.Model = nil }, "Trail": func(o *Options) { o.Trail = nil }, "Brokers": func(o *Options) { o.Cluster.Brokers = nil },
		"Topics": func(o *Options) { o.Topics.Commands = "" }, "Log": func(o *Options) { o.Log = nil }, "Registry": func(o *Options) { o.Registry = nil },
	} {
		o := complete()
		change(&o)
		_, err := New(o)
		require.ErrorIs(t, err, errMissing, name)
	}
	o := complete()
	o.SendWithin, o.AnswerWithin = 0, 0
	d, err := New(o)
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, d.o.SendWithin)
	require.Equal(t, 2*time.Second, d.o.AnswerWithin)
}

func TestOutcomeAndChangedAlarmAreReturned(t *testing.T) {
	c := commandTo("d1", "c1")
	entry := telemetry.AuditEntry{DeviceID: "d1", AlertType: "x", AlertID: "a", CommandID: "c1", Action: c.Action, Outcome: telemetry.OutcomeApplied, Revision: 2}
	var d *Dispatcher
	sent := 0
	raise := func(revision int64) {
		a, err := state.ParseAlert(fmt.Appendf(nil, `{"alert_id":"a","device_id":"d1","alert_type":"x","severity":"high","status":"active","timestamp":1,"revision":%d}`, revision))
		require.NoError(t, err)
		d.o.Model.ApplyAlert(a, true)
	}
	d, _ = fake(t, func(*Options) {}, func(m []*sarama.ProducerMessage) error {
		sent += len(m)
		answered(t, d, entry)
		time.AfterFunc(20*time.Millisecond, func() { raise(2) }) // the alarm's own record comes later
		return nil
	})
	raise(1)
	r := d.Do(t.Context(), []telemetry.AlarmCommand{c})[0]
	require.NoError(t, r.Err)
	require.Equal(t, telemetry.OutcomeApplied, r.Outcome)
	require.Equal(t, entry, r.Entry.AuditEntry)
	require.Equal(t, int64(2), r.Alert.Revision, "it waits for the change")
	require.InDelta(t, 1, counted(t, d, telemetry.OutcomeApplied), 0)

	r = d.Do(t.Context(), []telemetry.AlarmCommand{c})[0]
	require.Equal(t, telemetry.OutcomeApplied, r.Outcome)
	require.Equal(t, 1, sent, "a command with a known outcome is not sent again")
	require.Zero(t, d.o.Trail.Figures().Waiting)

	for name, change := range map[string]func(*telemetry.AlarmCommand){
		"device": func(c *telemetry.AlarmCommand) { c.DeviceID = "d2" }, "type": func(c *telemetry.AlarmCommand) { c.AlertType = "y" },
		"action": func(c *telemetry.AlarmCommand) { c.Action = telemetry.ActionUnshelve },
	} {
		other := c
		change(&other)
		r = d.Do(t.Context(), []telemetry.AlarmCommand{other})[0]
		require.ErrorIs(t, r.Err, ErrReused, name)
		require.Equal(t, OutcomeFailed, r.Outcome, name)
		require.Nil(t, r.Entry, name)
	}
	require.InDelta(t, 3, counted(t, d, OutcomeFailed), 0)
}

// TestAlarmIsReturnedWithoutWaiting has no change to wait for.
func TestAlarmIsReturnedWithoutWaiting(t *testing.T) {
	d, _ := fake(t, func(o *Options) { o.AnswerWithin = time.Millisecond }, func([]*sarama.ProducerMessage) error { return nil })
	a, err := state.ParseAlert([]byte(`{"alert_id":"a","device_id":"d1","alert_type":"x","severity":"high","status":"active","timestamp":1,"revision":1}`))
	require.NoError(t, err)
	d.o.Model.ApplyAlert(a, true)
	pending, unknown := commandTo("d1", "c1"), commandTo("d1", "c2")
	unknown.AlertID = ""
	results := d.Do(t.Context(), []telemetry.AlarmCommand{pending, unknown})
	require.Equal(t, OutcomePending, results[0].Outcome)
	require.NoError(t, results[0].Err)
	require.Equal(t, "a", results[0].Alert.AlertID)
	require.Nil(t, results[1].Alert)
	require.InDelta(t, 2, counted(t, d, OutcomePending), 0)
	answered(t, d, telemetry.AuditEntry{DeviceID: "d1", AlertType: "x", AlertID: "a", CommandID: "c2", Action: unknown.Action, Outcome: telemetry.OutcomeApplied, Revision: 7})
	r := d.Do(t.Context(), []telemetry.AlarmCommand{unknown})[0]
	require.Equal(t, "a", r.Alert.AlertID, "the entry names the alarm")
	require.Equal(t, int64(1), r.Alert.Revision, "the change did not come in time")
}

var errRefused = errors.New("refused")

func TestOnlyCommandsThatKafkaRefusedFail(t *testing.T) {
	d, w := fake(t, func(o *Options) { o.AnswerWithin = time.Millisecond }, func(m []*sarama.ProducerMessage) error {
		return sarama.ProducerErrors{{Msg: m[1], Err: errRefused}}
	})
	results := d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "c1"), commandTo("d2", "c2"), commandTo("d3", "c3")})
	for i, want := range []telemetry.Outcome{OutcomePending, OutcomeFailed, OutcomePending} {
		require.Equal(t, want, results[i].Outcome, "%d", i)
	}
	require.ErrorIs(t, results[1].Err, ErrUnavailable)
	require.ErrorIs(t, results[1].Err, errRefused)
	<-w.broken // the producer is replaced after any error
	w.sends.Wait()
	require.Empty(t, w.waiting)
}

func TestPendingWritesAreBoundedInNumberAndTime(t *testing.T) {
	release := make(chan struct{})
	var sends atomic.Int64
	d, w := fake(t, func(o *Options) { o.SendWithin, o.AnswerWithin = time.Millisecond, time.Millisecond }, func([]*sarama.ProducerMessage) error {
		sends.Add(1)
		<-release
		return nil
	})
	do := func(i int) error {
		return d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", fmt.Sprint("c", i))})[0].Err
	}
	for i := range mostSends {
		require.ErrorIs(t, do(i), errSlow)
	}
	require.ErrorIs(t, do(mostSends), errBusy)
	require.Eventually(t, func() bool { return sends.Load() == mostSends }, waitTimeout, time.Millisecond)

	drained := make(chan struct{})
	cut := make(chan struct{})
	go func() { defer close(drained); w.drain(func() { close(cut) }) }()
	<-cut // after grace
	select {
	case <-drained:
		require.Fail(t, "drain does not wait for the writes")
	default:
	}
	close(release)
	<-drained
	select {
	case <-w.broken:
		require.Fail(t, "the producer is replaced though nothing failed")
	default:
	}
	require.Eventually(t, func() bool { return do(mostSends+1) == nil }, waitTimeout, time.Millisecond, "within the millisecond again")
}

func TestWithoutWriterCommandsWaitForOne(t *testing.T) {
	d, w := fake(t, func(o *Options) { o.AnswerWithin = time.Millisecond }, func([]*sarama.ProducerMessage) error { return nil })
	d.setWriter(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.acquire(ctx)
	require.ErrorIs(t, err, errNoProducer)
	time.AfterFunc(10*time.Millisecond, func() { d.setWriter(w) })
	require.NoError(t, d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "c1")})[0].Err)
}

// TestRetriesOfTheProducerWriteOnce needs an idempotent producer that waits for all replicas.
func TestRetriesOfTheProducerWriteOnce(t *testing.T) {
	c := newSettings(kafka.Cluster{})
	require.NoError(t, c.Validate())
	require.True(t, c.Producer.Idempotent)
	require.Equal(t, sarama.WaitForAll, c.Producer.RequiredAcks)
}
