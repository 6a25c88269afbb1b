package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/deploy/allinone/plant"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/tracing/tracingtest"
	"industrial-iot-monitor/internal/wire"
)

const waitTimeout = 2 * time.Minute

// chain is a plant that runs, without devices of its own.
type chain struct {
	*plant.Plant

	offset int
}

func (c *chain) addr(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+c.offset))
}

// start runs a plant whose programs have the same settings for traces, until the test ends.
func start(t *testing.T, traces tracing.Config) *chain {
	t.Helper()
	t.Chdir(t.TempDir()) // no .env of the developer
	cfg, err := plant.LoadConfig(nil, io.Discard)
	require.NoError(t, err)
	cfg.DataDir, cfg.Devices = t.TempDir(), 0
	p := &cfg.Parts
	p.Edge.Tracing, p.Bridge.Tracing, p.Core.Tracing, p.Portal.Tracing = traces, traces, traces, traces
	c := &chain{}
	require.Eventually(t, func() bool { // another program may have a port
		c.offset = 10_000 + rand.IntN(7_000)
		cfg.PortOffset = c.offset
		c.Plant, err = plant.New(plant.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	require.Eventually(t, func() bool { return c.Ready() == nil }, waitTimeout, 20*time.Millisecond)
	return c
}

func reading(device string) string {
	return fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":1,"room":"101"},"sensors":{"temperature":{"value":21.5,"unit":"°C"}}}`,
		device, time.Now().UnixMilli())
}

const (
	traceID   = "0af7651916cd43dd8448eb211c80319c"
	deviceID  = "b7ad6b7169203331"
	parent    = "00-" + traceID + "-" + deviceID + "-01"
	unsampled = "00-" + traceID + "-" + deviceID + "-00"
)

// hops are the spans of a reading on its two ways.
var hops = []string{
	"edge store pack", "bridge forward pack", "core show pack", "portal apply frame", // live
	"bridge deliver pack", "bridge transaction", "core process reading", "core commit", // into Kafka, and out of it
}

func TestAReadingThatIsAskedForIsOneTrace(t *testing.T) {
	traces := tracingtest.Start(t)
	c := start(t, traces.Config())

	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("plain"), reading("plain"), nil)
	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("unsampled"), reading("unsampled"), map[string]string{"traceparent": unsampled})
	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("traced"), reading("traced"), map[string]string{"traceparent": parent})

	by := make(map[string]tracingtest.Span)
	for _, s := range traces.Wait(t, traceID, hops...) {
		by[s.Service+" "+s.Name] = s
	}
	require.Len(t, by, len(hops))
	require.Equal(t, deviceID, by["edge store pack"].Parent)
	for child, of := range map[string]string{
		"bridge forward pack": "edge store pack", "core show pack": "bridge forward pack", "portal apply frame": "core show pack",
		"bridge deliver pack": "edge store pack", "bridge transaction": "bridge deliver pack", "core process reading": "bridge deliver pack", "core commit": "core process reading",
	} {
		require.Equal(t, by[of].SpanID, by[child].Parent, "%s is a child of %s", child, of)
	}
	require.Equal(t, "traced", by["core process reading"].Attributes["iot.device"])
	require.Len(t, traces.All(), len(hops), "nothing else is traced: %v", traces.All())

	requireExemplars(t, c)
	for key, headers := range recordHeaders(t, c, "plain", "unsampled", "traced") {
		require.Equal(t, key == "traced", headers[tracing.HeaderParent] != "", "%s: %v", key, headers)
	}
}

// requireExemplars checks that the durations of the traced pack lead to its trace, and that Prometheus can read all metrics
// in this form.
func requireExemplars(t *testing.T, c *chain) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.Addr()+"/metrics", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Contains(t, res.Header.Get("Content-Type"), "application/openmetrics-text")
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	parser := textparse.NewOpenMetricsParser(data, labels.NewSymbolTable())
	found := make(map[string]bool)
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if entry != textparse.EntrySeries {
			continue
		}
		var of labels.Labels
		var e exemplar.Exemplar
		parser.Labels(&of)
		if parser.Exemplar(&e) && e.Labels.Get("trace_id") == traceID {
			found[strings.TrimSuffix(of.Get("__name__"), "_bucket")] = true
		}
	}
	for _, name := range []string{
		"edge_pack_store_duration_seconds", "edge_pack_ack_duration_seconds", "bridge_transaction_duration_seconds", "core_live_pack_age_seconds", "core_commit_duration_seconds",
	} {
		require.True(t, found[name], "%s has an exemplar: %v", name, found)
	}
}

func TestAReadingByNATSIsOneTrace(t *testing.T) {
	traces := tracingtest.Start(t)
	c := start(t, traces.Config())
	nc, err := nats.Connect("nats://" + c.addr(4222))
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.RequestMsg(&nats.Msg{
		Subject: wire.TelemetrySubject("traced"), Data: []byte(reading("traced")), Header: nats.Header{"traceparent": {parent}},
	}, waitTimeout)
	require.NoError(t, err)
	traces.Wait(t, traceID, hops...)
}

func TestAnOperatorAsksForOneReading(t *testing.T) {
	traces := tracingtest.Start(t)
	c := start(t, traces.Config())
	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("asked"), reading("asked"), nil)
	var answer struct {
		Trace struct {
			ID    string
			Until int64
		}
	}
	require.Eventually(t, func() bool { // the portal has to know the device, and the gateway to have told of its interest
		status, body := fetch(t, "http://"+c.Addr()+"/api/v1/devices/asked?trace=1")
		return status == http.StatusOK && json.Unmarshal(body, &answer) == nil
	}, waitTimeout, 20*time.Millisecond)
	require.Greater(t, answer.Trace.Until, time.Now().UnixMilli())
	require.Empty(t, traces.All())

	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("other"), reading("other"), nil)
	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("asked"), reading("asked"), nil)
	traces.Wait(t, answer.Trace.ID, hops...)
	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("asked"), reading("asked"), nil)
	require.Len(t, traces.All(), len(hops), "one reading, once: %v", traces.All())
}

func fetch(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, body
}

func TestWithoutAnEndpointThereAreNoHeaders(t *testing.T) {
	c := start(t, tracing.Config{})
	hub, err := nats.Connect("nats://" + c.addr(4230))
	require.NoError(t, err)
	defer hub.Close()
	seen := make(chan *nats.Msg, 100)
	for _, subjects := range []string{wire.FreshSubjects, wire.LiveSubjects} {
		_, err := hub.ChanSubscribe(subjects, seen)
		require.NoError(t, err)
	}
	require.NoError(t, hub.Flush())

	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("traced"), reading("traced"), map[string]string{"traceparent": parent})
	for range 2 { // the pack, and the frame of its reading
		select {
		case m := <-seen:
			require.Empty(t, m.Header, m.Subject)
		case <-time.After(waitTimeout):
			t.Fatal("neither pack nor frame at the hub")
		}
	}
	headers := recordHeaders(t, c, "traced")["traced"]
	require.NotContains(t, headers, tracing.HeaderParent)
	require.NotContains(t, headers, tracing.HeaderState)
}

// recordHeaders returns the headers of the newest record of each device, once all have one.
func recordHeaders(t *testing.T, c *chain, devices ...string) map[string]map[string]string {
	t.Helper()
	out := make(map[string]map[string]string)
	for _, r := range kafkatest.ReadAll(t, []string{c.addr(9092)}, "device-data", len(devices), waitTimeout) {
		headers := make(map[string]string)
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		out[string(r.Key)] = headers
	}
	for _, d := range devices {
		require.Contains(t, out, d)
	}
	return out
}
