package fanout

import (
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/state"
)

// BenchmarkFanOut shows what one reading of 600 bytes costs from live frame to socket, in
// frames of 500, with 10,000 devices. The clients are real connections that read and
// throw away, so their cost is in it. sent/op says how many messages went out for each
// reading; the difference to the number of clients was conflated.
func BenchmarkFanOut(b *testing.B) {
	const devices = 10_000
	for _, c := range []struct{ clients, list int }{{0, 0}, {1, 0}, {10, 0}, {100, 0}, {1000, 0}, {1000, 1}, {1000, 50}} {
		name := fmt.Sprintf("%d clients want all", c.clients)
		if c.list > 0 {
			name = fmt.Sprintf("%d clients list %d", c.clients, c.list)
		}
		b.Run(name, func(b *testing.B) {
			h := newBench(b, Limits{Connections: 2000})
			frames := makeFrames(devices, 500, 600)
			for k := range c.clients {
				p := h.dial()
				if c.list == 0 {
					p.send(`{"type":"subscribe_all"}`)
				}
				for d := range c.list {
					p.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["device_%05d"]}`, (k*7+d*13)%devices))
				}
				p.synced()
				go func() { _, _ = io.Copy(io.Discard, p.ws.NetConn()) }()
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime(b)
			n := 0
			for i := 0; n < b.N; i++ {
				f := frames[i%len(frames)]
				frame, err := wire.OpenFrame(f)
				require.NoError(b, err)
				k, err := h.model.ApplyFrame(frame)
				require.NoError(b, err)
				n += k
			}
			b.StopTimer()
			s := h.broadcaster.Stats()
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(n), "cpu-ns/op")
			b.ReportMetric(float64(s.Messages)/float64(n), "sent/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
			b.ReportMetric(float64(s.Messages)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// cpuTime returns what this process has used, in ns: on a busy machine it says more than
// the clock.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

// makeFrames returns frames for every device, twice, so that each frame is news when
// they are sent in turn.
func makeFrames(devices, each, size int) [][]byte {
	var frames [][]byte
	var fb wire.FrameBuilder
	for ts := range int64(2) {
		for from := 0; from < devices; from += each {
			fb.Reset("gw-a")
			for d := range each {
				id := fmt.Sprintf("device_%05d", from+d)
				// Equal times with other bytes count as news, see state.Device.
				fb.Add(wire.FrameEntry{Device: id, Timestamp: 1, Received: 1, Payload: reading(id, 1_640_995_200_000+ts, size-130)})
			}
			frames = append(frames, append([]byte(nil), fb.Finish()...))
		}
	}
	return frames
}

// BenchmarkDashboardFanOut shows what one delta of the fleet costs, from the change of a
// hundred of 10,000 devices to 1,000 sockets. The clients are real connections that read and
// throw away, so their cost is in it.
func BenchmarkDashboardFanOut(b *testing.B) {
	const devices, changed, clients = 10_000, 100, 1000
	o := dashboard.Options{Limits: dashboard.Limits{Every: 20 * time.Millisecond}}
	h := newBenchWith(b, Limits{Connections: 2000}, o)
	set := func(i int, p telemetry.Presence) { h.state(fmt.Sprintf("device_%05d", i), "A栋", p) }
	for i := range devices {
		set(i, telemetry.PresenceOnline)
	}
	for range clients {
		p := h.dashboard()
		p.subscribe("fleet")
		p.snapshot("fleet")
		go func() { _, _ = io.Copy(io.Discard, p.ws.NetConn()) }()
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu, bytes := cpuTime(b), h.broadcaster.Stats().Bytes
	for n := range b.N {
		before := h.broadcaster.Stats().Bytes
		for i := range changed {
			set(i, []telemetry.Presence{telemetry.PresenceOffline, telemetry.PresenceOnline}[n%2])
		}
		require.Eventually(b, func() bool { return h.broadcaster.Stats().Bytes-before > clients*changed*8 }, waitTimeout, time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N*clients), "cpu-ns/frame")
	b.ReportMetric(float64(h.broadcaster.Stats().Bytes-bytes)/float64(b.N*clients), "bytes/client")
}

// BenchmarkApplyFrame shows that the model is locked for no longer with subscribers than
// without: the router's goroutine does not run here, and clients have no connection.
func BenchmarkApplyFrame(b *testing.B) {
	for _, clients := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("%d clients want all", clients), func(b *testing.B) {
			m := state.New(state.Options{})
			bc, err := New(Options{Model: m, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
			require.NoError(b, err)
			for range clients {
				silentClient(&bench{broadcaster: bc}).ask(b, typeSubscribeAll)
			}
			frames, n := makeFrames(500, 500, 600), 0
			cpu := cpuTime(b)
			for ; b.Loop(); n++ {
				frame, err := wire.OpenFrame(frames[n%len(frames)])
				require.NoError(b, err)
				_, err = m.ApplyFrame(frame)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(n*500), "cpu-ns/reading")
		})
	}
}
