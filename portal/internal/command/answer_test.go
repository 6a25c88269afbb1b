package command

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

func TestTwoDispatchersDoNotShareARegistry(t *testing.T) {
	o := complete()
	_, err := New(o)
	require.NoError(t, err)
	_, err = New(o)
	require.ErrorContains(t, err, "registering the commands' metrics")
}

// TestAlarmIsWaitedForUntilItHasTheChange starts with revision 1 of the alarm, if known, and
// has the next revision arrive after a second.
func TestAlarmIsWaitedForUntilItHasTheChange(t *testing.T) {
	for name, c := range map[string]struct {
		answer  bool  // whether the engine answered
		changed int64 // revision in its answer
		known   bool
		want    int64 // revision returned
		after   time.Duration
	}{
		"no answer":                       {false, 0, true, 1, time.Minute},
		"no answer, unknown":              {false, 0, false, 0, time.Minute},
		"nothing changed":                 {true, 0, true, 1, 0},
		"nothing changed, unknown":        {true, 0, false, 0, 0},
		"first revision":                  {true, 1, true, 1, 0},
		"first revision, not yet here":    {true, 1, false, 2, time.Second},
		"change that is there":            {true, 1, true, 1, 0},
		"change that comes later":         {true, 2, true, 2, time.Second},
		"change that does not come":       {true, 3, true, 2, time.Minute},
		"new alarm that comes later":      {true, 2, false, 2, time.Second},
		"new alarm whose change is later": {true, 3, false, 2, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var d *Dispatcher
			raise := func(revision int64) {
				a, err := state.ParseAlert(fmt.Appendf(nil, `{"alert_id":"a","device_id":"d1","alert_type":"x","severity":"high","status":"active","timestamp":1,"revision":%d}`, revision))
				require.NoError(t, err)
				d.o.Model.ApplyAlert(a, true)
			}
			d, _ = fake(t, func(o *Options) { o.AnswerWithin = time.Minute }, func([]*sarama.ProducerMessage) error {
				if c.answer {
					answered(t, d, telemetry.AuditEntry{
						DeviceID: "d1", AlertType: "x", AlertID: "a", CommandID: "c1", Action: telemetry.ActionAcknowledge,
						Outcome: telemetry.OutcomeApplied, Revision: c.changed,
					})
				}
				return nil
			})
			if c.known {
				raise(1)
			}
			began := time.Now()
			if c.answer {
				time.AfterFunc(time.Second, func() { raise(2) })
			}
			r := d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "c1")})[0]
			require.InDelta(t, c.after, time.Since(began), float64(2*lookEvery), name)
			if c.want == 0 {
				require.Nil(t, r.Alert, name)
			} else {
				require.Equal(t, c.want, r.Alert.Revision, name)
			}
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock; the alarm may still be raised
		})
	}
}

func TestFailedCommandIsReturnedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := fake(t, func(*Options) {}, func([]*sarama.ProducerMessage) error { return errRefused })
		began := time.Now()
		r := d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "c1")})[0]
		require.ErrorIs(t, r.Err, ErrUnavailable)
		require.ErrorIs(t, r.Err, errRefused)
		require.Nil(t, r.Alert)
		require.Zero(t, time.Since(began))
		<-w.broken
	})
}

func TestOutcomeThatComesLaterIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := fake(t, func(*Options) {}, func([]*sarama.ProducerMessage) error { return nil })
		time.AfterFunc(10*time.Second, func() {
			answered(t, d, telemetry.AuditEntry{
				DeviceID: "d1", AlertType: "x", CommandID: "c1", Action: telemetry.ActionAcknowledge, Outcome: telemetry.OutcomeRefused,
			})
		})
		c := commandTo("d1", "c1")
		began := time.Now()
		r := d.Do(t.Context(), []telemetry.AlarmCommand{c})[0]
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, telemetry.OutcomeRefused, r.Outcome)
		require.NotNil(t, r.Entry)
		require.Zero(t, d.o.Trail.Figures().Waiting)
		n, sum := timed(t, d)
		require.Equal(t, uint64(1), n)
		require.InDelta(t, 10, sum, 0.1, "seconds")
	})
}

// timed returns the number and the sum of the observed durations.
func timed(tb testing.TB, d *Dispatcher) (n uint64, sum float64) {
	tb.Helper()
	reg, ok := d.o.Registry.(*prometheus.Registry)
	require.True(tb, ok)
	families, err := reg.Gather()
	require.NoError(tb, err)
	for _, f := range families {
		if f.GetName() == "portal_alarm_command_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			return h.GetSampleCount(), h.GetSampleSum()
		}
	}
	require.Fail(tb, "no such histogram")
	return 0, 0
}

// TestBusyDispatcherStillStops refuses a command and then drains: the refused one is not waited for.
func TestBusyDispatcherStillStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d, w := fake(t, func(o *Options) { o.SendWithin, o.AnswerWithin = time.Second, time.Millisecond }, func([]*sarama.ProducerMessage) error {
			<-release
			return nil
		})
		var calls sync.WaitGroup
		for i := range mostSends {
			calls.Go(func() { d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", fmt.Sprint("c", i))}) })
		}
		synctest.Wait()
		r := d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "more")})[0]
		require.ErrorIs(t, r.Err, errBusy)
		require.ErrorIs(t, r.Err, ErrUnavailable)
		require.Equal(t, OutcomeFailed, r.Outcome)
		calls.Wait()
		close(release)
		w.drain(func() { require.Fail(t, "nothing is left to cut off") })
	})
}

// TestFailedProducerIsRetriedAndLogged has Kafka refuse every connection.
func TestFailedProducerIsRetriedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, o := &logtest.Buffer{}, complete()
		o.Log = slog.New(slog.NewTextHandler(log, nil))
		d, err := New(o)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		time.Sleep(retryAfter) //nolint:forbidigo // the bubble's clock
		require.Equal(t, 1, strings.Count(log.String(), "retrying"), "the first at once: %s", log)
		require.Contains(t, log.String(), "connecting to kafka")
		require.Contains(t, log.String(), "skipped=0")
		time.Sleep(11 * time.Second) //nolint:forbidigo // the bubble's clock
		require.Equal(t, 2, strings.Count(log.String(), "retrying"), log)
		require.Contains(t, log.String(), "skipped=12\n", "a pause of 0.5 s after each client, which tries again for 0.3 s")
		cancel()
		require.NoError(t, <-done)
	})
}

// TestKafkaIsGivenUpWithinSeconds holds because an operator waits for the outcome.
func TestKafkaIsGivenUpWithinSeconds(t *testing.T) {
	c := newSettings(kafka.Cluster{})
	require.NoError(t, c.Validate())
	require.Equal(t, 1, c.Net.MaxOpenRequests)
	require.Equal(t, time.Second, c.Net.DialTimeout)
	require.Equal(t, 5*time.Second, c.Net.ReadTimeout)
	require.Equal(t, 2*time.Second, c.Net.WriteTimeout)
	require.Equal(t, 2*time.Second, c.Metadata.Timeout)
	require.Equal(t, 2*time.Second, c.Producer.Timeout)
	require.Equal(t, 3, c.Metadata.Retry.Max)
	require.Equal(t, 3, c.Producer.Retry.Max)
	require.Equal(t, 100*time.Millisecond, c.Metadata.Retry.Backoff)
	require.Equal(t, 100*time.Millisecond, c.Producer.Retry.Backoff)
}

// TestStopDuringASessionIsNoFailure stops while the first connection is retried.
func TestStopDuringASessionIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, o := &logtest.Buffer{}, complete()
		o.Log = slog.New(slog.NewTextHandler(log, nil))
		d, err := New(o)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the bubble's clock
		cancel()
		require.NoError(t, <-done)
		require.Empty(t, log.String())
	})
}
