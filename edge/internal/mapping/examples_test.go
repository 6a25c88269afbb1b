package mapping

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	folder   = "../../../deploy/mappings/"
	building = "A栋"
)

// received is when the messages of tests arrive: 2026-11-26 09:30:05 UTC.
var received = time.UnixMilli(1795685405000)

func schema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	s, err := jsonschema.NewCompiler().Compile(folder + "mappings.schema.json")
	require.NoError(tb, err)
	return s
}

// validate checks a YAML file against the schema.
func validate(s *jsonschema.Schema, file []byte) error {
	var v any
	if err := yaml.Unmarshal(file, &v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// mapperOf returns a mapper of a file.
func mapperOf(tb testing.TB, file string) *Mapper {
	tb.Helper()
	m, err := New(Options{File: file, Building: building, Log: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	return m
}

// mapperWith returns a mapper of a file with that text.
func mapperWith(tb testing.TB, text string) *Mapper {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "mappings.yaml")
	require.NoError(tb, os.WriteFile(file, []byte(text), 0o600))
	return mapperOf(tb, file)
}

// outcome maps a message and describes the result: a reading a line without its location's
// building and floor 0, then the refusal.
func outcome(tb testing.TB, m *Mapper, topic string, payload []byte) string {
	tb.Helper()
	r := m.Map(Topics, topic, payload, received)
	if r == nil {
		return "no mapping"
	}
	defer r.Release()
	var lines []string
	for _, x := range r.Readings {
		var back telemetry.Reading
		require.NoError(tb, wire.DecodeReading(x.Payload, &back, nil), "%s", x.Payload)
		require.Equal(tb, x.Device, back.DeviceID)
		lines = append(lines, string(x.Payload))
	}
	if r.Refusal != nil {
		lines = append(lines, r.Refusal.Error())
	}
	if len(lines) == 0 {
		return "ignored"
	}
	return strings.Join(lines, "\n")
}

func payloadOf(tb testing.TB, sample string) []byte {
	tb.Helper()
	if text, inline := strings.CutPrefix(sample, "="); inline {
		return []byte(text)
	}
	data, err := os.ReadFile(folder + "samples/" + sample)
	require.NoError(tb, err)
	return data
}

// example is a message for the mappings of an example file.
type example struct {
	file, topic, sample string // a sample that starts with = is the payload itself
}

// TestExamplesMapTheirSamples compares the readings of each sample, in the order of the
// list, with testdata/examples.golden.
func TestExamplesMapTheirSamples(t *testing.T) {
	mappers := map[string]*Mapper{}
	used := map[string]bool{}
	var got strings.Builder
	for _, x := range examples {
		if mappers[x.file] == nil {
			mappers[x.file] = mapperOf(t, folder+x.file+".yaml")
		}
		m := mappers[x.file]
		r := m.Map(Topics, x.topic, payloadOf(t, x.sample), received)
		require.NotNil(t, r, "%s: %s has no mapping", x.file, x.topic)
		used[x.file+" "+r.Mapping], used[x.sample] = true, true
		r.Release()
	}
	for name, m := range mappers {
		mappers[name] = mapperOf(t, folder+name+".yaml")
		for _, x := range m.current.Load().Mappings {
			require.True(t, used[name+" "+x.ID], "no sample shows mapping %s of %s.yaml", x.ID, name)
		}
	}
	for _, x := range examples {
		fmt.Fprintf(&got, "%s %s %s\n%s\n\n", x.file, x.topic, x.sample, outcome(t, mappers[x.file], x.topic, payloadOf(t, x.sample)))
	}
	golden(t, "examples.golden", got.String())
	for _, dir := range []struct{ pattern, suffix string }{{"*.yaml", ".yaml"}, {"samples/*", ""}} {
		files, err := filepath.Glob(folder + dir.pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			name := strings.TrimSuffix(filepath.Base(f), dir.suffix)
			require.True(t, used[name] || mappers[name] != nil, "%s is not tried", f)
		}
	}
}

func TestExamplesAreValidByTheSchema(t *testing.T) {
	s := schema(t)
	files, err := filepath.Glob(folder + "*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		require.NoError(t, validate(s, data), f)
		set, err := Load(data, building)
		require.NoError(t, err, f)
		require.NotEmpty(t, set.Mappings)
	}
}

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares got with testdata/name, or rewrites the file with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

var examples = []example{
	{"zigbee2mqtt", "zigbee2mqtt/hall-1", "zigbee2mqtt.json"},
	{"zigbee2mqtt", "zigbee2mqtt/plug", "zigbee2mqtt-plug.json"},
	{"zigbee2mqtt", "zigbee2mqtt/客厅", "zigbee2mqtt.json"},
	{"zigbee2mqtt", "zigbee2mqtt/hall-1/availability", "zigbee2mqtt-availability.json"},
	{"zigbee2mqtt", "zigbee2mqtt/bridge/state", `={"state":"online"}`},
	{"zigbee2mqtt", "zigbee2mqtt/button", `={"action":"single","battery":80}`},
	{"tasmota", "tele/sonoff-7/SENSOR", "tasmota-sensor.json"},
	{"tasmota", "tele/sonoff-7/SENSOR", "tasmota-energy.json"},
	{"tasmota", "tele/sonoff-7/STATE", "tasmota-state.json"},
	{"tasmota", "tele/sonoff-7/LWT", "=Offline"},
	{"tasmota", "tele/sonoff-7/LWT", "=Online"},
	{"tasmota", "stat/sonoff-7/RESULT", `={"POWER":"ON"}`},
	{"esphome", "boiler/sensor/temperature/state", "=71.25"},
	{"esphome", "boiler/sensor/pm_2_5/state", "=12"},
	{"esphome", "boiler/sensor/temperature/state", "=nan"},
	{"esphome", "boiler/binary_sensor/door/state", "=ON"},
	{"esphome", "boiler/status", "=offline"},
	{"esphome", "boiler/debug", "=[I][wifi]: connected"},
	{"shelly", "shellies/shellyplug-s-7A8B9C/relay/0", "=on"},
	{"shelly", "shellies/shellyplug-s-7A8B9C/relay/0/power", "=43.11"},
	{"shelly", "shellies/shellyplug-s-7A8B9C/relay/0/energy", "=1230"},
	{"shelly", "shellies/shellyht-E1F2A3/sensor/temperature", "=21.88"},
	{"shelly", "shellies/shellyht-E1F2A3/online", "=false"},
	{"shelly", "shellies/announce", "={}"},
	{"shelly", "shellypro4pm-f008d1d8b8b8/events/rpc", "shelly2-rpc.json"},
	{"shelly", "shellypro4pm-f008d1d8b8b8/events/rpc", "shelly2-cloud.json"},
	{"shelly", "shellypro4pm-f008d1d8b8b8/status/switch:0", "shelly2-switch.json"},
	{"shelly", "shellypro4pm-f008d1d8b8b8/online", "=false"},
	{"shelly", "shellypro4pm-f008d1d8b8b8/status/wifi", "={}"},
	{"milesight", "milesight/uplink", "milesight.json"},
	{"milesight", "application/1/device/24e124725c140542/event/up", "chirpstack.json"},
	{"milesight", "application/1/device/24e124725c140542/event/join", "={}"},
	{"thingsboard", "v1/gateway/telemetry", "thingsboard.json"},
	{"thingsboard", "v1/gateway/connect", `={"device":"Device A"}`},
	{"sparkplug", "spBv1.0/line/DDATA/press/motor", "sparkplug-ddata.bin"},
	{"sparkplug", "spBv1.0/line/NBIRTH/press", "sparkplug-nbirth.bin"},
	{"sparkplug", "spBv1.0/line/DBIRTH/press/motor", "sparkplug-dbirth.bin"},
	{"sparkplug", "spBv1.0/line/DDATA/press/motor", "sparkplug-ddata.bin"},
	{"sparkplug", "spBv1.0/line/NDEATH/press", "sparkplug-ndeath.bin"},
	{"sparkplug", "spBv1.0/STATE/scada", "={}"},
	{"values", "plant/press/oil_pressure", "=4.2"},
	{"values", "annex/201/press/running", "=ON"},
	{"values", "plant/press/mode", "=自动"},
	{"values", "plant/press/mode", "=n/a"},
}
