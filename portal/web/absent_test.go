package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// TestAbsentNumbersAreAbsent compares a device that never reported its battery and signal
// with one that reported zero.
func TestAbsentNumbersAreAbsent(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := r.portal.model.Now()
	described := func(id, info string) wire.FrameEntry {
		return wire.FrameEntry{Device: id, Timestamp: now, Received: now, Payload: fmt.Appendf(nil,
			`{"device_id":%q,"timestamp":%d,"location":{"building":"A","floor":null},"sensors":{"current":null}%s}`, id, now, info)}
	}
	r.publish("gw-a", described("none", ""), described("model", `,"device_info":{"model":"m","battery":null}`),
		described("zero", `,"device_info":{"battery":0,"signal_strength":0}`), described("full", `,"device_info":{"battery":85.5,"signal_strength":-45}`))
	r.eventually("the devices", func() bool { return r.portal.model.Stats().Devices.Total == 4 })

	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(r.get("/api/v1/export.csv").body, "\ufeff"))).ReadAll()
	require.NoError(t, err)
	cells := map[string][]string{}
	for _, row := range rows {
		at := slices.Index(rows[0], "battery")
		cells[row[0]] = row[at : at+2]
	}
	require.Equal(t, []string{"battery", "signal_strength"}, cells["device_id"])
	for id, want := range map[string]struct {
		rest string
		csv  []string
	}{
		"none":  {`{"model":"","firmware":""}`, []string{"", ""}},
		"model": {`{"model":"m","firmware":""}`, []string{"", ""}},
		"zero":  {`{"model":"","firmware":"","battery":0,"signal_strength":0}`, []string{"0", "0"}},
		"full":  {`{"model":"","firmware":"","battery":85.5,"signal_strength":-45}`, []string{"85.5", "-45"}},
	} {
		var d struct {
			Info json.RawMessage `json:"device_info"`
		}
		r.getJSON("/api/v1/devices/"+id, &d)
		require.Equal(t, want.csv, cells[id], id)
		require.JSONEq(t, want.rest, string(d.Info), id)
	}
}
