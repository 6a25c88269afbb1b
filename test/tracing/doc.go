// Package tracing tests that a reading that was asked for is one trace from the gateway to the portal, in the whole
// plant in this process; and, with the build tag tracing, in a real Jaeger. It has tests alone.
package tracing
