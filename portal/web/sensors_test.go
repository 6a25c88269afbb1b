package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
)

// sensing returns a live entry with these sensors, as JSON.
func sensing(id string, ts, offset int64, sensors string) wire.FrameEntry {
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: ts, ClockOffset: offset, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":1,"room":"101"},"sensors":{%s}}`, id, ts+offset, sensors)}
}

// described writes to the topic of names as core does.
func (r *rig) described(metas ...telemetry.DeviceMeta) {
	r.tb.Helper()
	for _, m := range metas {
		raw, err := json.Marshal(m)
		require.NoError(r.tb, err)
		kafkatest.Produce(r.tb, r.brokers, r.cfg.DeviceMeta, -1, kafkatest.Record{Key: []byte(m.DeviceID), Value: raw})
	}
}

// mixed fills a plant with devices of several kinds.
func mixed(r *rig) (now int64) {
	r.tb.Helper()
	now = r.portal.model.Now()
	r.publish("gw-a",
		sensing("air", now, 0, `"co2":{"value":800,"unit":"ppm"},"temperature":{"value":21.5,"unit":"°C"}`),
		sensing("motor", now, 0, `"vibration":{"value":4.5,"unit":"mm/s"},"motor_temp":{"value":60,"unit":"°C"},"running":{"value":true},"mode":{"value":"=auto"}`),
		sensing("odd", now, 3_600_000, `"co2":{"value":7,"unit":"furlong","status":"unit_unknown"},"glow":{"value":3,"unit":"blip"},"broken":{"value":[]}`),
		sensing("odd2", now, 0, `"co2":{"value":420,"unit":"ppm"},"glow":{"value":4,"unit":"blop"}`),
		sensing("odd3", now, 0, `"glow":{"value":5,"unit":"blip"}`),
	)
	r.eventually("five devices", func() bool { return r.portal.model.Stats().Devices.Total == 5 })
	return now
}

func TestSensorsOfThePlantAndOfTheCatalogue(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	mixed(r)
	var got list[sensor]
	r.getJSON("/api/v1/sensors?occurring=true", &got)
	var names []string
	by := map[string]sensor{}
	for _, s := range got.Items {
		names = append(names, s.Name)
		by[s.Name] = s
	}
	require.Equal(t, []string{"temperature", "co2", "glow", "mode", "motor_temp", "running", "vibration"}, names)
	co2 := by["co2"]
	require.Equal(t, "co2", co2.Kind)
	require.Equal(t, "ppm", co2.Unit)
	require.Equal(t, "二氧化碳", co2.Zh)
	require.Equal(t, 3, co2.Devices)
	require.Equal(t, 1, co2.UnitUnknown)
	require.InDelta(t, 0, *co2.Min, 0)
	require.NotNil(t, co2.Limits)
	require.Equal(t, "temperature", by["motor_temp"].Kind)
	require.Equal(t, sensors.Text, by["mode"].Value)
	require.Equal(t, sensors.Boolean, by["running"].Value)
	require.Equal(t, sensor{
		Name: "glow", Value: sensors.Number, Unit: "blip", Zh: "glow", En: "glow", Decimals: 2, Devices: 3, Limits: []limit{},
	}, by["glow"])

	r.getJSON("/api/v1/sensors", &got)
	require.Len(t, got.Items, got.Total)
	require.Equal(t, "humidity", got.Items[1].Name)
	require.Zero(t, got.Items[1].Devices)
	require.Greater(t, got.Total, 40)
	all := got.Total
	r.getJSON("/api/v1/sensors?occurring=false", &got)
	require.Equal(t, all-7, got.Total)
	r.refused("/api/v1/sensors?occurring=maybe", http.StatusBadRequest, "bad_parameter")
}

func TestLimitsAreThoseOfTheLastAnswer(t *testing.T) {
	answers := []string{`[`, `[{"parameter":"co2","operator":">","value":1000,"severity":"medium","rule":"co2_high","everywhere":true},` +
		`{"parameter":"co2","operator":">","value":2000,"severity":"high","rule":"co2_high_high","everywhere":false}]`, `[]`}
	var l ruleLimits
	l.ask = func(_ context.Context, subject string, _ []byte) ([]byte, error) {
		require.Equal(t, wire.LimitsSubject, subject)
		next := answers[0]
		answers = answers[1:]
		return []byte(next), nil
	}
	require.Error(t, l.load(t.Context()))
	require.Equal(t, []limit{}, l.of("co2"))
	require.NoError(t, l.load(t.Context()))
	want := []limit{{">", 1000, telemetry.SeverityMedium, "co2_high", true}, {">", 2000, telemetry.SeverityHigh, "co2_high_high", false}}
	require.Equal(t, want, l.of("co2"))
	require.Equal(t, []limit{}, l.of("vibration"))
	l.ask = func(context.Context, string, []byte) ([]byte, error) { return nil, feed.ErrNoResponder }
	require.ErrorIs(t, l.load(t.Context()), feed.ErrNoResponder)
	require.Equal(t, want, l.of("co2"), "core is away")
	l.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(answers[0]), nil }
	require.NoError(t, l.load(t.Context()))
	require.Empty(t, l.of("co2"), "the rule is gone")
}

func TestLimitsAreAskedForAtTheStart(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) {
		nc, err := nats.Connect(o.Config.HubURL)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		_, err = nc.Subscribe(wire.LimitsSubject, func(m *nats.Msg) {
			_ = m.Respond([]byte(`[{"parameter":"co2","operator":">","value":1000,"severity":"medium","rule":"co2_high"}]`))
		})
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
	})
	mixed(r)
	r.eventually("the limit", func() bool {
		return strings.Contains(r.get("/api/v1/sensors?occurring=true").body, `"limits":[{"operator":"\u003e","value":1000,"severity":"medium","rule":"co2_high","everywhere":false}]`)
	})
}

// TestLimitsAreAskedForWhenTheRulesChange has core report a version of its rules.
func TestLimitsAreAskedForWhenTheRulesChange(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	mixed(r)
	var value atomic.Int64
	_, err := r.nc.Subscribe(wire.LimitsSubject, func(m *nats.Msg) {
		_ = m.Respond(fmt.Appendf(nil, `[{"parameter":"co2","operator":">","value":%d,"severity":"medium","rule":"co2_high"}]`, value.Load()))
	})
	require.NoError(t, err)
	require.NoError(t, r.nc.Flush())
	for i, version := range []string{"a", "b", "a"} {
		value.Store(int64(1000 + i))
		for _, program := range []string{"portal", "core"} {
			r.portal.observe(wire.Vitals{Program: program, Instance: "x", Facts: map[string]string{"rules": version}})
		}
		asked := time.Now()
		r.eventually("the limit", func() bool {
			l := r.portal.limits.of("co2")
			return len(l) == 1 && l[0].Value == float64(1000+i)
		})
		require.Less(t, time.Since(asked), limitsEvery/2)
	}
}

func TestFileOfSensorsIsReloaded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sensors.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write("version: 1\nsensors:\n  - {kind: glow, unit: blip, zh: 光, en: Glow}\n")
	r := start(t, func(o *Options) { o.Config.Sensors.SensorsFile = path })
	mixed(r)
	glow := func() (found sensor) {
		var got list[sensor]
		r.getJSON("/api/v1/sensors?occurring=true", &got)
		for _, s := range got.Items {
			if s.Name == "glow" {
				found = s
			}
		}
		return found
	}
	require.Equal(t, "光", glow().Zh)
	write("version: 1\nsensors:\n  - {kind: glow, unit: blip, zh: 亮, en: Glow}\n")
	r.eventually("the new name", func() bool { return glow().Zh == "亮" })
	_, err := New(Options{Config: func() Config { c := r.cfg; c.Sensors.SensorsFile = path + ".missing"; return c }(), Log: r.portal.log})
	require.ErrorContains(t, err, "SENSORS_FILE")
}

func TestDevicesBySensorNameAndTag(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	mixed(r)
	r.described(
		telemetry.DeviceMeta{DeviceID: "motor", Name: "东泵", Description: "by the river", Tags: []string{"pump", "east"}, Revision: 2},
		telemetry.DeviceMeta{DeviceID: "air", Name: "Aula", Revision: 1},
	)
	r.eventually("names", func() bool {
		return r.portal.deviceNow("air", 0).Revision == 1 && r.portal.deviceNow("motor", 0).Revision == 2
	})
	for query, want := range map[string][]string{
		"sensor=co2":                        {"air", "odd", "odd2"},
		"sensor=co2&min=500":                {"air"},
		"sensor=co2&max=500":                {"odd2"},
		"sensor=co2&min=420&max=800":        {"air", "odd2"},
		"sensor=mode":                       {"motor"},
		"sensor=running&min=1":              {"motor"},
		"sensor=nothing":                    nil,
		"tag=pump":                          {"motor"},
		"tag=pum":                           nil,
		"q=RIVER":                           {"motor"},
		"q=east":                            {"motor"},
		"q=aul":                             {"air"},
		"q=" + url.QueryEscape("泵"):         {"motor"},
		"sort=sensors.co2":                  {"odd2", "air", "motor", "odd", "odd3"},
		"sort=-sensors.co2":                 {"air", "odd2", "motor", "odd", "odd3"},
		"sort=-sensors.co2&limit=1":         {"air"},
		"sort=name":                         {"air", "odd", "odd2", "odd3", "motor"},
		"sort=-name":                        {"motor", "odd3", "odd2", "odd", "air"},
		"sort=sensors.running&sensor=glow":  {"odd", "odd2", "odd3"},
		"sort=sensors.presence&sensor=glow": {"odd", "odd2", "odd3"},
	} {
		var got devicesAnswer
		r.getJSON("/api/v1/devices?"+query, &got)
		var ids []string
		for _, d := range got.Items {
			ids = append(ids, d.DeviceID)
		}
		require.Equal(t, want, ids, query)
	}
	r.raise(alert("x1", "motor", telemetry.SeverityHigh, telemetry.AlertActive, r.portal.model.Now()))
	var alarms list[json.RawMessage]
	r.getJSON("/api/v1/alerts?q="+url.QueryEscape("泵"), &alarms)
	require.Equal(t, 1, alarms.Total, "alarms are found by the name too")
	for _, query := range []string{"sensor=CO2", "sensor=", "min=5", "sensor=co2&min=warm", "sensor=co2&max=NaN", "sort=sensors.", "sort=sensors.CO2", "sort=co2", "sort=sensors"} {
		require.NotEmpty(t, r.refused("/api/v1/devices?"+query, http.StatusBadRequest, "bad_parameter"), query)
	}
}

func TestDeviceShowsItsClockItsNameAndItsFlaws(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := mixed(r)
	r.described(telemetry.DeviceMeta{DeviceID: "odd", Name: "Odd", Tags: []string{"x"}, Revision: 1})
	var got deviceAnswer
	r.eventually("a name", func() bool {
		r.getJSON("/api/v1/devices/odd", &got)
		return got.Name == "Odd"
	})
	require.Equal(t, int64(3_600_000), got.ClockOffsetMS)
	require.Equal(t, now, got.ReadingTime)
	require.Equal(t, now, got.LastSeen)
	require.Equal(t, []string{"sensors.broken.value"}, got.Flaws)
	require.Equal(t, []string{"x"}, got.Tags)
	a := r.get("/api/v1/devices/air")
	require.Contains(t, a.body, `"name":"","description":"","tags":[],"revision":0`)
	require.NotContains(t, a.body, "clock_offset_ms")
	require.NotContains(t, a.body, "flaws")
	kafkatest.Produce(t, r.brokers, r.cfg.DeviceMeta, -1, kafkatest.Record{Key: []byte("odd")})
	r.eventually("no name", func() bool { return r.portal.deviceNow("odd", 0).Name == "" })
}

func TestExportHasAColumnForEachSensor(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	mixed(r)
	rows := func(query string) (out []map[string]string, head []string) {
		text := strings.TrimPrefix(r.get("/api/v1/export.csv"+query).body, byteOrderMark)
		all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		for _, row := range all[1:] {
			by := map[string]string{}
			for i, v := range row {
				by[all[0][i]] = v
			}
			out = append(out, by)
		}
		return out, all[0]
	}
	got, head := rows("")
	require.Equal(t, []string{
		"temperature [°C]", "humidity [%]", "pressure [hPa]", "current [A]", "switch_status",
		"co2 [ppm]", "glow [blip]", "mode", "motor_temp [°C]", "running", "vibration [mm/s]",
	}, head[len(exportHead):len(head)-len(exportTail)])
	require.Len(t, got, 5)
	air, motor, odd, odd2 := got[0], got[1], got[2], got[3]
	require.Equal(t, "800", air["co2 [ppm]"])
	require.Equal(t, "21.5", air["temperature [°C]"])
	require.Empty(t, air["mode"])
	require.Equal(t, "'=auto", motor["mode"])
	require.Equal(t, "true", motor["running"])
	require.Equal(t, "7 furlong", odd["co2 [ppm]"])
	require.Equal(t, "3", odd["glow [blip]"])
	require.Equal(t, "4 blop", odd2["glow [blip]"])
	require.Equal(t, "3600000", odd["clock_offset_ms"])
	require.Empty(t, air["clock_offset_ms"])

	_, head = rows("?sensor=vibration&lang=zh")
	require.Equal(t, []string{"温度 [°C]", "相对湿度 [%]", "压力 [hPa]", "电流 [A]", "开关状态", "运行模式", "温度 motor_temp [°C]"}, head[12:19])
}
