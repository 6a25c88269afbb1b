package intake

import (
	"testing"

	"industrial-iot-monitor/internal/sensors"
)

// BenchmarkAccept has the cost of a reading of the contract's five sensors: without a
// catalogue, with one in canonical units and in others, and one whose statuses change.
func BenchmarkAccept(b *testing.B) {
	const head = `{"device_id":"d1","timestamp":1700000000000,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":`
	const tail = `,"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`
	canonical := `{"temperature":{"value":25.6,"unit":"°C","status":"normal"},"humidity":{"value":65.2,"unit":"%","status":"normal"},` +
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},` +
		`"current":{"value":2.5,"unit":"A","status":"normal"}}`
	foreign := `{"temperature":{"value":78.08,"unit":"°F","status":"normal"},"humidity":{"value":0.652,"unit":"ratio","status":"normal"},` +
		`"pressure":{"value":101.325,"unit":"kPa","status":"normal"},"switch_status":{"value":true,"status":"on"},` +
		`"current":{"value":2500,"unit":"mA","status":"normal"}}`
	others := `{"temp_1":{"value":25.6,"unit":"°C","status":"normal"},"co2":{"value":652,"unit":"ppm","status":"normal"},` +
		`"widgets":{"value":1013.25,"unit":"pcs","status":"normal"},"vibration_x":{"value":1.5,"unit":"mm/s","status":"normal"},` +
		`"bearing_temperature":{"value":25,"unit":"°C","status":"normal"}}`
	for _, bb := range []struct {
		name, sensors string
		catalogue     *sensors.Catalogue
	}{
		{"no catalogue", canonical, nil},
		{"canonical units", canonical, sensors.Default()},
		{"names that are no kinds", others, sensors.Default()},
		{"other units", foreign, sensors.Default()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			in := limited()
			in.Sensors = bb.catalogue
			key, value := []byte("d1"), []byte(head+bb.sensors+tail)
			b.ReportAllocs()
			for range b.N {
				if _, refusal := in.Accept(key, value, &Origin{Received: now, Written: now}); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
