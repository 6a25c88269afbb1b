package relay

import (
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/internal/wire"
)

// fill stores packs of readings of the usual size, without expecting them.
func (g *gateway) fill(packs, readings int) {
	g.t.Helper()
	value := make([]byte, 0, 600)
	var b wire.PackBuilder
	for p := range packs {
		counter, totals := g.packed.get()
		b.Reset(g.epoch, counter+1)
		b.Follow(totals)
		for i := range readings {
			now := time.Now().UnixMilli()
			value = fmt.Appendf(value[:0], `{"device_id":"device_%03d","timestamp":%d,"location":{"building":"A栋","floor":%d,"room":"301"},`+
				`"sensors":{"temperature":{"value":%.2f,"unit":"°C","status":"normal"},"humidity":{"value":%.2f,"unit":"%%","status":"normal"},`+
				`"pressure":{"value":%.2f,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},`+
				`"current":{"value":%.3f,"unit":"A","status":"normal"}},`+
				`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`,
				i, now, i%20, 20+float64((p*i)%977)/100, 60+float64((p+i)%331)/10, 1000+float64((p*7+i)%997)/50, float64((p+3*i)%1009)/400)
			b.Add(wire.PackEntry{Device: fmt.Sprintf("device_%03d", i), Received: now, Payload: value})
		}
		g.put(b.Finish())
		g.packed.set(counter+1, b.Totals())
	}
}

// BenchmarkDrain measures how fast a bridge empties a gateway, in a process of its own:
// cpu-µs/record is the bridge's alone.
func BenchmarkDrain(b *testing.B) {
	const readings = 300
	packs := max(b.N/readings, 200)
	p := newCluster(b)
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	b.Cleanup(h.Shutdown)
	p.cfg.HubURL = h.URL()
	g := newGateway(b, "gw-a", h.LeafAddr(), newExpected())
	g.fill(packs, readings)
	b.ResetTimer()
	cmd := spawn(b, p.cfg)
	g.awaitTrim(packs)
	b.StopTimer()
	require.NoError(b, cmd.Process.Signal(os.Interrupt))
	require.NoError(b, cmd.Wait())
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(used.Microseconds())/float64(packs*readings), "cpu-µs/record")
	b.ReportMetric(float64(packs*readings)/b.Elapsed().Seconds(), "records/s")
}

// awaitTrim waits until the bridge has trimmed the stream to its margin, which it does
// within a second of having emptied it.
func (g *gateway) awaitTrim(packs int) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.state().FirstSeq > uint64(max(packs-100, packs/2)) }, 5*time.Minute, 10*time.Millisecond)
}

// BenchmarkDrainHere is BenchmarkDrain in this process, for profiles.
func BenchmarkDrainHere(b *testing.B) {
	const readings = 300
	packs := max(b.N/readings, 200)
	p := newCluster(b)
	p.cfg.LeafAddr = "127.0.0.1:0"
	r, err := New(Options{Config: p.cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(b, err)
	leaf := r.LeafAddr()
	require.NoError(b, r.Close())
	p.cfg.LeafAddr = leaf
	g := newGateway(b, "gw-a", leaf, newExpected())
	g.fill(packs, readings)
	b.ResetTimer()
	br := p.bridge(nil)
	require.Eventually(b, func() bool { return br.metric("bridge_packs_total") == packs }, 5*time.Minute, time.Millisecond)
	b.StopTimer()
	b.ReportMetric(float64(packs*readings)/b.Elapsed().Seconds(), "records/s")
	br.stop()
}

// BenchmarkDrainMany measures a bridge that drains twenty gateways at once.
func BenchmarkDrainMany(b *testing.B) {
	const gateways, packs, readings = 20, 60, 300
	p := newCluster(b)
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	b.Cleanup(h.Shutdown)
	p.cfg.HubURL, p.cfg.TrimMargin = h.URL(), 1
	var all []*gateway
	for i := range gateways {
		g := newGateway(b, fmt.Sprintf("gw-%02d", i), h.LeafAddr(), newExpected())
		g.fill(packs, readings)
		all = append(all, g)
	}
	b.ResetTimer()
	cmd := spawn(b, p.cfg)
	for _, g := range all {
		g.awaitTrim(packs)
	}
	b.StopTimer()
	require.NoError(b, cmd.Process.Signal(os.Interrupt))
	require.NoError(b, cmd.Wait())
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		b.ReportMetric(float64(usage.Maxrss)/1024, "MB-max")
	}
	b.ReportMetric(float64(gateways*packs*readings)/b.Elapsed().Seconds(), "records/s")
}
