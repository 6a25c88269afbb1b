package dashboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// data returns the data of a session's only message.
func (g *stage) data(s *Session) string {
	g.tb.Helper()
	lines := g.lines(s)
	require.Len(g.tb, lines, 1)
	_, data, _ := strings.Cut(lines[0], " {")
	return "{" + data
}

func TestAnySensorCanBeFollowed(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d0", `"co2":{"value":600,"unit":"ppm"}`, ``)
	s, _ := g.follow("sensor/co2")
	mode, _ := g.follow("sensor/mode")
	g.sense("d1", `"mode":{"value":"au\"to"},"co2":{"value":700,"unit":"furlong","status":"unit_unknown"}`, ``)
	g.sense("d2", `"mode":{"value":true}`, ``)
	g.second()
	require.JSONEq(t, `{"values":[[1,700,"furlong"]]}`, g.data(s))
	require.JSONEq(t, `{"values":[[1,"au\"to"],[2,true]]}`, g.data(mode))
	g.sense("d0", `"co2":{"value":600,"unit":"ppm"}`, ``) // the same
	g.sense("d1", `"mode":{"value":"manual"},"co2":{"value":700,"unit":"chain","status":"unit_unknown"}`, ``)
	g.sense("d2", `"co2":{"value":600}`, ``)
	g.second()
	require.JSONEq(t, `{"values":[[1,700,"chain"],[2,600]]}`, g.data(s))
	require.JSONEq(t, `{"values":[[1,"manual"],[2,null]]}`, g.data(mode))
	late, _ := g.open()
	late.Handle([]byte(`{"type":"subscribe","topics":["sensor/co2"]}`))
	g.work()
	require.Contains(t, g.lines(late)[2], `{"values":[[0,600],[1,700,"chain"],[2,600]]}`)
}

// TestSensorIsFoundAgainAfterNoDeviceHadIt: such columns are not looked for in each reading.
func TestSensorIsFoundAgainAfterNoDeviceHadIt(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("sensor/co2", "sensor/battery")
	for n := range 3 {
		g.sense("d", fmt.Sprintf(`"co2":{"value":%d}`, n), `"battery":5`)
		g.second()
		require.Len(t, g.lines(s), 2)
		g.sense("d", ``, ``)
		g.second()
		lines := g.lines(s)
		require.Len(t, lines, 2)
		require.Contains(t, lines[0], `{"values":[[0,null]]}`)
		g.second()
		require.Empty(t, g.p.columns.found)
		g.lines(s)
	}
}

func TestSensorOfThatNameComesBeforeDeviceInfo(t *testing.T) {
	g := newStage(t, Limits{})
	s, _ := g.follow("sensor/battery", "sensor/signal_strength")
	g.sense("d", `"battery":{"value":3.7,"unit":"V"}`, `"battery":85,"signal_strength":-60`)
	g.second()
	require.Contains(t, strings.Join(g.lines(s), "\n"), `{"values":[[0,3.7]]}`)
}

// TestNothingIsKeptOfSensorsThatNobodyFollows also means that names that clients make up cost
// nothing for good.
func TestNothingIsKeptOfSensorsThatNobodyFollows(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d", `"co2":{"value":1},"ph":{"value":2}`, ``)
	var topics []string
	for i := range 500 {
		topics = append(topics, fmt.Sprint("sensor/made_up_", i))
	}
	s, _ := g.follow(append(topics, "sensor/co2")...)
	g.second()
	require.Len(t, g.p.columns.all, 501)
	require.Len(t, g.p.columns.found, 1)
	for name, x := range g.p.columns.all {
		require.Equal(t, name == "co2", len(x.entries) > 0)
	}
	list, err := json.Marshal(topics)
	require.NoError(t, err)
	s.Handle(fmt.Appendf(nil, `{"type":"unsubscribe","topics":%s}`, list))
	g.second()
	require.Len(t, g.p.columns.all, 1)
	g.sense("d", `"co2":{"value":5}`, ``)
	s.Close()
	require.NotContains(t, g.p.topics, "sensor/co2")
	g.second()
	require.Empty(t, g.p.columns.all)
	again, _ := g.open()
	again.Handle([]byte(`{"type":"subscribe","topics":["sensor/co2"]}`))
	g.work()
	require.Contains(t, g.lines(again)[2], `{"values":[[0,5]]}`)
}

// TestIndexOfARemovedDeviceServesAnother: a row replaces all that is known of its index.
func TestIndexOfARemovedDeviceServesAnother(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("old", `"co2":{"value":1},"ph":{"value":7}`, ``)
	fleet, _ := g.follow("fleet")
	s, _ := g.follow("sensor/co2")
	ph, _ := g.follow("sensor/ph")
	device, _ := g.follow("device/old")
	g.model.Remove("old", 0)
	g.work()
	lines := g.lines(device)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `"reading":null,"state":4`)
	g.sense("new", `"co2":{"value":2}`, ``)
	g.second()
	require.Contains(t, g.data(fleet), `{"devices":[[0,"new",`)
	require.JSONEq(t, `{"values":[[0,2]]}`, g.data(s))
	require.JSONEq(t, `{"values":[[0,null]]}`, g.data(ph))
	require.Empty(t, g.lines(device), "the reading is another device's")
	g.sense("old", `"co2":{"value":3}`, ``)
	g.work()
	lines = g.lines(device)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `"co2":{"value":3}`)
}

func TestFollowersOfADeviceGetItsNewName(t *testing.T) {
	g := newStage(t, Limits{})
	g.sense("d", ``, ``)
	s, _ := g.follow("device/d")
	other, _ := g.follow("device/other")
	g.model.ApplyMeta(telemetry.DeviceMeta{DeviceID: "d", Name: "东泵", Revision: 1})
	g.work()
	lines := g.lines(s)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "snapshot device/d")
	require.Contains(t, lines[0], `"name":"东泵"`)
	require.Empty(t, g.lines(other))
}

func TestTopicSensorsGoesOutWhenItHasChanged(t *testing.T) {
	g := newStage(t, Limits{})
	list := []string{"co2"}
	g.p.opts.Sensors = func() any { return map[string]any{"items": list} }
	s, _ := g.follow("sensors")
	g.second()
	require.Empty(t, g.lines(s))
	list = append(list, "ph")
	g.second()
	require.JSONEq(t, `{"items":["co2","ph"]}`, g.data(s))
	g.second()
	require.Empty(t, g.lines(s))
}

// BenchmarkSensorColumns shows what following some of a device's sensors costs: 10,000
// devices with a new reading each, of the contract's five sensors or of 40.
func BenchmarkSensorColumns(b *testing.B) {
	const devices = 10_000
	for _, c := range []struct {
		name           string
		sensors, names int
	}{{"5 sensors, 1 followed", 5, 1}, {"5 sensors, 5 followed", 5, 5}, {"40 sensors, 1 followed", 40, 1}, {"40 sensors, 40 followed", 40, 40}} {
		b.Run(c.name, func(b *testing.B) {
			g := newStage(b, Limits{})
			var topics, sensors []string
			for i := range c.names {
				topics = append(topics, fmt.Sprint("sensor/s", i))
			}
			for i := range c.sensors {
				sensors = append(sensors, fmt.Sprintf(`"s%d":{"value":%%[1]d.5,"unit":"m"}`, i))
			}
			g.follow(topics...)
			format := `{"device_id":"%[2]s","timestamp":%[1]d,"location":{"building":"A"},"sensors":{` + strings.Join(sensors, ",") + `}}`
			var r telemetry.Reading
			require.NoError(b, wire.DecodeReading(fmt.Appendf(nil, format, 1, "d"), &r, nil))
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				for i := range devices {
					id := fmt.Sprintf("device_%05d", i)
					g.apply(wire.FrameEntry{Device: id, Timestamp: int64(n + 1), Received: int64(n + 1), Payload: fmt.Appendf(nil, format, n+1, id)})
				}
				b.StartTimer()
				g.p.scan(int64(n), true)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/devices, "ns/device")
		})
	}
}
