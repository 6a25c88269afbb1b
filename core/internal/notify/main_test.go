package notify

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// waitTimeout bounds every wait for something that will happen.
	waitTimeout = 180 * time.Second
	often       = 10 * time.Millisecond
)

// defaultConfig returns the settings an empty environment gives.
func defaultConfig(tb testing.TB) Config {
	tb.Helper()
	tb.Chdir(tb.TempDir()) // no .env
	var cfg Config
	require.NoError(tb, config.FromEnvironment(&cfg))
	return cfg
}

// alarm returns an alarm that was just raised.
func alarm(device, kind string) telemetry.Alert {
	now := time.Now().UnixMilli()
	return telemetry.Alert{
		AlertID: device + "-" + kind + "-" + strconv.FormatInt(now, 10), DeviceID: device, AlertType: kind,
		Severity: telemetry.SeverityHigh, Message: "temperature is 85.2 °C, above 80 °C", Timestamp: now, Status: telemetry.AlertActive,
		Threshold: telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 80}, CurrentValue: 85.2, PeakValue: 85.2,
		Revision: 1, Event: telemetry.EventRaised, State: telemetry.AlarmUnacknowledged, Priority: 2, Source: telemetry.SourceRule,
		RaisedAt: now, OccurrenceCount: 1, Gateway: "gw-a", Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"},
	}
}

// then returns a's next revision.
func then(a telemetry.Alert, e telemetry.AlarmEvent, change func(*telemetry.Alert)) telemetry.Alert {
	a.Revision++
	a.Event = e
	a.Timestamp++
	if change != nil {
		change(&a)
	}
	return a
}

func cleared(a telemetry.Alert) telemetry.Alert {
	return then(a, telemetry.EventCleared, func(a *telemetry.Alert) {
		a.Status, a.State, a.ClearedAt = telemetry.AlertCleared, telemetry.AlarmReturned, a.Timestamp
	})
}

// endpoint is an HTTP server that records requests.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(n int, w http.ResponseWriter) // n counts requests from 0; nil: 200
	tries    int
	headers  []http.Header
	accepted [][]byte // bodies answered with 200
}

func newEndpoint(t *testing.T, answer func(n int, w http.ResponseWriter)) *endpoint {
	t.Helper()
	e := &endpoint{answer: answer}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e.mu.Lock()
	n, answer := e.tries, e.answer
	e.tries++
	e.headers = append(e.headers, r.Header)
	e.mu.Unlock()
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	if answer != nil {
		answer(n, rec)
	}
	if rec.status == http.StatusOK {
		e.mu.Lock()
		e.accepted = append(e.accepted, body)
		e.mu.Unlock()
	}
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (e *endpoint) set(answer func(n int, w http.ResponseWriter)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tries
}

// alerts returns every alert that was accepted, from webhook messages.
func (e *endpoint) alerts(t *testing.T) []alertJSON {
	t.Helper()
	var all []alertJSON
	for _, g := range e.messages(t) {
		all = append(all, g.Alerts...)
	}
	return all
}

func (e *endpoint) messages(t *testing.T) []groupJSON {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []groupJSON
	for _, body := range e.accepted {
		var g groupJSON
		require.NoError(t, json.Unmarshal(body, &g))
		all = append(all, g)
	}
	return all
}

// statuses returns the statuses that were sent for an alarm, in order.
func (e *endpoint) statuses(t *testing.T, id string) []string {
	t.Helper()
	var out []string
	for _, a := range e.alerts(t) {
		if a.Labels["alert_id"] == id {
			out = append(out, a.Status)
		}
	}
	return out
}

// await waits until these statuses were sent for an alarm, ignoring repetitions.
func (e *endpoint) await(t *testing.T, id string, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(compact(e.statuses(t, id))) >= len(want) }, waitTimeout, often, "%s: want %v", id, want)
	require.Equal(t, want, compact(e.statuses(t, id)))
}

func compact(list []string) []string {
	var out []string
	for _, s := range list {
		if len(out) == 0 || out[len(out)-1] != s {
			out = append(out, s)
		}
	}
	return out
}

// plant is a Kafka and the settings of notifiers.
type plant struct {
	t   *testing.T
	o   Options
	log *slog.Logger
}

func newPlant(t *testing.T, cfg Config) *plant {
	t.Helper()
	p := &plant{t: t, log: newLog(t)}
	p.o = Options{
		Config: cfg, Kafka: kafka.Config{Cluster: kafka.At(kafkatest.Brokers(t)...)}, Topics: kafkatest.Topics(t), GroupID: kafkatest.Name(t, "core"), Log: p.log,
	}
	require.NoError(t, kafka.EnsureTopics(t.Context(), p.log, p.o.Kafka.Cluster, kafka.Topic{Name: p.o.Topics.Alerts, Partitions: topology.AlertPartitions}))
	return p
}

// fast returns settings for a test: no waiting.
func fast(t *testing.T) Config {
	t.Helper()
	cfg := defaultConfig(t)
	cfg.GroupWait, cfg.GroupInterval, cfg.ResendInterval = 10*time.Millisecond, 10*time.Millisecond, time.Hour
	return cfg
}

// running is a running notifier.
type running struct {
	*Notifier
	reg  *prometheus.Registry
	stop func() // and waits; the end of the test does the same
}

func (p *plant) start() *running {
	p.t.Helper()
	o := p.o
	reg := prometheus.NewRegistry()
	o.Registry = reg
	n, err := New(o)
	require.NoError(p.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(p.t, <-done)
	})
	p.t.Cleanup(stop)
	return &running{n, reg, stop}
}

// ready waits until the notifier has read the past of n partitions.
func (r *running) ready(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.outbox.mu.Lock()
		defer r.outbox.mu.Unlock()
		known := 0
		for _, p := range r.outbox.partitions {
			if p.ready {
				known++
			}
		}
		return known >= n
	}, waitTimeout, often)
}

func (p *plant) produce(alerts ...telemetry.Alert) {
	p.t.Helper()
	var records []kafkatest.Record
	for i := range alerts {
		value, err := wire.EncodeAlert(&alerts[i])
		require.NoError(p.t, err)
		records = append(records, kafkatest.Record{Key: []byte(alerts[i].DeviceID), Value: value})
	}
	kafkatest.Produce(p.t, p.o.Kafka.Brokers, p.o.Topics.Alerts, -1, records...)
}

func alertRecord(t *testing.T, topic string, a telemetry.Alert) *sarama.ProducerMessage {
	t.Helper()
	value, err := wire.EncodeAlert(&a)
	require.NoError(t, err)
	return &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(a.DeviceID), Value: sarama.ByteEncoder(value)}
}

func newLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// value returns a series' value.
func (r *running) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetValue()] = true
			}
			match := true
			for _, want := range labels {
				match = match && has[want]
			}
			if match {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	require.Failf(t, "no such series", "%s %v", name, labels)
	return 0
}
