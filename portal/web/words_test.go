package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
)

// TestWordsFindWhatThePageFinds: the file is that of the page's own test.
func TestWordsFindWhatThePageFinds(t *testing.T) {
	raw, err := os.ReadFile("../ui/test/data/words.json")
	require.NoError(t, err)
	var want struct {
		Devices []struct {
			ID, Name, Building, Room, Model, Gateway string
			Floor                                    int
			Tags                                     []string
		}
		Found map[string][]string
	}
	require.NoError(t, json.Unmarshal(raw, &want))
	m := state.New(state.Options{})
	for _, d := range want.Devices {
		statetest.Apply(t, m, d.Gateway, wire.FrameEntry{
			Device: d.ID, Timestamp: 1, Received: 1,
			Payload: fmt.Appendf(nil, `{"device_id":%q,"timestamp":1,"location":{"building":%q,"floor":%d,"room":%q},"sensors":{},"device_info":{"model":%q}}`,
				d.ID, d.Building, d.Floor, d.Room, d.Model),
		})
		m.ApplyMeta(telemetry.DeviceMeta{DeviceID: d.ID, Name: d.Name, Tags: d.Tags, Revision: 1})
	}
	require.Greater(t, len(want.Found), 10)
	for q, ids := range want.Found {
		words := readWords(q)
		got := []string{}
		m.Each(func(d *state.Device) {
			if matches(d, words) {
				got = append(got, d.ID)
			}
		})
		require.ElementsMatch(t, ids, got, q)
	}
}

func TestDevicesByRoomConditionBatteryAndOrderOfTheExport(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := r.portal.model.Now()
	var entries []wire.FrameEntry
	for i, info := range []string{`"battery":20,"signal_strength":-80`, `"battery":0,"signal_strength":-40`, `"battery":21`, `"signal_strength":-90`} {
		entries = append(entries, wire.FrameEntry{
			Device: fmt.Sprint("d", i), Timestamp: now, Received: now, ClockOffset: int64(i/3) * 90_000,
			Payload: fmt.Appendf(nil, `{"device_id":"d%d","timestamp":%d,"location":{"building":"A栋","floor":7,"room":"70%d"},"sensors":{},"device_info":{%s}}`, i, now, i, info),
		})
	}
	r.publish("gw-a", entries...)
	r.eventually("4 devices", func() bool { return r.portal.model.Stats().Devices.Total == 4 })
	for query, want := range map[string][]string{
		"room=702":                          {"d2"},
		"q=" + url.QueryEscape("A栋 702"):    {"d2"},
		"condition=low_battery":             {"d0"},
		"condition=weak_signal":             {"d0", "d3"},
		"condition=clock_off":               {"d3"},
		"condition=weak_signal,low_battery": {"d0"},
		"sensor=battery":                    {"d0", "d1", "d2"},
		"sort=-sensors.battery":             {"d2", "d0", "d1", "d3"},
		"sensor=signal_strength&max=-80":    {"d0", "d3"},
		"sort=sensors.signal_strength":      {"d3", "d0", "d1", "d2"},
	} {
		var got devicesAnswer
		r.getJSON("/api/v1/devices?"+query, &got)
		require.Equal(t, want, got.ids(), query)
	}
	require.Regexp(t, `(?s)d2,.*d0,.*d1,.*d3,`, r.get("/api/v1/export.csv?sort=-sensors.battery").body)
	r.refused("/api/v1/devices?condition=tired", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/export.csv?sort=tired", http.StatusBadRequest, "bad_parameter")
}
