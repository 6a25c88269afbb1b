// Package statetest fills a model as the live path does. It is for tests only and never blocks.
package statetest

import (
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// TB is the part of testing.TB that Apply uses.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Apply applies one live frame with readings of a gateway.
func Apply(tb TB, m *state.Model, gateway string, entries ...wire.FrameEntry) {
	tb.Helper()
	var b wire.FrameBuilder
	b.Reset(gateway)
	for _, e := range entries {
		b.Add(e)
	}
	f, err := wire.OpenFrame(b.Finish())
	if err == nil {
		_, err = m.ApplyFrame(f)
	}
	if err != nil {
		tb.Fatalf("applying a live frame: %v", err)
	}
}
