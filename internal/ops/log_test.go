package ops_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/internal/ops"
)

func TestLoggerWritesWhatTheEnvironmentAsksFor(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		var out bytes.Buffer
		log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "text"}, &out)
		require.NoError(t, err)
		log.Debug("too fine")
		log.Info("said", "n", 1)
		require.NotContains(t, out.String(), "too fine")
		require.Contains(t, out.String(), "level=INFO msg=said n=1")
	})
	t.Run("json", func(t *testing.T) {
		var out bytes.Buffer
		log, err := ops.NewLogger(ops.LogConfig{Level: "DEBUG", Format: "JSON"}, &out)
		require.NoError(t, err)
		log.Debug("said")
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		require.Equal(t, "said", line["msg"])
		require.Equal(t, "DEBUG", line["level"])
	})
}

func TestLinesOfATraceNameIt(t *testing.T) {
	var out bytes.Buffer
	log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "json"}, &out)
	require.NoError(t, err)
	of := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled}
	said := func(of trace.SpanContextConfig) map[string]any {
		out.Reset()
		log.With("component", "lane").ErrorContext(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(of)), "said", "n", 1)
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		return line
	}
	line := said(of)
	require.Equal(t, "01000000000000000000000000000000", line["trace_id"])
	require.Equal(t, "0200000000000000", line["span_id"])
	require.Contains(t, ops.Warnings(log, 0)[0].Detail, "trace_id=01")
	of.TraceFlags = 0
	require.NotContains(t, said(of), "trace_id", "no collector has it")
}

func TestLoggerNamesTheBadVariable(t *testing.T) {
	_, err := ops.NewLogger(ops.LogConfig{Level: "loud", Format: "text"}, nil)
	require.EqualError(t, err, `LOG_LEVEL="loud": want debug, info, warn or error`)
	_, err = ops.NewLogger(ops.LogConfig{Level: "info", Format: "xml"}, nil)
	require.EqualError(t, err, `LOG_FORMAT="xml": want text or json`)
}
