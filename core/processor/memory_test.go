package processor

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// models are the sensors and device_info of the devices of a plant, as the simulator's fleet has
// them.
var models = []struct{ sensors, info string }{
	{
		`"temperature":{"value":24,"unit":"°C"},"humidity":{"value":45.9,"unit":"%"},"pressure":{"value":1010.65,"unit":"hPa"},"switch_status":{"value":true},"current":{"value":5.41,"unit":"A"}`,
		`"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":13,"signal_strength":-46`,
	},
	{
		`"voltage":{"value":230,"unit":"V"},"current":{"value":2.37,"unit":"A"},"power":{"value":0.474,"unit":"kW"},"energy":{"value":125517.98,"unit":"kWh"},"frequency":{"value":50.02,"unit":"Hz"},"power_factor":{"value":0.86,"unit":"1"}`,
		`"model":"POWER-METER-1P","firmware":"1.2.3","signal_strength":-69`,
	},
	{
		`"flow":{"value":20.23,"unit":"m³/h"},"ph":{"value":7.37,"unit":"pH"},"conductivity":{"value":562,"unit":"µS/cm"},"temperature":{"value":57.6,"unit":"°F"},"water_leak":{"value":false}`,
		`"model":"WATER-QUALITY-5","firmware":"1.2.3","battery":44,"signal_strength":-58`,
	},
	{
		`"temperature":{"value":68,"unit":"°F"},"humidity":{"value":52.7,"unit":"%"},"co2":{"value":463,"unit":"ppm"},"pm2_5":{"value":0.02,"unit":"mg/m³"},"noise":{"value":46.6,"unit":"dB"}`,
		`"model":"AIR-QUALITY-6","firmware":"1.2.3","battery":78,"signal_strength":-73`,
	},
	{
		`"vibration":{"value":1.69,"unit":"mm/s"},"temperature":{"value":38.3,"unit":"°C"},"current":{"value":4.4,"unit":"A"},"speed":{"value":2929,"unit":"rpm"},"switch_status":{"value":true},"mode":{"value":"auto"}`,
		`"model":"MOTOR-GUARD-3","firmware":"1.2.3","signal_strength":-78`,
	},
}

// BenchmarkDeviceMemory is what a device of a plant with 100,000 devices of five models in three
// buildings costs in memory, after two minutes of readings.
func BenchmarkDeviceMemory(b *testing.B) {
	const devices = 100_000
	for b.Loop() {
		b.ReportMetric(float64(heldFor(b, devices))/devices, "B/device")
	}
}

// TestDeviceStaysSmall holds the size class of the allocator that a device is in: the next is 576.
func TestDeviceStaysSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(device{}), uintptr(512))
}

// heldFor returns the bytes that a task with so many devices keeps.
func heldFor(tb testing.TB, devices int) int64 {
	tb.Helper()
	cfg := defaultConfig(tb)
	cfg.HTTPAddr = ""
	p, err := New(Options{Config: cfg, Log: discardLog()})
	require.NoError(tb, err)
	before := liveHeap()
	t := newTask(p, 0, func() {})
	minute := time.Now().Truncate(time.Minute).UnixMilli()
	messages := make([]*sarama.ConsumerMessage, 0, maxChunk)
	for at := minute - 60_000; at < minute+60_000; at += 15_000 { // the windows of the first minute are emitted in the second
		for i := range devices {
			messages = append(messages, plantReading(i, at))
			if len(messages) == maxChunk || i == devices-1 {
				t.process(messages)
				t.pending.pop()
				messages = messages[:0]
			}
		}
		for second := range int64(15) {
			t.tick(at + second*1000)
			t.pending.pop()
		}
	}
	clear(messages[:cap(messages)])
	after := liveHeap()
	require.Len(tb, t.devices, devices)
	runtime.KeepAlive(t)
	return after - before
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // for what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// plantReading is the reading of device i at a time, in a message of its own as Kafka's clients
// make them.
func plantReading(i int, at int64) *sarama.ConsumerMessage {
	id, model := fmt.Sprintf("device_%05d", i), models[i%len(models)]
	return &sarama.ConsumerMessage{
		Topic: "device-data", Offset: at, Timestamp: time.UnixMilli(at), Key: []byte(id),
		Value: fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"%c栋","floor":%d,"room":"%d"},"sensors":{%s},"device_info":{%s}}`,
			id, at, 'A'+i%3, 1+i/3%20, 100*(1+i/3%20)+i/60%40, model.sensors, model.info),
		Headers: []*sarama.RecordHeader{
			{Key: []byte(wire.HeaderGateway), Value: fmt.Appendf(nil, "gw-%c", 'a'+i%3)},
			{Key: []byte(wire.HeaderReceived), Value: strconv.AppendInt(nil, at, 10)},
		},
	}
}
