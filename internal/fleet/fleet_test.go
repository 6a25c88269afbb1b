package fleet

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// start is an arbitrary day.
const start = int64(1_767_225_600_000)

func newFleet(tb testing.TB, o Options) *Fleet {
	tb.Helper()
	f, err := New(o)
	require.NoError(tb, err)
	return f
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	for name, o := range map[string]Options{
		"no devices":         {},
		"too many":           {Devices: MaxDevices + 1},
		"negative first":     {Devices: 1, First: -1},
		"interval too short": {Devices: 1, Interval: time.Millisecond},
		"negative variance":  {Devices: 1, Variance: -1},
		"variance NaN":       {Devices: 1, Variance: math.NaN()},
		"negative faults":    {Devices: 1, Faults: -1},
		"too many clocks":    {Devices: 1, Clocks: make([]time.Duration, 2)},
		"empty buildings":    {Devices: 1, Buildings: []string{"A", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			require.Error(t, err)
		})
	}
}

func TestBlocksCoverTheFleet(t *testing.T) {
	f := newFleet(t, Options{Devices: 1000, First: 5, Buildings: []string{"A栋", "B栋", "C栋"}})
	next := 0
	for b := range f.Buildings() {
		from, to := f.Block(b)
		require.Equal(t, next, from)
		require.InDelta(t, 1000.0/3, to-from, 1)
		next = to
	}
	require.Equal(t, f.Len(), next)
	require.Equal(t, "device_005", f.ID(0))
	require.Equal(t, "device_1004", f.ID(999))
}

func TestSameSeedSameBytes(t *testing.T) {
	o := Options{Devices: 20, Seed: 7, Variance: 0.1, Faults: 10}
	a, b := newFleet(t, o).Generator(), newFleet(t, o).Generator()
	o.Seed = 8
	other := newFleet(t, o).Generator()
	differ := 0
	for i := range 20 {
		// The order in which readings are made does not matter.
		late := b.Append(nil, i, start+10_000)
		early := b.Append(nil, i, start)
		require.Equal(t, string(early), string(a.Append(nil, i, start)))
		require.Equal(t, string(late), string(a.Append(nil, i, start+10_000)))
		if string(early) != string(other.Append(nil, i, start)) {
			differ++
		}
	}
	require.Equal(t, 20, differ)
}

func TestPartsOfAFleetMatchTheWhole(t *testing.T) {
	whole := newFleet(t, Options{Devices: 10, Seed: 3})
	part := newFleet(t, Options{Devices: 4, First: 6, Seed: 3})
	var a, b telemetry.Reading
	whole.Generator().Reading(8, start, &a)
	part.Generator().Reading(2, start, &b)
	require.Equal(t, a.DeviceID, b.DeviceID)
	require.Equal(t, a.Sensors.Find(telemetry.Humidity), b.Sensors.Find(telemetry.Humidity))
}

func TestAppendMatchesTheContract(t *testing.T) {
	f := newFleet(t, Options{Devices: 3, Variance: 0.1})
	raw := f.Generator().Append(nil, 1, start)
	var got struct {
		DeviceID  string `json:"device_id"`
		Timestamp int64  `json:"timestamp"`
		Location  telemetry.Location
		Sensors   map[string]struct {
			Value  any
			Unit   string
			Status string
		}
		Info telemetry.DeviceInfo `json:"device_info"`
	}
	require.NoError(t, json.Unmarshal(raw, &got), string(raw))
	require.Equal(t, "device_001", got.DeviceID)
	require.Equal(t, start, got.Timestamp)
	require.Equal(t, "A栋", got.Location.Building)
	require.Len(t, got.Sensors, 5)
	for name, unit := range map[string]string{"temperature": "°C", "humidity": "%", "pressure": "hPa", "current": "A", "switch_status": ""} {
		require.Equal(t, unit, got.Sensors[name].Unit, name)
	}
	require.Equal(t, "IOT-SENSOR-V2", got.Info.Model)
}

// TestMixedFleetHasEveryModel checks that each model occurs about as often as it should,
// always with its own sensors, and that some devices send other units.
func TestMixedFleetHasEveryModel(t *testing.T) {
	f := newFleet(t, Options{Devices: 2000, Mixed: true, Variance: 0.1})
	g := f.Generator()
	count, foreign := map[string]int{}, map[string]int{}
	for i := range f.Len() {
		var r, back telemetry.Reading
		raw := g.Append(nil, i, start+int64(i)*1000)
		require.NoError(t, wire.DecodeReading(raw, &back, nil), string(raw))
		g.Reading(i, start+int64(i)*1000, &r)
		require.Equal(t, r, back)
		require.Empty(t, back.Flaws)
		count[r.Info.Model]++
		names := ""
		for _, s := range r.Sensors {
			names += s.Name + " "
			if s.Unit == "°F" || s.Unit == "mA" || s.Unit == "L/min" {
				foreign[r.Info.Model]++
			}
		}
		require.Equal(t, map[string]string{
			"IOT-SENSOR-V2":   "temperature humidity pressure switch_status current ",
			"MOTOR-GUARD-3":   "vibration temperature current speed switch_status mode ",
			"POWER-METER-1P":  "voltage current power energy frequency power_factor ",
			"AIR-QUALITY-6":   "temperature humidity co2 pm2_5 noise ",
			"WATER-QUALITY-5": "flow ph conductivity temperature water_leak ",
		}[r.Info.Model], names)
	}
	total := 0.0
	for _, m := range models {
		require.InDelta(t, m.share*2000, count[m.name], 100, m.name)
		require.Positive(t, foreign[m.name], m.name)
		require.LessOrEqual(t, len(m.channels), maxChannels)
		total += m.share
	}
	require.InDelta(t, 1, total, 1e-9)
}

func TestEnergyNeverRunsBackwards(t *testing.T) {
	c := models[2].channels[models[2].channel("energy")]
	f := newFleet(t, Options{Devices: 1})
	before := 0.0
	for ts := start; ts < start+hour; ts += 7 * second {
		m := &f.Generator().moment
		m.aim(&f.devices[0], ts)
		v := c.value(m)
		require.GreaterOrEqual(t, v, before)
		before = v
	}
}

func TestWrongClocksChangeOnlyTheTimestamp(t *testing.T) {
	o := Options{Devices: 3, Variance: 0.1}
	right := newFleet(t, o).Generator()
	o.Clocks = []time.Duration{-5 * time.Hour, 8 * time.Hour}
	wrong := newFleet(t, o).Generator()
	for i, offset := range []int64{-5 * hour, 8 * hour, 0} {
		var a, b telemetry.Reading
		right.Reading(i, start, &a)
		wrong.Reading(i, start, &b)
		require.Equal(t, start+offset, b.Timestamp)
		b.Timestamp = a.Timestamp
		require.Equal(t, a, b)
	}
}

func TestRoomNumbersMatchTheirFloor(t *testing.T) {
	for _, n := range []int{1, 9, 10, 334, 33_334} {
		for k := range n {
			loc := place("A栋", k, n, 1)
			require.GreaterOrEqual(t, loc.Floor, 1)
			require.LessOrEqual(t, loc.Floor, floors)
			require.Regexp(t, fmt.Sprintf(`^%d\d\d$`, loc.Floor), loc.Room)
		}
	}
}

// beyond returns the default alarm that a sensor's value raises, "" for none.
func beyond(s *telemetry.Sensor) string {
	v := s.Number
	switch s.Unit {
	case "°F":
		v = (v - 32) / 1.8
	case "mA":
		v /= 1000
	}
	switch {
	case s.Name == telemetry.Temperature && v > 80:
		return "temperature_high"
	case s.Name == telemetry.Temperature && v < 0:
		return "temperature_low"
	case s.Name == telemetry.Humidity && v > 90:
		return "humidity_high"
	case s.Name == telemetry.Current && v > 10:
		return "current_high"
	}
	return ""
}

func TestOnlyLabelledFaultsCrossTheLimits(t *testing.T) {
	for name, o := range map[string]Options{
		"slow":       {Interval: 10 * time.Second, Variance: 0.1},
		"ordinary":   {Interval: time.Second, Variance: 0.1},
		"very noisy": {Interval: 2 * time.Second, Variance: 5},
		"mixed":      {Interval: time.Second, Variance: 0.1, Mixed: true},
	} {
		t.Run(name, func(t *testing.T) {
			o.Devices, o.Seed, o.Faults = 60, 11, 30
			f := newFleet(t, o)
			g := f.Generator()
			end := start + 20*minute
			labels := map[string][]Label{}
			kinds := map[string]bool{}
			for _, l := range f.Labels(start, end) {
				labels[l.Device] = append(labels[l.Device], l)
				kinds[l.Type] = true
				require.GreaterOrEqual(t, l.End-l.Start, 3*o.Interval.Milliseconds())
			}
			require.Len(t, kinds, len(faultKinds), "all kinds of faults occur")
			var r telemetry.Reading
			for i := range f.Len() {
				for ts := start; ts <= end; ts += o.Interval.Milliseconds() {
					g.Reading(i, ts, &r)
					checkAgainstLabels(t, &r, labels[r.DeviceID])
				}
			}
		})
	}
}

func checkAgainstLabels(t *testing.T, r *telemetry.Reading, labels []Label) {
	t.Helper()
	may, must := map[string]bool{}, map[string]bool{}
	for _, l := range labels {
		may[l.Type] = may[l.Type] || r.Timestamp > l.Onset && r.Timestamp < l.Recovery
		must[l.Type] = must[l.Type] || r.Timestamp >= l.Start && r.Timestamp <= l.End
	}
	for i := range r.Sensors {
		s := &r.Sensors[i]
		if got := beyond(s); got != "" {
			require.True(t, may[got], "%s %s=%v %s at %d is not labelled", r.DeviceID, s.Name, s.Number, s.Unit, r.Timestamp)
			delete(must, got)
		}
	}
	for kind, is := range must {
		require.False(t, is, "%s: %s at %d does not show", r.DeviceID, kind, r.Timestamp)
	}
}

func TestFaultRateMatchesOptions(t *testing.T) {
	f := newFleet(t, Options{Devices: 5000, Faults: 40})
	n := len(f.Labels(start, start+hour))
	require.InEpsilon(t, 40*60, n, 0.1)
	require.Empty(t, newFleet(t, Options{Devices: 50}).Labels(start, start+hour))
}

func TestSensorsAreCorrelated(t *testing.T) {
	f := newFleet(t, Options{Devices: 1, Seed: 4, Variance: 0.02})
	g := f.Generator()
	var temperature, humidity, current []float64
	var r telemetry.Reading
	for ts := start; ts < start+2*day; ts += minute {
		g.Reading(0, ts, &r)
		temperature = append(temperature, r.Sensors.Find(telemetry.Temperature).Number)
		humidity = append(humidity, r.Sensors.Find(telemetry.Humidity).Number)
		current = append(current, r.Sensors.Find(telemetry.Current).Number)
		require.Equal(t, r.Sensors.Find(telemetry.Current).Number > 0.1, r.Sensors.Find(telemetry.SwitchStatus).Number != 0)
	}
	require.Greater(t, correlation(temperature, current), 0.3)
	require.Less(t, correlation(temperature, humidity), -0.5)
}

func correlation(a, b []float64) float64 {
	var sa, sb, saa, sbb, sab float64
	n := float64(len(a))
	for i := range a {
		sa, sb = sa+a[i], sb+b[i]
		saa, sbb, sab = saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	return (n*sab - sa*sb) / math.Sqrt((n*saa-sa*sa)*(n*sbb-sb*sb))
}

func TestVarianceScalesTheNoise(t *testing.T) {
	spread := func(variance float64) float64 {
		g := newFleet(t, Options{Devices: 1, Variance: variance}).Generator()
		var before, sum float64
		var r telemetry.Reading
		for k := range 2000 {
			g.Reading(0, start+int64(k)*100, &r)
			v := r.Sensors.Find(telemetry.Temperature).Number
			if k > 0 {
				sum += math.Abs(v - before)
			}
			before = v
		}
		return sum
	}
	require.Greater(t, spread(0.5), 3*spread(0.1))
	require.Less(t, spread(0), spread(0.1)/5)
}

func BenchmarkAppend(b *testing.B) {
	f := newFleet(b, Options{Devices: 1000, Variance: 0.1, Faults: 3})
	g := f.Generator()
	var buf []byte
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		buf = g.Append(buf[:0], n%1000, start+int64(n))
	}
	b.SetBytes(int64(len(buf)))
}
