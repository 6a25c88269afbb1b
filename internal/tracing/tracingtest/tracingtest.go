// Package tracingtest is a collector of traces for tests: it takes OTLP over HTTP in this process and keeps the
// spans. Wait blocks until they are there.
package tracingtest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	testify "github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"industrial-iot-monitor/internal/tracing"
)

// Span is a span that arrived.
type Span struct {
	Service, Name            string
	TraceID, SpanID, Parent  string            // hex digits; Parent is empty for a root
	Links                    []string          // trace ids
	Attributes               map[string]string // texts and numbers
	StartNanoseconds, EndsAt uint64            // ns since 1970
	Failed                   bool
}

// Collector keeps the spans it gets. It is safe for concurrent use.
type Collector struct {
	URL string // for OTEL_EXPORTER_OTLP_ENDPOINT

	mu    sync.Mutex
	spans []Span
}

// Start starts a collector that ends with the test.
func Start(tb testing.TB) *Collector {
	tb.Helper()
	c := &Collector{}
	srv := httptest.NewServer(http.HandlerFunc(c.take))
	tb.Cleanup(srv.Close)
	c.URL = srv.URL
	return c
}

// Config returns the settings of a program that sends its traces here, those that were asked for alone.
func (c *Collector) Config() tracing.Config {
	return tracing.Config{Endpoint: c.URL, Protocol: "http/protobuf", Sampler: "parentbased_always_off"}
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "want an ExportTraceServiceRequest on /v1/traces", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		service := texts(of.GetResource().GetAttributes())["service.name"]
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Service: service, Name: s.GetName(), TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Attributes: texts(s.GetAttributes()),
					StartNanoseconds: s.GetStartTimeUnixNano(), EndsAt: s.GetEndTimeUnixNano(), Failed: s.GetStatus().GetMessage() != "",
				}
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
				}
				c.spans = append(c.spans, span)
			}
		}
	}
}

func texts(of []*common.KeyValue) map[string]string {
	out := make(map[string]string, len(of))
	for _, kv := range of {
		if v := kv.GetValue(); v.GetStringValue() != "" {
			out[kv.GetKey()] = v.GetStringValue()
		} else {
			out[kv.GetKey()] = v.String()
		}
	}
	return out
}

// All returns the spans so far.
func (c *Collector) All() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Trace returns the spans of one trace so far.
func (c *Collector) Trace(id string) []Span {
	return slices.DeleteFunc(c.All(), func(s Span) bool { return s.TraceID != id })
}

// Wait waits until a trace has spans with all the names, each as "service name", and returns its spans.
func (c *Collector) Wait(tb testing.TB, id string, names ...string) []Span {
	tb.Helper()
	require.EventuallyWithT(tb, func(t *testify.CollectT) {
		var got []string
		for _, s := range c.Trace(id) {
			got = append(got, s.Service+" "+s.Name)
		}
		for _, name := range names {
			require.Contains(t, got, name)
		}
	}, time.Minute, 20*time.Millisecond)
	return c.Trace(id)
}
