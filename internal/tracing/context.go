package tracing

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"

	"go.opentelemetry.io/otel/trace"
)

// Names of the headers, by W3C Trace Context. NATS and Kafka tell upper case from lower.
const (
	HeaderParent = "traceparent"
	HeaderState  = "tracestate"
)

// readingKey is the product's member of tracestate: which reading of a pack was asked for, by its position.
const readingKey = "iot"

// The parts of a traceparent, version 00: 00-<32 hex digits>-<16 hex digits>-<2 hex digits>.
const (
	parentLen = 55
	traceAt   = 3
	spanAt    = traceAt + 32 + 1
	flagsAt   = spanAt + 16 + 1
)

// Parse returns the trace that two headers name. It is zero if tracing is off, if the trace is not
// sampled, or for a malformed traceparent, which means by the specification that there is none. A malformed tracestate is dropped.
func (t *Tracer) Parse(parent, state string) trace.SpanContext {
	if t == nil {
		return trace.SpanContext{}
	}
	// A later version may have more behind a further dash. Version ff is none.
	if len(parent) < parentLen || parent[2] != '-' || parent[spanAt-1] != '-' || parent[flagsAt-1] != '-' || parent[:2] == "ff" ||
		(len(parent) > parentLen && (parent[:2] == "00" || parent[parentLen] != '-')) {
		return trace.SpanContext{}
	}
	if _, err := strconv.ParseUint(parent[:2], 16, 8); err != nil {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(parent[traceAt : spanAt-1]) // lower case alone
	if err != nil {
		return trace.SpanContext{}
	}
	span, err := trace.SpanIDFromHex(parent[spanAt : flagsAt-1])
	if err != nil {
		return trace.SpanContext{}
	}
	flags, err := strconv.ParseUint(parent[flagsAt:parentLen], 16, 8)
	if err != nil || trace.TraceFlags(flags)&trace.FlagsSampled == 0 {
		return trace.SpanContext{}
	}
	c := trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, Remote: true}
	if list, err := trace.ParseTraceState(state); err == nil {
		c.TraceState = list
	}
	return trace.NewSpanContext(c)
}

// FromHeader is Parse for the headers of a message.
func (t *Tracer) FromHeader(h map[string][]string) trace.SpanContext {
	if t == nil || len(h[HeaderParent]) == 0 {
		return trace.SpanContext{}
	}
	state := ""
	if all := h[HeaderState]; len(all) > 0 {
		state = all[0]
	}
	return t.Parse(h[HeaderParent][0], state)
}

// NewParent returns a traceparent of a new trace that is sampled, and the trace's id.
func NewParent() (parent, id string) {
	var of [24]byte
	_, _ = rand.Read(of[:]) // it never fails
	id = hex.EncodeToString(of[:16])
	return "00-" + id + "-" + hex.EncodeToString(of[16:]) + "-01", id
}

// Format returns the two headers for what follows in a trace; state is empty if there is none.
func Format(c trace.SpanContext) (parent, state string) {
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String(), c.TraceState().String()
}

// WithReading notes the position of the reading in its pack that the trace is about.
func WithReading(c trace.SpanContext, index int) trace.SpanContext {
	state, err := c.TraceState().Insert(readingKey, strconv.Itoa(index))
	if err != nil { // a sender's list is full
		return c
	}
	return c.WithTraceState(state)
}

// Reading returns the position of the reading that was asked for, 0 for a trace of a whole pack.
func Reading(c trace.SpanContext) int {
	n, err := strconv.Atoi(c.TraceState().Get(readingKey))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
