package web

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/fanout"
	"industrial-iot-monitor/portal/internal/state"
)

// plant is the part of a portal that readings pass, with a clock that the test sets, and a
// fleet of devices of three models with 4 to 7 sensors.
type plant struct {
	model  *state.Model
	now    int64
	rand   *rand.Rand
	levels []float64
}

func newPlant(tb testing.TB, devices int) *plant {
	tb.Helper()
	p := &plant{now: 1_700_000_000_000, rand: rand.New(rand.NewPCG(1, 2)), levels: make([]float64, devices)}
	p.model = state.New(state.Options{Now: func() time.Time { return time.UnixMilli(p.now) }})
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	d, err := dashboard.New(dashboard.Options{Model: p.model, Log: log, Registry: reg})
	require.NoError(tb, err)
	_, err = fanout.New(fanout.Options{Model: p.model, Log: log, Registry: reg, Publisher: d, Limits: fanout.Limits{RecentBytes: Config{}.ReplayBytes}})
	require.NoError(tb, err)
	return p
}

// add adds the next reading of a device to a frame.
func (p *plant) add(b *wire.FrameBuilder, device int, r *telemetry.Reading) {
	p.levels[device] += p.rand.NormFloat64() / 10
	level := p.levels[device]
	value := func(base, scale float64, digits int) float64 {
		steps := math.Pow10(digits)
		return math.Round((base+scale*(level+p.rand.NormFloat64()))*steps) / steps
	}
	*r = telemetry.Reading{
		DeviceID: fmt.Sprintf("device_%05d", device), Timestamp: p.now, Sensors: r.Sensors[:0],
		Location: telemetry.Location{Building: [...]string{"A栋", "B栋", "C栋"}[device%3], Floor: device % 10, Room: fmt.Sprint(device % 400)},
		Info:     telemetry.DeviceInfo{Model: [...]string{"IOT-SENSOR-V2", "MOTOR-GUARD-3", "AIR-7"}[device%3], Firmware: "1.2.3", SignalStrength: telemetry.Some(float64(-50 - p.rand.IntN(10)))},
	}
	number := func(name, unit string, v float64) {
		r.Sensors = append(r.Sensors, telemetry.Sensor{Name: name, Number: v, Unit: unit, Status: telemetry.StatusNormal})
	}
	number(telemetry.Temperature, "°C", value(25, 0.2, 1))
	number(telemetry.Humidity, "%", value(50, 0.5, 1))
	switch device % 3 {
	case 0:
		number(telemetry.Pressure, "hPa", value(1013, 0.3, 2))
		number(telemetry.Current, "A", value(2.5, 0.1, 2))
	case 1:
		number("vibration", "mm/s", value(2, 0.3, 2))
		number("speed", "rpm", value(2980, 10, 0))
		number(telemetry.Current, "A", value(2.5, 0.1, 2))
		r.Sensors = append(r.Sensors, telemetry.Sensor{Name: "mode", Kind: telemetry.Text, Text: "auto"})
	default:
		number("co2", "ppm", value(600, 5, 0))
		number("pm25", "µg/m³", value(12, 1, 0))
		number("illuminance", "lx", value(400, 4, 0))
		number("voc", "ppb", value(90, 3, 0))
	}
	r.Sensors = append(r.Sensors, telemetry.Switch(telemetry.SwitchStatus, p.rand.IntN(100) > 0))
	b.Add(wire.FrameEntry{Device: r.DeviceID, Timestamp: p.now, Received: p.now, Payload: wire.AppendReading(nil, r), Reading: r})
}

// BenchmarkFrameThroughThePortal is what a reading costs from its frame to the portal's latest
// values, recent readings and inboxes; there are no clients.
func BenchmarkFrameThroughThePortal(b *testing.B) {
	for _, size := range []int{5, 500} {
		b.Run(fmt.Sprint("frames of ", size), func(b *testing.B) {
			const devices = 1000
			p := newPlant(b, devices)
			var frames [][]byte
			round := func() { // each device sends once
				frames = frames[:0]
				var fb wire.FrameBuilder
				var r telemetry.Reading
				p.now += 5000
				for first := 0; first < devices; first += size {
					fb.Reset("gw-a")
					for i := range size {
						p.add(&fb, first+i, &r)
					}
					frames = append(frames, bytes.Clone(fb.Finish()))
				}
			}
			var f wire.Frame
			apply := func(frame []byte) {
				require.NoError(b, f.Open(frame))
				_, err := p.model.ApplyFrame(&f)
				require.NoError(b, err)
			}
			for range 40 {
				round()
				for _, f := range frames {
					apply(f)
				}
			}
			b.ReportAllocs()
			var cpu time.Duration
			n := 0
			for b.Loop() {
				b.StopTimer()
				round()
				runtime.GC() // what round left is not the portal's
				b.StartTimer()
				before := cpuTime(b)
				for _, f := range frames {
					apply(f)
				}
				cpu += cpuTime(b) - before
				n += devices
			}
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(n), "cpu-ns/reading")
		})
	}
}

// cpuTime is what this process has used, which a busy machine does not change.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
