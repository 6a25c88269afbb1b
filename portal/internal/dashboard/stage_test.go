package dashboard

import (
	"encoding/json"
	"fmt"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
)

// receive gives the model a reading whose fields after the timestamp are rest.
func (g *stage) receive(gateway string, e wire.FrameEntry, rest string) {
	g.tb.Helper()
	e.Payload = fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,%s}`, e.Device, e.Timestamp, rest)
	statetest.Apply(g.tb, g.model, gateway, e)
}

func (g *stage) apply(e wire.FrameEntry) {
	g.tb.Helper()
	statetest.Apply(g.tb, g.model, "gw-a", e)
}

// sense is receive of a live reading from room 101.
func (g *stage) sense(id, sensors, info string) {
	g.tb.Helper()
	ms := g.now.UnixMilli()
	g.receive("gw-a", wire.FrameEntry{Device: id, Timestamp: ms, Received: ms},
		`"location":{"building":"A","floor":1,"room":"101"},"sensors":{`+sensors+`},"device_info":{`+info+`}`)
}

// follow opens a session, subscribes it and takes what it gets first.
func (g *stage) follow(topics ...string) (*Session, *fakeClient) {
	g.tb.Helper()
	s, c := g.open()
	list, err := json.Marshal(topics)
	require.NoError(g.tb, err)
	_, ok := s.Handle(fmt.Appendf(nil, `{"type":"subscribe","topics":%s}`, list))
	require.True(g.tb, ok)
	g.work()
	g.got(s)
	return s, c
}

// lines is got without the sum.
func (g *stage) lines(s *Session) []string {
	g.tb.Helper()
	lines, _ := g.got(s)
	return lines
}

func (g *stage) alarm(change func(*telemetry.Alert)) {
	g.tb.Helper()
	a := telemetry.Alert{
		AlertID: "a", DeviceID: "d", Severity: telemetry.SeverityHigh,
		Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged, Timestamp: 1,
	}
	change(&a)
	raw, err := json.Marshal(a)
	require.NoError(g.tb, err)
	parsed, err := state.ParseAlert(raw)
	require.NoError(g.tb, err)
	g.model.ApplyAlert(parsed, true)
}
