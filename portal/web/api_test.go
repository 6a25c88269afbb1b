package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

type devicesAnswer struct {
	Total, Count, Offset int
	Time                 int64
	Items                []struct {
		DeviceID     string             `json:"device_id"`
		Location     telemetry.Location `json:"location"`
		Gateway      string             `json:"gateway"`
		Presence     string             `json:"presence"`
		AgeMS        *int64             `json:"age_ms"`
		ActiveAlerts int                `json:"active_alerts"`
		Severity     string             `json:"severity"`
		Reading      json.RawMessage    `json:"reading"`
	}
}

func (d devicesAnswer) ids() []string {
	out := []string{}
	for _, v := range d.Items {
		out = append(out, v.DeviceID)
	}
	return out
}

// populate fills the model with 30 devices in A栋 (gw-a), 20 in B栋 (gw-b) and one that
// has never sent anything.
func populate(r *rig) (now int64) {
	r.tb.Helper()
	now = r.portal.model.Now()
	var a, b []wire.FrameEntry
	for i := range 30 {
		a = append(a, reading(fmt.Sprintf("a%02d", i), "A栋", now-int64(i)*10))
	}
	for i := range 20 {
		b = append(b, reading(fmt.Sprintf("b%02d", i), "B栋", now-1000-int64(i)))
	}
	r.publish("gw-a", a...)
	r.publish("gw-b", b...)
	state, err := json.Marshal(telemetry.DeviceState{
		DeviceID: "silent", Presence: telemetry.PresenceOffline, Since: now - 5000, LastSeen: now - 9000, Gateway: "gw-c",
		Location: telemetry.Location{Building: "C栋", Floor: 1, Room: "117"},
	})
	require.NoError(r.tb, err)
	kafkatest.Produce(r.tb, r.brokers, r.cfg.DeviceState, -1, kafkatest.Record{Key: []byte("silent"), Value: state})
	r.eventually("51 devices", func() bool { return r.portal.model.Stats().Devices.Total == 51 })
	return now
}

func TestDevicesAreFilteredSortedAndPaged(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := populate(r)
	r.raise(
		alert("x1", "b07", telemetry.SeverityCritical, telemetry.AlertActive, now),
		alert("x2", "a03", telemetry.SeverityLow, telemetry.AlertActive, now),
		alert("x3", "a03", telemetry.SeverityHigh, telemetry.AlertActive, now),
		alert("x4", "a04", telemetry.SeverityHigh, telemetry.AlertActive, now),
	)
	for _, c := range []struct {
		query string
		total int
		first []string
	}{
		{"", 51, []string{"a00", "a01"}},
		{"building=" + url.QueryEscape("B栋"), 20, []string{"b00"}},
		{"building=nowhere", 0, nil},
		{"gateway=gw-c", 1, []string{"silent"}},
		{"presence=offline", 1, []string{"silent"}},
		{"presence=online", 50, []string{"a00"}},
		{"q=B1", 10, []string{"b10"}},
		{"q=117", 1, []string{"silent"}},
		{"q=sensor-v2", 50, []string{"a00"}},
		{"q=" + url.QueryEscape("c栋"), 1, []string{"silent"}},
		{"q=b1&building=" + url.QueryEscape("A栋"), 0, nil},
		{"sort=-device_id", 51, []string{"silent", "b19"}},
		{"sort=alerts", 51, []string{"b07", "a03", "a04", "a00"}},
		{"sort=-age", 51, []string{"a00", "a01"}},
		{"sort=age", 51, []string{"silent", "b19"}},
		{"sort=building&offset=49", 51, []string{"b19", "silent"}},
		{"sort=presence", 51, []string{"silent", "a00"}},
		{"limit=5&offset=50", 51, []string{"silent"}},
		{"limit=5&offset=500", 51, nil},
	} {
		var d devicesAnswer
		r.getJSON("/api/v1/devices?limit=7&"+c.query, &d)
		if c.query != "" && c.query[0] == 'l' { // a repeated parameter: the first one counts
			r.getJSON("/api/v1/devices?"+c.query, &d)
		}
		require.Equal(t, c.total, d.Total, c.query)
		require.Len(t, d.Items, d.Count, c.query)
		require.Subset(t, append(d.ids(), ""), c.first, c.query)
		if len(c.first) > 0 {
			require.Equal(t, c.first, d.ids()[:len(c.first)], c.query)
		} else {
			require.Empty(t, d.Items, c.query)
		}
	}
	var all []string
	for offset := 0; offset < 51; offset += 10 {
		var d devicesAnswer
		r.getJSON(fmt.Sprintf("/api/v1/devices?limit=10&offset=%d", offset), &d)
		all = append(all, d.ids()...)
	}
	require.Len(t, all, 51)
	require.IsIncreasing(t, all)
}

func TestDeviceShowsItsReadingAndItsAge(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := populate(r)
	r.raise(alert("x", "a05", telemetry.SeverityHigh, telemetry.AlertActive, now))
	var d struct {
		Time int64
		device
	}
	r.getJSON("/api/v1/devices/a05", &d)
	require.Equal(t, "a05", d.DeviceID)
	require.JSONEq(t, string(reading("a05", "A栋", now-50).Payload), string(d.Reading), "with the fields we do not know")
	require.Equal(t, d.Time-(now-50), *d.AgeMS)
	require.Equal(t, 1, d.ActiveAlerts)
	require.Equal(t, telemetry.SeverityHigh, d.Severity)
	require.Equal(t, telemetry.PresenceOnline, d.Presence)

	r.getJSON("/api/v1/devices/silent", &d)
	require.Equal(t, "null", string(d.Reading))
	require.Equal(t, telemetry.PresenceOffline, d.Presence)
	require.Equal(t, now-5000, d.Since)
	require.Equal(t, d.Time-(now-9000), *d.AgeMS)
	require.Equal(t, "117", d.Location.Room)

	r.refused("/api/v1/devices/unknown", http.StatusNotFound, "device_not_found")
	r.refused("/api/v1/devices/a05%2f..", http.StatusNotFound, "device_not_found")
}

func TestAlertsAreFilteredAndOrdered(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(
		alert("old", "d1", telemetry.SeverityHigh, telemetry.AlertActive, 100),
		alert("crit", "d2", telemetry.SeverityCritical, telemetry.AlertActive, 50),
		alert("new", "d1", telemetry.SeverityHigh, telemetry.AlertActive, 200),
		alert("gone", "d3", telemetry.SeverityCritical, telemetry.AlertActive, 10),
		alert("gone", "d3", telemetry.SeverityCritical, telemetry.AlertCleared, 300),
		alert("gone2", "d3", telemetry.SeverityLow, telemetry.AlertActive, 10),
		alert("gone2", "d3", telemetry.SeverityLow, telemetry.AlertCleared, 400),
	)
	type alertsAnswer struct {
		Total, Count int
		Items        []telemetry.Alert
	}
	for query, want := range map[string][]string{
		"":                           {"crit", "new", "old", "gone2", "gone"},
		"status=active":              {"crit", "new", "old"},
		"status=cleared":             {"gone2", "gone"},
		"severity=critical":          {"crit", "gone"},
		"device_id=d1":               {"new", "old"},
		"status=active&severity=low": {},
		"limit=2&offset=1":           {"new", "old"},
		"device_id=d3&colour=red":    nil,
	} {
		if want == nil {
			r.refused("/api/v1/alerts?"+query, http.StatusBadRequest, "bad_parameter")
			continue
		}
		var a alertsAnswer
		r.getJSON("/api/v1/alerts?"+query, &a)
		got := []string{}
		for _, v := range a.Items {
			got = append(got, v.AlertID)
		}
		require.Equal(t, want, got, query)
		require.Len(t, a.Items, a.Count)
		if query == "limit=2&offset=1" {
			require.Equal(t, 5, a.Total)
		}
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for path, word := range map[string]string{
		"/api/v1/devices?limit=0":         "limit",
		"/api/v1/devices?limit=1001":      "1000",
		"/api/v1/devices?limit=ten":       "limit",
		"/api/v1/devices?offset=-1":       "offset",
		"/api/v1/devices?presence=asleep": "presence",
		"/api/v1/devices?sort=colour":     "sort",
		"/api/v1/devices?house=x":         "building",
		"/api/v1/alerts?status=open":      "status",
		"/api/v1/alerts?severity=bad":     "severity",
		"/api/v1/devices?state=":          "state",
		"/api/v1/export.csv?state=":       "state",
		"/api/v1/devices?limit=":          "limit",
		"/api/v1/stats?x=1":               "parameter",
		"/api/v1/gateways?x=1":            "parameter",
	} {
		require.Contains(t, r.refused(path, http.StatusBadRequest, "bad_parameter"), word)
	}
}

func TestGatewaysShowTheirAge(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	hb, err := wire.GatewayStatus{
		Gateway: "gw-a", Building: "A栋", Time: r.portal.model.Now() - 60_000, BufferBytes: 25, BufferLimit: 100, LastSeq: 7,
	}.Encode()
	require.NoError(t, err)
	require.NoError(t, r.nc.Publish(wire.StatusSubject("gw-a"), hb))
	r.eventually("heartbeat", func() bool { return len(r.portal.model.Gateways()) == 1 })
	var g struct {
		Total int
		Items []gateway
	}
	r.getJSON("/api/v1/gateways", &g)
	require.Equal(t, 1, g.Total)
	v := g.Items[0]
	require.Equal(t, "gw-a", v.Gateway)
	require.Equal(t, uint64(7), v.LastSeq)
	require.InDelta(t, 0.25, v.BufferUsed, 0.001)
	require.GreaterOrEqual(t, *v.AgeMS, int64(0))
	require.Nil(t, v.HorizonHours)
	require.Nil(t, v.Ledger)
	require.Empty(t, v.Trouble)
	require.LessOrEqual(t, v.ClockOffsetMS, int64(-60_000))
}

func TestStatsAgreeWithWhatHappened(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	ws := r.connect(r.portal.Addr())
	require.NoError(t, ws.WriteJSON(map[string]string{"type": "subscribe_all"}))
	require.NoError(t, ws.WriteJSON(map[string]string{}))
	r.receive(ws)
	now := populate(r)
	r.raise(alert("x", "b07", telemetry.SeverityCritical, telemetry.AlertActive, now))
	w, err := json.Marshal([]telemetry.Window{{Scope: "building", ID: "A栋", Parameter: "temperature", Start: now / 1000 * 1000, WidthMS: 1000, Count: 4, Sum: 90, Min: 20, Max: 25}})
	require.NoError(t, err)
	require.NoError(t, r.nc.Publish(wire.AggregateSubject, w))
	for range 51 {
		r.receive(ws)
	}
	var s stats
	r.eventually("everything is counted", func() bool {
		s = stats{}
		r.getJSON("/api/v1/stats", &s)
		return s.Latency.ToPortal != nil && s.Latency.ToSocket != nil && len(s.Buildings) == 3 && len(s.Buildings[0].Means) == 1
	})
	require.Equal(t, presences{Total: 51, Online: 50, Offline: 1}, s.Devices)
	require.Equal(t, 1, s.Alerts.Active)
	require.Equal(t, map[string]int{"critical": 1, "high": 0, "medium": 0, "low": 0}, s.Alerts.Severity)
	require.Equal(t, int64(50), s.Readings.Total)
	require.Equal(t, int64(52), s.Pushed.Total, "the readings, the alarm and the answer to what is no request")
	require.Equal(t, int64(1), s.Pushed.Alerts)
	require.Equal(t, clientCounts{Open: 1, Limit: 1000}, s.Clients)
	require.Equal(t, sources{Hub: true, Kafka: true}, s.Sources)
	require.Equal(t, "A栋", s.Buildings[0].Building)
	require.Equal(t, 30, s.Buildings[0].Devices.Total)
	require.Equal(t, 1, s.Buildings[1].Alerts)
	require.InDelta(t, 22.5, s.Buildings[0].Means["temperature"].Mean, 0.001)
}
