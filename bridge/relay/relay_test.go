package relay

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestEveryReadingOnceAndInOrder(t *testing.T) {
	t.Parallel()
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	var gateways []*gateway
	for i := range 3 {
		g := newGateway(t, fmt.Sprintf("gw-%c", 'a'+i), b.LeafAddr(), want)
		g.storeMany(40, 25)
		gateways = append(gateways, g)
	}
	want.check(t, p)
	for _, g := range gateways {
		g.storeMany(5, 3)
	}
	want.check(t, p)
	b.ready()
	b.reaches(3*(40*25+5*3), "bridge_records_total")
	b.reaches(3*45, "bridge_packs_total")
	require.Zero(t, b.metric("bridge_losses_total"))
	require.Zero(t, b.metric("bridge_lane_restarts_total"))
	b.reaches(4, "bridge_lanes_owned")
	require.Eventually(t, func() bool {
		return b.metric("bridge_gateways_known") == 3 && b.metric("bridge_gateway_lag_packs") == 0
	}, waitTimeout, 50*time.Millisecond)
}

func TestValuesAreByteIdentical(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.store(
		reading("device_001", "{\n  \"device_id\": \"device_001\"\r\n}\n"),
		reading("device_001", `{"unknown":[1,2,{"x":"\u00e4"}],"building":"A栋"}`),
		reading("device_001", "\x00\xff\xfe not even text"),
		reading("device_001", strings.Repeat("x", wire.MaxReadingBytes)),
	)
	g.store(make([]wire.PackEntry, 0)...) // an empty pack is a pack
	want.check(t, p)
}

func TestRefusedMessagesAreDeadLettersOnce(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.store(
		reading("device_001", `{"ok":1}`),
		refused("device_001", `{"broken":`, telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Message: "it ends too early"}),
		refused("", "", telemetry.Refusal{Reason: telemetry.ReasonEmpty, Message: "nothing there"}),
		reading("device_002", `{"ok":2}`),
		refused("device_002", strings.Repeat("y", 1<<20), telemetry.Refusal{Reason: telemetry.ReasonTooLarge, Field: "", Message: "1 MB"}),
		refused("device_003", `{"sensors":{}}`, telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Field: "sensors.temperature.value", Message: "not a number"}),
	)
	want.check(t, p)
	b.stop()
	b = p.bridge(nil)
	g.store(refused("device_001", `x`, telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Message: "no"}))
	want.check(t, p)
	b.reaches(1, "bridge_dead_letters_total")
}

func TestOldReadingsAreMarkedAsBackfill(t *testing.T) {
	p, want := newCluster(t), newExpected()
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	old := reading("device_001", `{"old":1}`)
	old.Received -= 60_000
	g.store(old)
	g.store(reading("device_001", `{"old":0}`))
	want.check(t, p)
	got := kafkatest.ReadAll(t, p.brokers, p.topics.DeviceData, 2, waitTimeout)
	require.Equal(t, "1", got[0].Header(wire.HeaderBackfill))
	require.Empty(t, got[1].Header(wire.HeaderBackfill))
}

func TestStreamIsTrimmedBehindTheCheckpoint(t *testing.T) {
	p, want := newCluster(t), newExpected()
	p.cfg.TrimMargin = 5
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(50, 2)
	require.Eventually(t, func() bool { return g.state().FirstSeq == 46 }, waitTimeout, 50*time.Millisecond, "the margin stays, the rest goes")
	g.storeMany(3, 2)
	want.check(t, p)
	require.Eventually(t, func() bool { return g.state().FirstSeq == 49 }, waitTimeout, 50*time.Millisecond)
	b.stop()
	b = p.bridge(nil)
	g.storeMany(3, 2)
	want.check(t, p)
	require.Zero(t, b.metric("bridge_losses_total", "gateway", "gw-a"))
}

func TestTopicDecidesTheNumberOfLanes(t *testing.T) {
	p, want := newCluster(t), newExpected()
	p.cfg.Lanes = 2
	b := p.bridge(nil)
	g := newGateway(t, "gw-a", b.LeafAddr(), want)
	g.storeMany(3, 2)
	want.check(t, p)
	b.stop()
	p.cfg.Lanes = 7
	b = p.bridge(nil)
	g.storeMany(3, 2)
	want.check(t, p)
	b.ready()
	require.Equal(t, int32(2), b.lanes.Load())
}

func TestOperationsServer(t *testing.T) {
	p := newCluster(t)
	p.cfg.HTTPAddr = "127.0.0.1:0"
	b := p.bridge(nil)
	b.ready()
	require.Equal(t, 200, get(t, "http://"+b.Addr()+"/readyz"))
	require.Equal(t, 200, get(t, "http://"+b.Addr()+"/metrics"))
}

func get(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
