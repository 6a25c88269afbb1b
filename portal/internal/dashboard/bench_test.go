package dashboard

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// BenchmarkFleetDelta shows what it costs to find and encode what changed in 10,000 devices
// when one in ten did, and to hand it to 1,000 clients.
func BenchmarkFleetDelta(b *testing.B) {
	const devices, clients = 10_000, 1000
	now := time.Now()
	p := state.New(state.Options{Now: func() time.Time { return now }})
	bd := newTestPublisher(b, p)
	set := func(i int, presence telemetry.Presence) {
		p.ApplyState(telemetry.DeviceState{
			DeviceID: fmt.Sprintf("device_%05d", i), Presence: presence, Gateway: "gw-a",
			Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}, Info: telemetry.DeviceInfo{Model: "IOT-SENSOR-V2"},
		})
	}
	for i := range devices {
		set(i, telemetry.PresenceOnline)
	}
	sessions := make([]*Session, clients)
	for i := range sessions {
		sessions[i] = bd.Open(&fakeClient{}, ClientLimits{}, Caller{})
		sessions[i].Handle([]byte(`{"type":"subscribe","topics":["fleet"]}`))
	}
	bd.makeSnapshots()
	var batch Batch
	drain := func() (bytes int) {
		for _, s := range sessions {
			for more := true; more; {
				batch.Buf, batch.Shared = batch.Buf[:0], nil
				more = s.Gather(&batch, 64<<10)
				bytes += len(batch.Buf) + len(batch.Shared)
			}
		}
		return bytes
	}
	drain()
	presences := []telemetry.Presence{telemetry.PresenceOffline, telemetry.PresenceOnline}
	b.ReportAllocs()
	total := 0
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		now = now.Add(time.Second)
		for i := 0; i < devices; i += 10 {
			set(i, presences[n%2])
		}
		b.StartTimer()
		bd.everySecond()
		total += drain()
	}
	b.ReportMetric(float64(total)/float64(b.N*clients), "bytes/client")
}

// BenchmarkSensorScan is the same for a topic of one value of every device, each of which
// changed, with one client.
func BenchmarkSensorScan(b *testing.B) {
	const devices = 10_000
	now := time.Now()
	p := state.New(state.Options{Now: func() time.Time { return now }})
	bd := newTestPublisher(b, p)
	s := bd.Open(&fakeClient{}, ClientLimits{}, Caller{})
	s.Handle([]byte(`{"type":"subscribe","topics":["sensor/temperature"]}`))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		now = now.Add(time.Second)
		var fb wire.FrameBuilder
		fb.Reset("gw-a")
		for i := range devices {
			id := fmt.Sprintf("device_%05d", i)
			fb.Add(wire.FrameEntry{Device: id, Timestamp: now.UnixMilli(), Received: now.UnixMilli(), Payload: fmt.Appendf(nil,
				`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":{"temperature":{"value":%d.5,"unit":"°C"}},"device_info":{"model":"x","battery":80,"signal_strength":-40}}`, id, now.UnixMilli(), n%50)})
		}
		f, err := wire.OpenFrame(fb.Finish())
		require.NoError(b, err)
		_, err = p.ApplyFrame(f)
		require.NoError(b, err)
		b.StartTimer()
		bd.makeSnapshots()
		bd.everySecond()
	}
}
