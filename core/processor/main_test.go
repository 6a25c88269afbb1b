package processor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/historian"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout bounds every wait for a condition.
const waitTimeout = 180 * time.Second

// defaultConfig returns the settings an empty environment gives.
func defaultConfig(tb testing.TB) Config {
	tb.Helper()
	var cfg Config
	require.NoError(tb, config.Defaults(&cfg))
	cfg.History.Mode = historian.Off // its tests are those of package historian
	return cfg
}

// env is the environment of a processor: a Kafka and a hub of the test's own.
type env struct {
	t   *testing.T
	cfg Config
	hub *nats.Conn
}

func newEnv(t *testing.T) *env {
	t.Helper()
	cfg := defaultConfig(t)
	cfg.Brokers = kafkatest.Brokers(t)
	cfg.Topics = kafkatest.Topics(t)
	cfg.GroupID = kafkatest.Name(t, "core")
	cfg.TxnPrefix = kafkatest.Name(t, "core") + "-"
	cfg.HTTPAddr = ""
	cfg.GatewaySilence = time.Hour // only tests about it have gateways
	url := startHub(t)
	cfg.HubURL = url
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return &env{t: t, cfg: cfg, hub: nc}
}

func startHub(t *testing.T) string {
	t.Helper()
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	require.True(t, ns.ReadyForConnections(waitTimeout))
	return ns.ClientURL()
}

// createInput creates device-data with n partitions.
func (p *env) createInput(n int32) {
	p.t.Helper()
	require.NoError(p.t, kafka.EnsureTopics(p.t.Context(), discardLog(), p.cfg.Cluster,
		kafka.Topic{Name: p.cfg.DeviceData, Partitions: n}))
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// core is a running processor.
type core struct {
	*Processor
	reg  *prometheus.Registry
	quit func() error // stops it, waits and returns Run's error
	stop func()       // the same, requiring no error; the end of the test calls it too
}

func (p *env) start() *core {
	p.t.Helper()
	reg := prometheus.NewRegistry()
	proc, err := New(Options{Config: p.cfg, Log: slog.New(slog.NewTextHandler(p.t.Output(), nil)), Registry: reg})
	require.NoError(p.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	done := make(chan error, 1)
	go func() { done <- proc.Run(ctx) }()
	quit := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	stop := func() {
		p.t.Helper()
		require.NoError(p.t, quit())
	}
	p.t.Cleanup(stop)
	return &core{Processor: proc, reg: reg, quit: quit, stop: stop}
}

// startReady also waits until the processor is ready.
func (p *env) startReady() *core {
	p.t.Helper()
	c := p.start()
	require.Eventually(p.t, func() bool { return c.Ready() == nil }, waitTimeout, 10*time.Millisecond)
	return c
}

// sampleReading is the contract's reading of one device at a time.
func sampleReading(device string, ts int64, temperature float64) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":%g,"unit":"°C","status":"normal"},"humidity":{"value":65.2,"unit":"%%","status":"normal"},`+
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},`+
		`"current":{"value":2.5,"unit":"A","status":"normal"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`, device, ts, temperature)
}

// reading is a record of device-data as the bridge writes it.
func reading(device string, ts int64, temperature float64) kafkatest.Record {
	return kafkatest.Record{
		Key: []byte(device), Value: sampleReading(device, ts, temperature),
		Headers: []kgo.RecordHeader{
			{Key: wire.HeaderGateway, Value: []byte("gw-a")},
			{Key: wire.HeaderEpoch, Value: []byte("0123456789abcdef")},
			{Key: wire.HeaderSeq, Value: []byte("1")},
			{Key: wire.HeaderIndex, Value: []byte("0")},
			{Key: wire.HeaderReceived, Value: strconv.AppendInt(nil, time.Now().UnixMilli(), 10)},
		},
	}
}

// produce does what the bridge does: it sends records to screens, if they did not wait, and
// into Kafka.
func (p *env) produce(records ...kafkatest.Record) {
	p.t.Helper()
	for i := range records {
		p.show(&records[i])
	}
	kafkatest.Produce(p.t, p.cfg.Brokers, p.cfg.DeviceData, -1, records...)
}

// show sends a record of a gateway to the live stage as a pack.
func (p *env) show(r *kafkatest.Record) {
	p.t.Helper()
	gateway := r.Header(wire.HeaderGateway)
	if gateway == "" || r.Header(wire.HeaderBackfill) != "" {
		return
	}
	received, err := strconv.ParseInt(r.Header(wire.HeaderReceived), 10, 64)
	require.NoError(p.t, err)
	var b wire.PackBuilder
	b.Reset(1, 1)
	b.Add(wire.PackEntry{Device: string(r.Key), Received: received, Payload: r.Value})
	require.NoError(p.t, p.hub.Publish(wire.FreshSubject(gateway), b.Finish()))
	require.NoError(p.t, p.hub.Flush())
}

// journal returns all records of alerts, those of each device in order.
func (p *env) journal() []telemetry.Alert {
	p.t.Helper()
	var alerts []telemetry.Alert
	for _, r := range kafkatest.ReadAll(p.t, p.cfg.Brokers, p.cfg.Alerts, 0, waitTimeout) {
		var a telemetry.Alert
		require.NoError(p.t, json.Unmarshal(r.Value, &a))
		require.Equal(p.t, a.DeviceID, string(r.Key))
		alerts = append(alerts, a)
	}
	return alerts
}

// await waits until the journal has n records that are ok, and returns them.
func (p *env) await(n int, ok func(*telemetry.Alert) bool) []telemetry.Alert {
	p.t.Helper()
	var found []telemetry.Alert
	require.Eventually(p.t, func() bool {
		found = found[:0]
		for _, a := range p.journal() {
			if ok(&a) {
				found = append(found, a)
			}
		}
		return len(found) >= n
	}, waitTimeout, 100*time.Millisecond, "%d alerts", n)
	return found
}

// alerts waits for n alerts that readings raised or cleared and returns all there are.
func (p *env) alerts(n int) []telemetry.Alert {
	p.t.Helper()
	return p.await(n, func(a *telemetry.Alert) bool {
		return a.Source == telemetry.SourceRule && !a.Historical &&
			(a.Event == telemetry.EventRaised || a.Event == telemetry.EventRepeated || a.Event == telemetry.EventCleared)
	})
}

// requireOnePair checks that each of devices has raised and cleared one alarm.
func requireOnePair(t *testing.T, alerts []telemetry.Alert, devices int) {
	t.Helper()
	require.Len(t, alerts, 2*devices)
	raised := map[string]telemetry.Alert{}
	cleared := 0
	for _, a := range alerts {
		if a.Status == telemetry.AlertActive {
			require.NotContains(t, raised, a.DeviceID)
			raised[a.DeviceID] = a
			continue
		}
		require.Equal(t, raised[a.DeviceID].AlertID, a.AlertID)
		cleared++
	}
	require.Len(t, raised, devices)
	require.Equal(t, devices, cleared)
}

// states waits until the newest records of device-state by device are ok, and returns them.
func (p *env) states(ok func(map[string]telemetry.DeviceState) bool) map[string]telemetry.DeviceState {
	p.t.Helper()
	var states map[string]telemetry.DeviceState
	require.Eventually(p.t, func() bool {
		states = map[string]telemetry.DeviceState{}
		for _, r := range kafkatest.ReadAll(p.t, p.cfg.Brokers, p.cfg.DeviceState, 0, waitTimeout) {
			if s, err := decodeDeviceState(r.Value); err == nil && s.DeviceID == string(r.Key) {
				states[s.DeviceID] = s.DeviceState
			}
		}
		return ok(states)
	}, waitTimeout, 100*time.Millisecond)
	return states
}

// value returns the sum of a metric's series with the given label values.
func (c *core) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := c.reg.Gather()
	require.NoError(t, err)
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				has := false
				for _, l := range m.GetLabel() {
					has = has || l.GetValue() == want
				}
				if !has {
					continue series
				}
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.True(t, found, "no series %s %v", name, labels)
	return sum
}

// eventually waits for a metric to reach a value.
func (c *core) eventually(t *testing.T, want float64, name string, labels ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.value(t, name, labels...) >= want }, waitTimeout, 10*time.Millisecond,
		"%s %v", name, labels)
	require.InDelta(t, want, c.value(t, name, labels...), 0, "%s %v", name, labels)
}
