package mapping

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// FuzzMap maps anything with every example. It never panics, its readings are readings of
// the contract, and what gives none is refused unless the mapping ignores it.
func FuzzMap(f *testing.F) {
	mappers := map[string]*Mapper{}
	for _, x := range examples {
		f.Add(x.file, x.topic, payloadOf(f, x.sample))
		if mappers[x.file] == nil {
			mappers[x.file] = mapperOf(f, folder+x.file+".yaml")
		}
	}
	f.Add("values", "plant/\xff/x", []byte("\x00"))
	f.Add("thingsboard", "v1/gateway/telemetry", []byte(`{"\u0000":[{"values":{"\ud800":"\ud800"}}]}`))
	f.Fuzz(func(t *testing.T, name, topic string, payload []byte) {
		m := mappers[name]
		if m == nil {
			return
		}
		for _, levels := range []Levels{Topics, Subjects} {
			r := m.Map(levels, topic, payload, received)
			if r == nil {
				continue
			}
			require.LessOrEqual(t, len(r.Readings), MaxReadings)
			size := 0
			for _, x := range r.Readings {
				var back telemetry.Reading
				require.NoError(t, wire.DecodeReading(x.Payload, &back, nil), "%s", x.Payload)
				require.Equal(t, x.Device, back.DeviceID)
				require.Empty(t, back.Flaws)
				size += len(x.Payload)
			}
			require.LessOrEqual(t, size, maxOutput+wire.MaxReadingBytes)
			if len(r.Readings) == 0 && r.Refusal == nil {
				require.True(t, r.mapping.format == Ignore || r.mapping.empty || r.ignored)
			}
			if r.Refusal != nil {
				require.False(t, r.Refusal.Temporary())
				require.NotEmpty(t, r.Refusal.Message)
			}
			r.Release()
		}
	})
}

// BenchmarkMap maps the samples. The limit is 5 µs a message:
//
//	go test ./edge/internal/mapping -bench Map -run -
func BenchmarkMap(b *testing.B) {
	for _, x := range []example{
		{"zigbee2mqtt", "zigbee2mqtt/hall-1", "zigbee2mqtt.json"},
		{"tasmota", "tele/sonoff-7/SENSOR", "tasmota-energy.json"},
		{"esphome", "boiler/sensor/temperature/state", "=71.25"},
		{"shelly", "shellypro4pm-f008d1d8b8b8/status/switch:0", "shelly2-switch.json"},
		{"milesight", "milesight/uplink", "milesight.json"},
		{"thingsboard", "v1/gateway/telemetry", "thingsboard.json"},
		{"sparkplug", "spBv1.0/line/DDATA/press/motor", "sparkplug-ddata.bin"},
	} {
		b.Run(x.file+"/"+filepath.Base(x.sample), func(b *testing.B) {
			m, payload := mapperOf(b, folder+x.file+".yaml"), payloadOf(b, x.sample)
			for _, birth := range []string{"NBIRTH/press nbirth", "DBIRTH/press/motor dbirth"} {
				topic, file, _ := strings.Cut(birth, " ")
				data, err := os.ReadFile(folder + "samples/sparkplug-" + file + ".bin")
				require.NoError(b, err)
				if r := m.Map(Topics, "spBv1.0/line/"+topic, data, received); r != nil {
					r.Release()
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				r := m.Map(Topics, x.topic, payload, received)
				if r.Refusal != nil || len(r.Readings) == 0 {
					b.Fatal(r.Refusal)
				}
				r.Release()
			}
		})
	}
}
