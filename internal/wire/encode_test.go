package wire_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// sampleText returns the sample reading of the contract.
func sampleText(tb testing.TB) []byte {
	tb.Helper()
	raw, err := os.ReadFile("testdata/reading.golden")
	require.NoError(tb, err)
	return raw
}

func TestAppendReadingGolden(t *testing.T) {
	r := sampleReading()
	golden(t, "reading.golden", wire.AppendReading(nil, &r))
}

func TestAppendReadingSparse(t *testing.T) {
	r := telemetry.Reading{DeviceID: "d", Timestamp: 1640995200000, Location: telemetry.Location{Building: "B", Floor: -1}}
	const head = `{"device_id":"d","timestamp":1640995200000,"location":{"building":"B","floor":-1,"room":""},`
	sameText(t, head+`"sensors":{}}`, wire.AppendReading(nil, &r))
	r.Info.Model = "m"
	sameText(t, head+`"sensors":{},"device_info":{"model":"m","firmware":""}}`, wire.AppendReading(nil, &r))
	r.Info = telemetry.DeviceInfo{Battery: telemetry.Some(0)}
	sameText(t, head+`"sensors":{},"device_info":{"model":"","firmware":"","battery":0}}`, wire.AppendReading(nil, &r))
	r.Offline = true
	sameText(t, head+`"sensors":{},"device_info":{"model":"","firmware":"","battery":0},"presence":"offline"}`, wire.AppendReading(nil, &r))
	r.Offline = false
	r.Info = telemetry.DeviceInfo{}
	r.Sensors = telemetry.Sensors{{Name: "switch_status", Kind: telemetry.Bool}, {Name: "current", Number: math.NaN()}, {Name: "mode", Kind: telemetry.Text, Text: "自动"}}
	sameText(t, head+`"sensors":{"switch_status":{"value":false},"current":{"value":null},"mode":{"value":"自动"}}}`, wire.AppendReading(nil, &r))
}

// randomReading returns a valid reading that has any text in its strings.
func randomReading(r *rand.Rand) telemetry.Reading {
	str := func(minLen int) string {
		const letters = "aZ0 \"\\/\b\f\n\r\t\x01\x1f\x7f<>&é栋\u2028\uFFFD😀"
		runes := []rune(letters)
		out := make([]rune, minLen+r.IntN(12))
		for i := range out {
			out[i] = runes[r.IntN(len(runes))]
		}
		return string(out)
	}
	reading := telemetry.Reading{
		DeviceID:  "device_" + strconv.Itoa(r.IntN(1e6)),
		Timestamp: telemetry.MinTimestamp + r.Int64N(telemetry.MaxTimestamp-telemetry.MinTimestamp),
		Location:  telemetry.Location{Building: str(1), Floor: r.IntN(200) - 100, Room: str(0)},
		Info:      telemetry.DeviceInfo{Model: str(0), Firmware: str(0), Battery: randomOptional(r), SignalStrength: randomOptional(r), IntervalS: float64(r.IntN(3)) * 300.5},
	}
	for _, name := range []string{"temperature", "humidity", "pressure", "current", "co2", "p_1"} {
		if r.IntN(4) > 0 {
			reading.Sensors = append(reading.Sensors, telemetry.Sensor{Name: name, Number: randomFloat(r), Unit: str(0), Status: str(0)})
		}
	}
	for _, name := range []string{"switch_status", "door"} {
		if r.IntN(4) > 0 {
			reading.Sensors = append(reading.Sensors, telemetry.Sensor{Name: name, Kind: telemetry.Bool, Number: float64(r.IntN(2)), Status: str(0)})
		}
	}
	if r.IntN(4) > 0 {
		reading.Sensors = append(reading.Sensors, telemetry.Sensor{Name: "mode", Kind: telemetry.Text, Text: str(0)})
	}
	r.Shuffle(len(reading.Sensors), func(i, j int) { reading.Sensors[i], reading.Sensors[j] = reading.Sensors[j], reading.Sensors[i] })
	return reading
}

func randomOptional(r *rand.Rand) telemetry.Optional {
	if r.IntN(4) == 0 {
		return telemetry.Optional{}
	}
	return telemetry.Some(randomFloat(r))
}

func randomFloat(r *rand.Rand) float64 {
	if r.IntN(2) == 0 {
		return math.Round(r.NormFloat64()*1e6) / math.Pow10(r.IntN(7))
	}
	for {
		if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
}

func TestAppendReadingRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var buf []byte
	for range 1000 {
		want := randomReading(r)
		buf = wire.AppendReading(buf[:0], &want)
		require.True(t, checkDecode(t, buf), string(buf))
		var got telemetry.Reading
		require.NoError(t, wire.DecodeReading(buf, &got, nil))
		require.Equal(t, want, got)
	}
}

// valueText returns v as AppendReading writes it.
func valueText(v float64) string {
	r := sampleReading()
	r.Info.Battery = telemetry.Some(v)
	_, tail, _ := strings.Cut(string(wire.AppendReading(nil, &r)), `"battery":`)
	text, _, _ := strings.Cut(tail, ",")
	return text
}

// TestNumbersAreShortest compares with strconv's shortest form.
func TestNumbersAreShortest(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	values := []float64{
		0, math.Copysign(0, -1), 85, -45, 0.1, 1e15, 999999999999999, 1e20, 1e21, 1e-6, 9.9e-7, 1e-5, 0.00005, 123456.7891,
		math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1.0000000000000002, -0.5, -99.999,
	}
	for range 5000 {
		values = append(values, randomFloat(r))
	}
	for _, v := range values {
		format := byte('f')
		if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
			format = 'e'
		}
		require.Equal(t, strconv.FormatFloat(v, format, -1, 64), valueText(v))
	}
	require.Equal(t, "null", valueText(math.Inf(-1)))
}

func TestInvalidUTF8IsReplaced(t *testing.T) {
	r := sampleReading()
	r.Location.Room = "a\xffb\xe6\xa0"
	var got struct{ Location telemetry.Location }
	require.NoError(t, json.Unmarshal(wire.AppendReading(nil, &r), &got))
	require.Equal(t, "a\uFFFDb\uFFFD\uFFFD", got.Location.Room)
}

func TestAppendReadingDoesNotAllocate(t *testing.T) {
	r := sampleReading()
	buf := wire.AppendReading(nil, &r)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = wire.AppendReading(buf[:0], &r) }))
}
