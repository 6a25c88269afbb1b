package web

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// TestMemoryOfADevice bounds what the portal keeps of a device after an hour at 5 s: the newest reading
// and the recent readings. Devices have 6.3 sensors on average.
func TestMemoryOfADevice(t *testing.T) {
	const devices, every, rounds = 300, 5_000, 750
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // interned strings go with the second one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	one := newPlant(t, 1)
	run(t, one, 1)
	// The difference of one garbage collection: other tests free memory, too.
	perDevice := (filled(t, devices, rounds, every, heap) - heap()) / devices
	t.Logf("%d bytes a device, %.0f MB for 20,000", perDevice, float64(perDevice)*20_000/1e6)
	runtime.KeepAlive(one)
	require.Greater(t, perDevice, int64(500), "or nothing was measured")
	require.Less(t, perDevice, int64(4_000))
}

// filled returns what heap says while a plant holds so many readings of each device.
func filled(tb testing.TB, devices, rounds int, every int64, heap func() int64) int64 {
	tb.Helper()
	p := newPlant(tb, devices)
	for range rounds {
		p.now += every
		run(tb, p, devices)
	}
	size := heap()
	runtime.KeepAlive(p)
	return size
}

// run sends one reading of each device.
func run(tb testing.TB, p *plant, devices int) {
	tb.Helper()
	var fb wire.FrameBuilder
	var r telemetry.Reading
	fb.Reset("gw-a")
	for i := range devices {
		p.add(&fb, i, &r)
	}
	f, err := wire.OpenFrame(fb.Finish())
	require.NoError(tb, err)
	_, err = p.model.ApplyFrame(f)
	require.NoError(tb, err)
}
