package fanout

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestHelloTellsTheLimits(t *testing.T) {
	b := newBench(t, Limits{})
	p, q := b.dashboard(), b.dashboard()
	require.Regexp(t, "^[0-9a-f]{16}$", p.hello.Session)
	require.Equal(t, b.publisher.Epoch(), p.hello.Epoch)
	require.Equal(t, p.hello.Epoch, q.hello.Epoch)
	require.NotEqual(t, p.hello.Session, q.hello.Session)
	require.InDelta(t, time.Now().UnixMilli(), p.hello.ServerTime, 60_000)
	m := p.ask(map[string]string{"type": "ping", "id": "p1"})
	require.Equal(t, "pong", m.Type)
	require.InDelta(t, time.Now().UnixMilli(), m.ServerTime, 60_000)
}

func TestFleetSnapshotThenDeltas(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	b.state("d1", "A栋", telemetry.PresenceOnline)
	b.state("d2", "B栋", telemetry.PresenceOffline)
	p := b.dashboard()
	p.subscribe("fleet")
	view, last := fleetView{}, uint64(0)
	for _, m := range p.snapshot("fleet") {
		view.apply(t, m)
		last = m.Seq
	}
	require.Equal(t, []any{"d1", "A栋", 2.0, "201", "M1", "gw-a", 1.0, 0.0, 0.0, "", []any{}, 0.0}, view.row("d1"))
	require.Equal(t, []any{"d2", "B栋", 2.0, "201", "M1", "gw-a", 2.0, 0.0, 0.0, "", []any{}, 0.0}, view.row("d2"))

	b.state("d3", "A栋", telemetry.PresenceOnline)
	b.raise("a1", "d1", telemetry.AlertActive, 1)
	b.state("d2", "C栋", telemetry.PresenceOnline)
	follow := func(done func() bool) {
		t.Helper()
		for !done() {
			m := p.of("delta", "fleet")
			require.Equal(t, last+1, m.Seq)
			last = m.Seq
			view.apply(t, m)
		}
	}
	follow(func() bool {
		return view.row("d3") != nil && view.row("d1")[7] == 2.0 && view.row("d1")[8] == 1.0 && view.row("d2")[1] == "C栋"
	})
	b.stateEvery(1000, "d1", "A栋", telemetry.PresenceOnline)
	follow(func() bool { return view.row("d1")[6] == 3.0 }) // nothing came for three intervals
	b.stateEvery(3_600_000, "d1", "A栋", telemetry.PresenceOnline)
	follow(func() bool { return view.row("d1")[6] == 1.0 })
	b.model.Remove("d3", 0)
	follow(func() bool { return view.row("d3")[6] == 4.0 })
	q := b.dashboard()
	q.subscribe("fleet")
	fresh := fleetView{}
	for _, m := range q.snapshot("fleet") {
		fresh.apply(t, m)
	}
	require.Len(t, fresh, 2)
	m := q.of("delta", "fleet")
	require.JSONEq(t, `{}`, string(m.Data), "a sign of life")
}

func TestSensorTopics(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	send := func(id string, ts int64, sensors, info string) {
		b.push(wire.FrameEntry{Device: id, Timestamp: ts, Received: ts, Payload: fmt.Appendf(nil,
			`{"device_id":%q,"timestamp":%d,"location":{"building":"A"},"sensors":{%s}%s}`, id, ts, sensors, info)})
	}
	at := time.Now().UnixMilli()
	send("d0", at, `"temperature":{"value":21.5},"switch_status":{"value":true}`, `,"device_info":{"model":"m","battery":85,"signal_strength":-45}`)
	send("d1", at, `"humidity":{"value":40}`, `,"device_info":{"model":"m"}`)
	p := b.dashboard()
	p.subscribe("sensor/temperature", "sensor/switch_status", "sensor/battery", "sensor/humidity")
	for topic, want := range map[string]string{
		"sensor/temperature": `{"values":[[0,21.5]]}`, "sensor/switch_status": `{"values":[[0,true]]}`,
		"sensor/battery": `{"values":[[0,85]]}`, "sensor/humidity": `{"values":[[1,40]]}`,
	} {
		q := b.dashboard()
		q.subscribe(topic)
		require.JSONEq(t, want, string(q.snapshot(topic)[0].Data))
	}
	send("d0", at+1, `"humidity":{"value":50.25}`, "")
	want := map[string]string{"sensor/temperature": `{"values":[[0,null]]}`, "sensor/humidity": `{"values":[[0,50.25]]}`}
	p.until(func(m dashMessage) bool {
		if m.Type == "delta" && want[m.Topic] != "" && string(m.Data) != "{}" {
			require.JSONEq(t, want[m.Topic], string(m.Data))
			delete(want, m.Topic)
		}
		return len(want) == 0
	})
}

func TestDeviceTopicLatestWins(t *testing.T) {
	o := quickPublisher()
	o.Limits.DeviceEvery = 200 * time.Millisecond
	b := newBenchWith(t, Limits{}, o)
	p := b.dashboard()
	p.subscribe("device/d1", "device/never")
	require.JSONEq(t, `{"received":0,"time":0,"clock_offset_ms":0,"backfill":false,"gateway":"","reading":null,"state":4,"priority":0,"name":"","description":"","tags":[],"revision":0,"interval_ms":0}`, string(p.snapshot("device/d1")[0].Data))
	b.push(entry("d1", 1, 1), entry("other", 1, 1))
	last := p.of("delta", "device/d1")
	for ts := range int64(300) {
		b.push(entry("d1", ts+2, 1))
	}
	n := 0
	p.until(func(m dashMessage) bool {
		require.Equal(t, "delta", m.Type)
		require.Equal(t, "device/d1", m.Topic)
		require.Equal(t, last.Seq+1, m.Seq)
		require.GreaterOrEqual(t, m.TS-last.TS, int64(200))
		last = m
		n++
		var v struct {
			Received int64
			Gateway  string
			Reading  struct{ Timestamp int64 }
		}
		require.NoError(t, json.Unmarshal(m.Data, &v))
		require.Positive(t, v.Received)
		require.Equal(t, "gw-a", v.Gateway)
		return v.Reading.Timestamp == 301
	})
	require.Less(t, n, 150, "several readings in one delta's time")
	p.ask(wants{Type: "unsubscribe", ID: "u", Topics: []string{"device/d1"}})
	b.push(entry("d1", 1000, 1))
	m := p.ask(wants{Type: "subscribe", ID: "again", Topics: []string{"device/d1"}})
	require.Equal(t, "ack", m.Type)
	m = p.snapshot("device/d1")[0]
	require.GreaterOrEqual(t, m.Seq, last.Seq, "numbers go on in an epoch")
	require.Contains(t, string(m.Data), `"timestamp":1000`)
}

func TestBuildingStatsAndGateways(t *testing.T) {
	o := quickPublisher()
	o.Stats = func() any { return map[string]int{"n": 1} }
	o.Gateways = func() any { return map[string]any{"items": []int{}} }
	b := newBenchWith(t, Limits{}, o)
	b.state("d1", "A栋", telemetry.PresenceOnline)
	b.state("d2", "A栋", telemetry.PresenceOffline)
	b.state("d3", "B栋", telemetry.PresenceOnline)
	b.raise("a1", "d2", telemetry.AlertActive, 1)
	b.model.ApplyWindows([]telemetry.Window{{
		Scope: "building", ID: "A栋", Parameter: "temperature", Start: time.Now().UnixMilli() / 1000 * 1000, WidthMS: 1000, Count: 4, Sum: 90, Min: 20, Max: 25,
	}})
	p := b.dashboard()
	p.subscribe("building/A栋", "building/nowhere", "stats", "gateways")
	want := `{"devices":2,"online":1,"offline":1,"unknown":0,"alarms":1,"means":{"temperature":{"mean":22.5,"min":20,"max":25,"count":4}},"gateways":["gw-a"]}`
	require.Eventually(t, func() bool { return string(p.of("delta", "building/A栋").Data) == want }, waitTimeout, time.Millisecond)
	q := b.dashboard()
	q.subscribe("building/A栋", "building/nowhere", "stats", "gateways")
	seen := map[string]string{}
	q.until(func(m dashMessage) bool {
		if m.Type == "snapshot" {
			seen[m.Topic] = string(m.Data)
		}
		return len(seen) == 4
	})
	require.JSONEq(t, want, seen["building/A栋"])
	require.Contains(t, seen["building/nowhere"], `"devices":0`)
	require.JSONEq(t, `{"n":1}`, seen["stats"])
	require.JSONEq(t, `{"items":[]}`, seen["gateways"])
	q.of("delta", "stats")
	q.of("delta", "gateways")
}

func TestAskingAgainBringsAFreshSnapshot(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	b.raise("a1", "d1", telemetry.AlertActive, 1)
	p := b.dashboard()
	p.subscribe("alerts", "fleet")
	first := p.snapshot("alerts")[0]
	b.raise("a2", "d1", telemetry.AlertActive, 2)
	p.subscribe("alerts", "fleet")
	var deltas, snapshots []dashMessage
	p.until(func(m dashMessage) bool {
		switch {
		case m.Topic == "alerts" && m.Type == "delta":
			deltas = append(deltas, m)
		case m.Topic == "alerts":
			snapshots = append(snapshots, m)
		}
		return len(snapshots) == 1
	})
	require.Equal(t, first.Seq+1, snapshots[0].Seq)
	require.Contains(t, string(snapshots[0].Data), `"a2"`)
	b.raise("a3", "d1", telemetry.AlertActive, 3)
	require.Equal(t, first.Seq+2, p.of("delta", "alerts").Seq)
	require.LessOrEqual(t, len(deltas), 1)
}

func TestDashboardRefusesWithAWordAndLives(t *testing.T) {
	o := quickPublisher()
	o.Limits.Topics = 3
	b := newBenchWith(t, Limits{}, o)
	p := b.dashboard()
	for _, c := range []struct{ name, text, code string }{
		{"not JSON", `hello`, codeBadJSON},
		{"deep", strings.Repeat("[", 20_000), codeBadJSON},
		{"null", `null`, codeBadRequest},
		{"no topics", `{"type":"subscribe","id":"x"}`, codeBadRequest},
		{"topics are no list", `{"type":"subscribe","topics":"fleet"}`, codeBadRequest},
		{"id is a number", `{"type":"ping","id":1}`, codeBadRequest},
		{"long id", `{"type":"ping","id":"` + strings.Repeat("x", 100) + `"}`, codeBadRequest},
		{"negative seq", `{"type":"subscribe","topics":["fleet"],"resume":{"epoch":"","seq":{"alerts":-1}}}`, codeBadRequest},
		{"unknown type", `{"type":"subscribe_all"}`, codeUnknownType},
		{"command without a body", `{"type":"command"}`, codeBadRequest},
		{"command is no object", `{"type":"command","command":[]}`, codeBadRequest},
		{"commands without a handler", `{"type":"command","command":{}}`, codeBadRequest},
		{"unknown topic", `{"type":"subscribe","topics":["fleet","fleets"]}`, "unknown_topic"},
		{"malformed sensor", `{"type":"subscribe","topics":["sensor/Wind"]}`, "unknown_topic"},
		{"no building", `{"type":"subscribe","topics":["building/"]}`, "unknown_topic"},
		{"long topic", `{"type":"subscribe","topics":["` + strings.Repeat("x", 60_000) + `"]}`, "unknown_topic"},
		{"bad device", `{"type":"unsubscribe","topics":["device/a.b"]}`, codeBadDevice},
		{"too many", `{"type":"subscribe","topics":["fleet","stats","gateways","alerts"]}`, "too_many_topics"},
	} {
		p.send(c.text)
		m := p.next()
		require.Equal(t, "error", m.Type, c.name)
		require.Equal(t, c.code, m.Code, c.name)
		require.NotEmpty(t, m.Message, c.name)
		require.Less(t, len(m.Message), 400, c.name)
	}
	m := p.ask(wants{Type: "subscribe", ID: "7", Topics: []string{"nothing"}})
	require.Equal(t, "error", m.Type)
	m = p.ask(wants{Type: "subscribe", ID: "8", Topics: []string{"stats", "stats", "gateways"}})
	require.Equal(t, []string{"stats", "gateways"}, m.Topics)
	p.subscribe("alerts")
}

func TestSubscriptionsOfOneClientAreBounded(t *testing.T) {
	b := newBenchWith(t, Limits{RateBurst: 1e6}, quickPublisher())
	p := b.dashboard()
	refused, accepted := 0, 0
	for n := 0; n < 100_000; n += 1000 {
		topics := make([]string, 1000)
		for i := range topics {
			topics[i] = fmt.Sprintf("device/d%06d", n+i)
		}
		m := p.ask(wants{Type: "subscribe", ID: fmt.Sprint(n), Topics: topics})
		if m.Type == "ack" {
			accepted++
			continue
		}
		require.Equal(t, "too_many_topics", m.Code)
		require.Contains(t, m.Message, "2000")
		refused++
	}
	require.Equal(t, 2, accepted)
	require.Equal(t, 98, refused)
	b.push(entry("d000007", 1, 1))
	require.Equal(t, "device/d000007", p.until(func(m dashMessage) bool { return m.Type == "delta" }).Topic)
}

func TestNoFrameIsLongerThanItsBound(t *testing.T) {
	const devices, most = 3000, 16 << 10
	o := quickPublisher()
	o.Limits.FrameBytes = most
	b := newBenchWith(t, Limits{}, o)
	for i := range devices / 2 {
		b.state(fmt.Sprintf("d%04d", i), "A栋", telemetry.PresenceOnline)
	}
	p := b.dashboard()
	p.subscribe("fleet")
	view := fleetView{}
	for i := devices / 2; i < devices; i++ {
		b.state(fmt.Sprintf("d%04d", i), "A栋", telemetry.PresenceOnline)
	}
	parts := 0
	p.until(func(m dashMessage) bool {
		require.LessOrEqual(t, m.size, most)
		if m.Topic == "fleet" {
			view.apply(t, m)
			parts = max(parts, m.Parts)
		}
		return len(view) == devices
	})
	require.Greater(t, parts, 3)
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	b := newBench(t, Limits{PerAddress: 2})
	b.from = netip.MustParseAddr("2001:db8::1")
	p, q := b.dial(), b.dashboard()
	p.synced()
	b.dial().expectClose(CloseLimit)
	require.NoError(t, q.ws.Close())
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Clients == 1 }, waitTimeout, 5*time.Millisecond)
	b.dial().synced()
	near := newBench(t, Limits{PerAddress: 1})
	near.dial().synced()
	near.dial().synced() // those of no address are not counted
}

func TestCommandsAreAnsweredWhenTheyAreDone(t *testing.T) {
	gate := make(chan struct{})
	b := newBenchWith(t, Limits{}, quickPublisher())
	b.commands = func(_ context.Context, raw json.RawMessage) any {
		<-gate
		return map[string]any{"type": "command_result", "status": 200, "result": raw}
	}
	p := b.dashboard()
	for i := range maxCommands {
		p.send(fmt.Sprintf(`{"type":"command","id":"m%d","command":{"n":%d}}`, i, i))
	}
	m := p.ask(map[string]any{"type": "command", "id": "one more", "command": struct{}{}})
	require.Equal(t, codeRateLimited, m.Code)
	close(gate)
	seen := map[string]string{}
	for range maxCommands {
		m := p.until(func(m dashMessage) bool { return m.Type == "command_result" })
		seen[m.ID] = string(m.Result)
	}
	require.Len(t, seen, maxCommands)
	require.JSONEq(t, `{"n":3}`, seen["m3"])
}

func TestBothDialectsAtOnce(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	s, p := b.dial(), b.dashboard()
	s.send(`{"type":"subscribe_all"}`)
	s.synced()
	p.subscribe("device/d1", "alerts")
	b.push(entry("d1", 5, 1))
	b.raise("a1", "d1", telemetry.AlertActive, 5)
	for range 2 {
		s.read()
	}
	p.of("delta", "device/d1")
	require.NoError(t, p.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(waitTimeout)))
	p.expectClose(1000)
	require.Eventually(t, func() bool { return b.publisher.Clients() == 0 }, waitTimeout, 5*time.Millisecond)
	require.Eventually(t, func() bool { return b.broadcaster.counts.dialects[dashboardDialect].ends[endedByClient].Load() == 1 }, waitTimeout, 5*time.Millisecond)
}
