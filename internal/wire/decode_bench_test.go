package wire_test

import (
	"encoding/json"
	"testing"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func BenchmarkDecodeReading(b *testing.B) {
	raw := sampleText(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var r telemetry.Reading
	var l wire.Layout
	for b.Loop() {
		if err := wire.DecodeReading(raw, &r, &l); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeUnknown decodes a reading with fields outside the contract.
func BenchmarkDecodeUnknown(b *testing.B) {
	raw := append([]byte(`{"site":"north","vendor":{"serial":"A-17","batch":4,"tags":["a","b"],"link":{"rssi":-60,"snr":9.5}},`), sampleText(b)[1:]...)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var r telemetry.Reading
	for b.Loop() {
		if err := wire.DecodeReading(raw, &r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeManySensors decodes a reading with as many sensors as there may be.
func BenchmarkDecodeManySensors(b *testing.B) {
	raw := []byte(with(`"sensors":{}`, `"sensors":`+manySensors(telemetry.MaxSensors)))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var r telemetry.Reading
	for b.Loop() {
		if err := wire.DecodeReading(raw, &r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodingJSON decodes the same text with the standard library, for
// comparison.
func BenchmarkEncodingJSON(b *testing.B) {
	raw := sampleText(b)
	type analog struct {
		Value  float64 `json:"value"`
		Unit   string  `json:"unit"`
		Status string  `json:"status"`
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var r struct {
			DeviceID  string             `json:"device_id"`
			Timestamp int64              `json:"timestamp"`
			Location  telemetry.Location `json:"location"`
			Sensors   struct {
				Temperature, Humidity, Pressure, Current *analog
				Switch                                   *struct {
					Value  bool   `json:"value"`
					Status string `json:"status"`
				} `json:"switch_status"`
			} `json:"sensors"`
			Info telemetry.DeviceInfo `json:"device_info"`
		}
		if err := json.Unmarshal(raw, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendChanged(b *testing.B) {
	raw := sampleText(b)
	var r telemetry.Reading
	var l wire.Layout
	if err := wire.DecodeReading(raw, &r, &l); err != nil {
		b.Fatal(err)
	}
	changes := []wire.SensorChange{{Sensor: 0, Status: "high"}, {Sensor: 1, Status: "normal"}, {Sensor: 2, Status: "normal"}, {Sensor: 4, Status: "normal"}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendChanged(buf[:0], raw, &l, changes)
	}
}

func BenchmarkAppendReading(b *testing.B) {
	var r telemetry.Reading
	if err := wire.DecodeReading(sampleText(b), &r, nil); err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendReading(buf[:0], &r)
	}
}
