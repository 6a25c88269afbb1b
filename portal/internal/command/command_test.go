package command

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/test/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout bounds each wait of a test.
const waitTimeout = 180 * time.Second

// start runs a dispatcher; the end of the test stops it.
func start(tb testing.TB, brokers []string, answer time.Duration) (*Dispatcher, topology.Topics) {
	tb.Helper()
	topics := kafkatest.Topics(tb)
	d, err := New(Options{
		Model: state.New(state.Options{}), Trail: audit.NewTrail(10_000), Cluster: kafka.At(brokers...), Topics: topics,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), SendWithin: waitTimeout, AnswerWithin: answer,
	})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it must end before the broker does
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(waitTimeout):
			require.Fail(tb, "the dispatcher does not stop")
		}
	})
	return d, topics
}

func commandTo(device, id string) telemetry.AlarmCommand {
	return telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, AlertType: "x", AlertID: "a", Action: telemetry.ActionAcknowledge, By: "me", At: 1_700_000_000_000,
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	_, err := New(Options{})
	require.ErrorIs(t, err, errMissing)
}

func TestCommandsOfADeviceAreInOrder(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	d, topics := start(t, brokers, time.Millisecond)
	var commands []telemetry.AlarmCommand
	for i := range 1000 {
		commands = append(commands, commandTo(fmt.Sprint("d", i%7), fmt.Sprint("c", i)))
	}
	for _, r := range d.Do(t.Context(), commands) {
		require.NoError(t, r.Err)
		require.Equal(t, OutcomePending, r.Outcome)
	}
	last := map[string]int{}
	records := kafkatest.ReadAll(t, brokers, topics.Commands, len(commands), waitTimeout)
	require.Len(t, records, len(commands))
	for _, rec := range records {
		var c telemetry.AlarmCommand
		require.NoError(t, json.Unmarshal(rec.Value, &c))
		var n int
		_, err := fmt.Sscanf(c.CommandID, "c%d", &n)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, last[c.DeviceID])
		last[c.DeviceID] = n
	}
	require.Len(t, last, 7)
}

func TestBadCommandIsNotSentAndDoesNotStopTheOthers(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	d, topics := start(t, brokers, time.Millisecond)
	results := d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "c1"), commandTo("d 2", "c2"), commandTo("d3", "c3")})
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, telemetry.ErrCommand)
	require.Equal(t, OutcomeFailed, results[1].Outcome)
	require.NoError(t, results[2].Err)
	require.Len(t, kafkatest.ReadAll(t, brokers, topics.Commands, 2, waitTimeout), 2)
}

func TestDispatcherWaitsForKafkaNoLongerThanAllowed(t *testing.T) {
	addr := freeport.Address(t)
	d, _ := start(t, []string{addr}, time.Millisecond)
	d.o.SendWithin = 50 * time.Millisecond
	results := d.Do(t.Context(), []telemetry.AlarmCommand{commandTo("d1", "c1")})
	require.ErrorIs(t, results[0].Err, ErrUnavailable)
	require.Equal(t, OutcomeFailed, results[0].Outcome)
}
