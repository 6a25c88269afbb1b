package accuracy

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	longTime = 2 * time.Minute
	devices  = 60
	interval = 5 * time.Second
	lasting  = 40 * time.Minute
)

// limits are the default limits and deadbands: 2 % of the span.
var limits = map[string]struct {
	parameter       string
	sign, limit, by float64
}{
	"temperature_high": {telemetry.Temperature, 1, 80, 1.6},
	"temperature_low":  {telemetry.Temperature, -1, 0, 1.6},
	"humidity_high":    {telemetry.Humidity, 1, 90, 1.8},
	"current_high":     {telemetry.Current, 1, 10, 0.2},
}

// excursion is a time during which a value was beyond its limit.
type excursion struct {
	device, kind string
	from, to     int64 // to is 0 while it lasts
}

// excursions computes independently what core should find.
func excursions(readings []telemetry.Reading) []excursion {
	var out []excursion
	for kind, l := range limits {
		open := map[string]int{}
		for i := range readings {
			r := &readings[i]
			v := r.Sensors.Find(l.parameter).Number * l.sign
			k, is := open[r.DeviceID]
			switch {
			case !is && v > l.limit*l.sign:
				open[r.DeviceID] = len(out)
				out = append(out, excursion{r.DeviceID, kind, r.Timestamp, 0})
			case is && v <= l.limit*l.sign-l.by:
				out[k].to = r.Timestamp
				delete(open, r.DeviceID)
			}
		}
	}
	slices.SortFunc(out, order)
	return out
}

func order(a, b excursion) int {
	return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.device, b.device), cmp.Compare(a.kind, b.kind))
}

// found converts the journal of alarms to excursions.
func found(t *testing.T, journal []telemetry.Alert) []excursion {
	t.Helper()
	var out []excursion
	open := map[string]int{}
	for i := range journal {
		a := &journal[i]
		key := a.DeviceID + " " + a.AlertType
		k, is := open[key]
		switch a.Event {
		case telemetry.EventRaised, telemetry.EventRepeated:
			require.False(t, is, "raised twice: %+v", a)
			open[key] = len(out)
			out = append(out, excursion{a.DeviceID, a.AlertType, a.Timestamp, 0})
		case telemetry.EventCleared:
			require.True(t, is, "cleared without being raised: %+v", a)
			out[k].to = a.Timestamp
			delete(open, key)
		case telemetry.EventChattering, telemetry.EventSettled:
		default:
			require.Fail(t, "unexpected event", "%+v", a)
		}
	}
	slices.SortFunc(out, order)
	return out
}

// TestLabelledExcursionsAreFoundExactly also replays device-data from the start with a core
// without state: its journal must be the same except for the time of detection.
func TestLabelledExcursionsAreFoundExactly(t *testing.T) {
	f, err := fleet.New(fleet.Options{Devices: devices, Seed: 7, Variance: 0.1, Interval: interval, Faults: 12})
	require.NoError(t, err)
	to := time.Now().Add(-time.Minute).UnixMilli()
	from := to - lasting.Milliseconds()
	brokers := kafkatest.Brokers(t)
	topics := kafkatest.Topics(t)
	readings := produce(t, brokers, topics.DeviceData, f, from, to)

	want := excursions(readings)
	requireLabels(t, f, want, from, to)
	ends := 0
	for _, e := range want {
		if e.to != 0 {
			ends++
		}
	}
	t.Logf("%d readings, %d excursions of %d kinds", len(readings), len(want), len(limits))

	first := journal(t, brokers, topics, len(want)+ends)
	require.Equal(t, want, found(t, first))

	again := kafkatest.Topics(t)
	again.DeviceData = topics.DeviceData
	second := journal(t, brokers, again, len(want)+ends)
	require.Equal(t, timeless(t, first), timeless(t, second))
}

// requireLabels compares the excursions with the labels, both ways.
func requireLabels(t *testing.T, f *fleet.Fleet, all []excursion, from, to int64) {
	t.Helper()
	labels := f.Labels(from, to)
	kinds := map[string]bool{}
	for _, e := range all {
		kinds[e.kind] = true
		require.True(t, slices.ContainsFunc(labels, func(l fleet.Label) bool {
			return l.Device == e.device && l.Type == e.kind && e.from > l.Onset && e.from < l.Recovery
		}), "%+v has no label", e)
	}
	require.Len(t, kinds, len(limits))
	for _, l := range labels {
		if l.Start < from || l.Start+interval.Milliseconds() > min(l.End, to) {
			continue // perhaps without a reading
		}
		n := 0
		for _, e := range all {
			if e.device == l.Device && e.kind == l.Type && e.from > l.Onset && e.from < l.Recovery {
				n++
			}
		}
		require.Equal(t, 1, n, "%+v", l)
	}
}

// produce writes the fleet's readings as the bridge would have and returns them.
func produce(t *testing.T, brokers []string, topic string, f *fleet.Fleet, from, to int64) []telemetry.Reading {
	t.Helper()
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 4}))
	g := f.Generator()
	var all []telemetry.Reading
	var records []kafkatest.Record
	for ts := from; ts <= to; ts += interval.Milliseconds() {
		for i := range f.Len() {
			var r telemetry.Reading
			g.Reading(i, ts, &r)
			all = append(all, r)
			records = append(records, kafkatest.Record{
				Key: []byte(r.DeviceID), Value: wire.AppendReading(nil, &r),
				Headers: []kgo.RecordHeader{
					{Key: wire.HeaderGateway, Value: []byte("gw-a")},
					{Key: wire.HeaderReceived, Value: strconv.AppendInt(nil, ts, 10)},
				},
			})
		}
	}
	kafkatest.Produce(t, brokers, topic, -1, records...)
	return all
}

// journal runs a core until it has written n records of alarms and returns those that
// readings caused, in order for each device.
func journal(t *testing.T, brokers []string, topics topology.Topics, n int) []telemetry.Alert {
	t.Helper()
	t.Chdir(t.TempDir()) // no .env
	var cfg processor.Config
	require.NoError(t, config.FromEnvironment(&cfg))
	cfg.Brokers, cfg.Topics = brokers, topics
	cfg.GroupID, cfg.TxnPrefix, cfg.HTTPAddr = kafkatest.Name(t, "core"), kafkatest.Name(t, "core")+"-", ""
	cfg.HubURL = "nats://127.0.0.1:1" // no hub
	cfg.History.Mode = "off"
	p, err := processor.New(processor.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-done)
	}()
	var out []telemetry.Alert
	require.Eventually(t, func() bool { // the topic appears with the first core
		out = out[:0]
		found := 0
		for _, r := range kafkatest.ReadAll(t, brokers, topics.Alerts, n, longTime) {
			var a telemetry.Alert
			require.NoError(t, json.Unmarshal(r.Value, &a))
			require.Equal(t, a.DeviceID, string(r.Key))
			if a.Source != telemetry.SourceRule {
				continue
			}
			out = append(out, a)
			if a.Event != telemetry.EventChattering && a.Event != telemetry.EventSettled {
				found++
			}
		}
		return found >= n
	}, longTime, 200*time.Millisecond)
	return out
}

// timeless returns the journal of each device without the time of detection and last_seen,
// which is less precise after a core lost and regained its partitions.
func timeless(t *testing.T, journal []telemetry.Alert) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, a := range journal {
		a.DetectedAt, a.LastSeen = 0, 0
		data, err := wire.EncodeAlert(&a)
		require.NoError(t, err)
		out[a.DeviceID] = append(out[a.DeviceID], string(data))
	}
	return out
}
