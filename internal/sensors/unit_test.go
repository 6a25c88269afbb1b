package sensors

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// to returns a kind of a quantity with a canonical unit.
func to(t *testing.T, quantity, unit string) *Kind {
	t.Helper()
	k := &Kind{Name: "x", Value: Number, Unit: unit, Quantity: quantity, Min: math.Inf(-1), Max: math.Inf(1)}
	k.resolve()
	require.NotNil(t, k.spellings, "%s has no unit %q", quantity, unit)
	return k
}

// conversions has a case for each row of the table: what v of the unit is in the
// quantity's base unit, from a source other than the table.
var conversions = []struct {
	quantity, unit string
	v, base        float64
}{
	{"temperature", "°C", 25.6, 25.6},
	{"temperature", "°F", 88, 31.11111111111111},
	{"temperature", "K", 300, 26.85},
	{"temperature", "°R", 559.67, 37.77777777777778},
	{"ratio", "%", 65.2, 65.2},
	{"ratio", "1", 0.652, 65.2},
	{"ratio", "‰", 35, 3.5},
	{"ratio", "ppm", 415, 0.0415},
	{"ratio", "ppb", 50, 0.000005},
	{"pressure", "hPa", 1013.25, 1013.25},
	{"pressure", "Pa", 101325, 1013.25},
	{"pressure", "mPa", 250000, 2.5},
	{"pressure", "kPa", 101.325, 1013.25},
	{"pressure", "MPa", 0.6, 6000},
	{"pressure", "bar", 2.5, 2500},
	{"pressure", "mbar", 1013.25, 1013.25},
	{"pressure", "psi", 14.69594877551345, 1013.25},
	{"pressure", "mmHg", 760, 1013.250144354},
	{"pressure", "inHg", 29.92, 1013.2074890},
	{"pressure", "Torr", 760, 1013.25},
	{"pressure", "atm", 2, 2026.5},
	{"pressure", "at", 1, 980.665},
	{"pressure", "mmH2O", 100, 9.80665},
	{"pressure", "mH2O", 10, 980.665},
	{"pressure", "inH2O", 1, 2.4908891},
	{"current", "A", 2.5, 2.5},
	{"current", "mA", 2500, 2.5},
	{"current", "µA", 1500, 0.0015},
	{"current", "kA", 1.2, 1200},
	{"voltage", "V", 230, 230},
	{"voltage", "mV", 3300, 3.3},
	{"voltage", "µV", 500, 0.0005},
	{"voltage", "kV", 10.5, 10500},
	{"voltage", "MV", 0.11, 110000},
	{"power", "W", 60, 60},
	{"power", "mW", 250, 0.25},
	{"power", "kW", 7.5, 7500},
	{"power", "MW", 1.2, 1.2e6},
	{"power", "GW", 0.5, 5e8},
	{"power", "hp", 1, 745.6998715822702},
	{"power", "PS", 1, 735.49875},
	{"power", "BTU/h", 12000, 3516.8528420667},
	{"power", "kcal/h", 1, 1.163},
	{"reactive_power", "var", 10, 10},
	{"reactive_power", "kvar", 1.5, 1500},
	{"reactive_power", "Mvar", 2, 2e6},
	{"apparent_power", "VA", 10, 10},
	{"apparent_power", "kVA", 630, 630000},
	{"apparent_power", "MVA", 2, 2e6},
	{"energy", "Wh", 500, 500},
	{"energy", "mWh", 500, 0.5},
	{"energy", "kWh", 1234.5, 1234500},
	{"energy", "MWh", 2, 2e6},
	{"energy", "GWh", 1, 1e9},
	{"energy", "J", 3600, 1},
	{"energy", "mJ", 3.6e6, 1},
	{"energy", "kJ", 3.6, 1},
	{"energy", "MJ", 3.6, 1000},
	{"energy", "GJ", 3.6, 1e6},
	{"energy", "kcal", 1, 1.163},
	{"energy", "BTU", 1, 0.29307107017222},
	{"reactive_energy", "varh", 1, 1},
	{"reactive_energy", "kvarh", 1, 1000},
	{"reactive_energy", "Mvarh", 1, 1e6},
	{"frequency", "Hz", 50, 50},
	{"frequency", "mHz", 500, 0.5},
	{"frequency", "kHz", 2.4, 2400},
	{"frequency", "MHz", 868, 8.68e8},
	{"frequency", "GHz", 2.4, 2.4e9},
	{"rotation", "rpm", 1480, 1480},
	{"rotation", "r/s", 25, 1500},
	{"rotation", "rad/s", 157.07963267948966, 1500},
	{"rotation", "°/s", 360, 60},
	{"speed", "m/s", 5, 5},
	{"speed", "mm/s", 4.5, 0.0045},
	{"speed", "cm/s", 50, 0.5},
	{"speed", "µm/s", 4500, 0.0045},
	{"speed", "m/min", 30, 0.5},
	{"speed", "km/h", 36, 10},
	{"speed", "mm/h", 3.6, 0.000001},
	{"speed", "in/s", 1, 0.0254},
	{"speed", "ft/s", 10, 3.048},
	{"speed", "ft/min", 100, 0.508},
	{"speed", "mph", 60, 26.8224},
	{"speed", "kn", 10, 5.144444444444445},
	{"acceleration", "m/s²", 9.81, 9.81},
	{"acceleration", "mm/s²", 1500, 1.5},
	{"acceleration", "g", 2, 19.6133},
	{"acceleration", "mg", 500, 4.903325},
	{"acceleration", "cm/s²", 980.665, 9.80665},
	{"acceleration", "ft/s²", 10, 3.048},
	{"flow", "m³/h", 12.5, 12.5},
	{"flow", "m³/min", 0.5, 30},
	{"flow", "m³/s", 0.01, 36},
	{"flow", "m³/d", 240, 10},
	{"flow", "L/h", 1500, 1.5},
	{"flow", "L/min", 50, 3},
	{"flow", "L/s", 2, 7.2},
	{"flow", "mL/min", 500, 0.03},
	{"flow", "gpm", 10, 2.27124707},
	{"flow", "gph", 1000, 3.785411784},
	{"flow", "ft³/min", 100, 169.901079552},
	{"flow", "ft³/h", 1000, 28.316846592},
	{"normal_flow", "Nm³/h", 10, 10},
	{"normal_flow", "NL/min", 500, 30},
	{"normal_flow", "NL/h", 500, 0.5},
	{"volume", "m³", 3, 3},
	{"volume", "L", 250, 0.25},
	{"volume", "mL", 250, 0.00025},
	{"volume", "ML", 1.5, 1500},
	{"volume", "gal", 100, 0.3785411784},
	{"volume", "ft³", 10, 0.28316846592},
	{"length", "m", 2, 2},
	{"length", "mm", 1500, 1.5},
	{"length", "cm", 150, 1.5},
	{"length", "km", 1.5, 1500},
	{"length", "µm", 80, 0.00008},
	{"length", "in", 10, 0.254},
	{"length", "ft", 10, 3.048},
	{"length", "mil", 1, 0.0000254},
	{"mass", "kg", 70, 70},
	{"mass", "g", 500, 0.5},
	{"mass", "mg", 500, 0.0005},
	{"mass", "t", 1.5, 1500},
	{"mass", "lb", 10, 4.5359237},
	{"mass", "oz", 16, 0.45359237},
	{"force", "N", 10, 10},
	{"force", "kN", 1.5, 1500},
	{"force", "lbf", 1, 4.4482216152605},
	{"force", "kgf", 1, 9.80665},
	{"torque", "N·m", 5, 5},
	{"torque", "mN·m", 500, 0.5},
	{"torque", "kN·m", 2, 2000},
	{"torque", "kgf·m", 1, 9.80665},
	{"torque", "lbf·ft", 1, 1.3558179483314},
	{"torque", "lbf·in", 12, 1.3558179483314},
	{"concentration", "µg/m³", 35, 35},
	{"concentration", "ng/m³", 500, 0.5},
	{"concentration", "mg/m³", 0.035, 35},
	{"concentration", "g/m³", 0.000035, 35},
	{"solution", "mg/L", 8, 8},
	{"solution", "µg/L", 500, 0.5},
	{"solution", "g/L", 0.5, 500},
	{"conductivity", "µS/cm", 550, 550},
	{"conductivity", "mS/cm", 1.413, 1413},
	{"conductivity", "S/cm", 0.001413, 1413},
	{"conductivity", "mS/m", 141.3, 1413},
	{"conductivity", "S/m", 0.1413, 1413},
	{"turbidity", "NTU", 4, 4},
	{"acidity", "pH", 7.2, 7.2},
	{"illuminance", "lx", 500, 500},
	{"illuminance", "klx", 1.2, 1200},
	{"illuminance", "fc", 1, 10.763910416709722},
	{"irradiance", "W/m²", 800, 800},
	{"irradiance", "kW/m²", 0.8, 800},
	{"sound", "dB", 65, 65},
	{"signal", "dBm", -80, -80},
	{"angle", "°", 270, 270},
	{"angle", "rad", math.Pi / 2, 90},
	{"angle", "gon", 100, 90},
	{"time", "s", 90, 90},
	{"time", "ms", 500, 0.5},
	{"time", "min", 1.5, 90},
	{"time", "h", 2, 7200},
	{"time", "d", 1, 86400},
	{"dose_rate", "µSv/h", 0.1, 0.1},
	{"dose_rate", "nSv/h", 100, 0.1},
	{"dose_rate", "mSv/h", 0.0001, 0.1},
	{"explosive", "%LEL", 20, 20},
	{"factor", "1", 0.95, 0.95},
	{"factor", "%", 95, 0.95},
}

func TestEveryUnitIsConverted(t *testing.T) {
	tested := map[string]bool{}
	for _, tt := range conversions {
		t.Run(tt.quantity+" "+tt.unit, func(t *testing.T) {
			q := quantityNamed(tt.quantity)
			require.NotNil(t, q)
			got, known := to(t, tt.quantity, q.units[0].symbol).Convert(tt.unit, tt.v)
			require.True(t, known)
			require.InEpsilon(t, tt.base, got, 1e-8)
		})
		require.False(t, tested[tt.quantity+" "+tt.unit], "%s %s twice", tt.quantity, tt.unit)
		tested[tt.quantity+" "+tt.unit] = true
	}
	for _, q := range quantities {
		for _, u := range q.units {
			require.True(t, tested[q.name+" "+u.symbol], "%s has no case for %q", q.name, u.symbol)
		}
	}
}

// TestConversionIsPrecise compares with the correctly rounded results.
func TestConversionIsPrecise(t *testing.T) {
	c := Default()
	for _, tt := range []struct {
		sensor, unit string
		v, want      float64
	}{
		{"temperature", "°F", 88, 31.111111111111111},
		{"temperature", "°F", 176, 80},
		{"temperature", "°F", 32, 0},
		{"temperature", "°F", -40, -40},
		{"temperature", "K", 273.15, 0},
		{"current", "mA", 2501, 2.501},
		{"humidity", "1", 0.652, 65.2},
		{"pressure", "kPa", 101.325, 1013.25},
		{"vibration", "in/s", 0.1, 2.54},
		{"flow", "L/min", 50, 3},
		{"power", "W", 1500, 1.5},
		{"energy", "MJ", 3.6, 1},
		{"co2", "%", 0.0415, 415},
	} {
		got, known := c.Convert(tt.sensor, tt.unit, tt.v)
		require.True(t, known)
		require.InDelta(t, tt.want, got, 4*math.Nextafter(math.Abs(tt.want), math.Inf(1))-4*math.Abs(tt.want), "%v %s of %s", tt.v, tt.unit, tt.sensor)
	}
}

// TestPowersOfTenAreRoundedOnce: 2.1 kW are 0.0021 MW and not 0.0020999999999999999.
func TestPowersOfTenAreRoundedOnce(t *testing.T) {
	for _, tt := range []struct {
		quantity, from, unit string
		convert              func(v float64) float64
	}{
		{"power", "kW", "MW", func(v float64) float64 { return v / 1000 }},
		{"power", "MW", "kW", func(v float64) float64 { return v * 1000 }},
		{"current", "mA", "µA", func(v float64) float64 { return v * 1000 }},
		{"flow", "L/s", "L/min", func(v float64) float64 { return v * 60 }},
	} {
		k := to(t, tt.quantity, tt.unit)
		for i := range 5000 {
			v := float64(i) / 10
			got, known := k.Convert(tt.from, v)
			require.True(t, known)
			require.InDelta(t, tt.convert(v), got, 0, "%v %s in %s", v, tt.from, tt.unit)
		}
	}
}

// TestConvertedBackIsTheSame goes from each unit to each other one of its quantity and back.
func TestConvertedBackIsTheSame(t *testing.T) {
	for i := range quantities {
		q := &quantities[i]
		for _, from := range q.units {
			for _, target := range q.units {
				for _, v := range []float64{-40, 0.001, 1, 88, 1013.25, 123456.789} {
					there, known := to(t, q.name, target.symbol).Convert(from.symbol, v)
					require.True(t, known)
					back, known := to(t, q.name, from.symbol).Convert(target.symbol, there)
					require.True(t, known)
					// An offset costs as many digits as it is larger than the value.
					tolerance := 1e-12 * (math.Abs(v) + math.Abs(from.add) + math.Abs(target.add))
					require.InDelta(t, v, back, tolerance, "%v from %q via %q", v, from.symbol, target.symbol)
				}
			}
		}
	}
}

func TestDifferenceHasNoZeroPoint(t *testing.T) {
	k := Default().Kind("temperature")
	for _, tt := range []struct {
		unit    string
		v, want float64
	}{{"°F", 9, 5}, {"K", 2, 2}, {"°C", 2, 2}, {"", 2, 2}, {"[degR]", 18, 10}} {
		got, known := k.Difference(tt.unit, tt.v)
		require.True(t, known)
		require.InDelta(t, tt.want, got, 1e-12, tt.unit)
	}
	got, known := k.Difference("bar", 3)
	require.False(t, known)
	require.InDelta(t, 3, got, 0)
}

func TestSpellingsOfUnits(t *testing.T) {
	tests := []struct {
		sensor string
		v      float64
		want   float64
		units  []string
	}{
		{"temperature", 20, 20, []string{"°C", "℃", "C", "c", "Cel", "degC", "deg C", "DEG C", "° C", "ºC", "celsius", "Celsius", " °C ", "摄氏度", "deg_c", "°c"}},
		{"temperature", 68, 20, []string{"°F", "℉", "F", "[degF]", "degF", "deg F", "Fahrenheit"}},
		{"temperature", 293.15, 20, []string{"K", "k", "kelvin"}},
		{"pressure", 1, 10, []string{"kPa", "KPA", "kpa", "㎪", "千帕"}},
		{"pressure", 1, 10000, []string{"MPa", "㎫", "N/mm²"}},
		{"pressure", 1, 0.00001, []string{"mPa"}},
		{"pressure", 1, 1.33322387415, []string{"mmHg", "mm[Hg]", "MMHG", "mm Hg"}},
		{"pressure", 1, 68.94757293168361, []string{"psi", "PSI", "[psi]"}},
		{"current", 1, 0.001, []string{"mA", "ma", "㎃", "MA"}},
		{"current", 1, 0.000001, []string{"µA", "μA", "uA"}},
		{"humidity", 1, 1, []string{"%", "％", "%RH", "% rH", "percent"}},
		{"power", 1, 1, []string{"kW", "KW", "kw", "千瓦"}},
		{"power", 1, 1000, []string{"MW"}},
		{"power", 1, 0.000001, []string{"mW"}},
		{"energy", 1, 1, []string{"kWh", "KWH", "kW.h", "kW·h", "kW h", "度"}},
		{"reactive_power", 1, 1, []string{"kvar", "kVAr", "KVAR"}},
		{"flow", 1, 1, []string{"m³/h", "m3/h", "M3/H", "m^3/h", "㎥/h", "m³ / h"}},
		{"flow", 1, 0.06, []string{"L/min", "l/min", "LPM", "L/MIN"}},
		{"vibration", 1, 1, []string{"mm/s", "MM/S", "㎜/s"}},
		{"acceleration", 1, 9.80665, []string{"g", "[g]", "G"}},
		{"acceleration", 1, 1, []string{"m/s²", "m/s2", "m/s^2", "㎨", "m·s⁻²"}},
		{"pm2_5", 1, 1000, []string{"mg/m³", "㎎/㎥", "mg/m3", "MG/M3"}},
		{"pm2_5", 1, 1, []string{"µg/m³", "μg/m³", "ug/m3", "㎍/m3"}},
		{"speed", 1, 1, []string{"rpm", "RPM", "r/min", "1/min", "/min", "min⁻¹", "转/分"}},
		{"torque", 1, 1, []string{"N·m", "Nm", "N.m", "N⋅m", "nm"}},
		{"noise", 1, 1, []string{"dB", "dBA", "dB(A)", "dB[SPL]", "db"}},
		{"ph", 1, 1, []string{"pH", "[pH]", "PH", "ph", ""}},
		{"conductivity", 1, 1000, []string{"mS/cm", "ms/cm", "dS/m"}},
		{"wind_direction", 1, 1, []string{"°", "deg", "º", "DEG"}},
		{"uv_index", 1, 1, []string{"", "1", "UVI"}},
		{"power_factor", 1, 1, []string{"", "1", "cosφ", "ratio"}},
		{"power_factor", 95, 0.95, []string{"%"}},
		{"count", 1, 1, []string{"", "pcs", "pieces"}},
	}
	c := Default()
	for _, tt := range tests {
		for _, unit := range tt.units {
			got, known := c.Convert(tt.sensor, unit, tt.v)
			require.True(t, known, "%s in %q", tt.sensor, unit)
			require.InDelta(t, tt.want, got, 1e-9*math.Abs(tt.want), "%s in %q", tt.sensor, unit)
		}
	}
}

func TestUnknownUnitIsNotGuessed(t *testing.T) {
	c := Default()
	for sensor, units := range map[string][]string{
		"temperature": {"°X", "bar", "%", "degrees", "°", "F°F", "\x00", "°C/min", strings.Repeat("°C", 100), "𝄞"},
		"power":       {"mw", "Mw", "VA", "kWh", "var"}, // milli or mega
		"pressure":    {"mpa", "MPA", "Mpa", "kP"},
		"voltage":     {"mv", "A"},
		"energy":      {"mwh", "MWH", "mj", "kW"},
		"frequency":   {"mhz", "rpm"},
		"volume":      {"ml/s"},
		"pm2_5":       {"ppm", "pcs"},
		"level":       {"%"},
		"flow":        {"Nm³/h", "m³"},
	} {
		for _, unit := range units {
			got, known := c.Convert(sensor, unit, 7)
			require.False(t, known, "%s in %q", sensor, unit)
			require.InDelta(t, 7, got, 0)
		}
	}
	_, known := c.Convert("energy", "GWh", math.MaxFloat64)
	require.False(t, known, "larger than a number can be")
}

// TestSpellingsAreOfOneUnit catches a spelling that two rows claim.
func TestSpellingsAreOfOneUnit(t *testing.T) {
	for _, q := range quantities {
		owner := map[string]string{}
		for _, u := range q.units {
			for _, text := range append(strings.Fields(u.spellings), u.symbol) {
				b, ok := normalise(nil, text)
				require.True(t, ok, text)
				was, taken := owner[string(b)]
				require.False(t, taken && was != u.symbol, "%s: %q is %s and %s", q.name, text, was, u.symbol)
				owner[string(b)] = u.symbol
			}
		}
	}
}

// TestGasesAreConvertedByMolarMass has the factors of GB 3095 and of HJ 57 at 25 °C.
func TestGasesAreConvertedByMolarMass(t *testing.T) {
	c := Default()
	for sensor, perPPM := range map[string]float64{"co": 1.145, "no2": 1.880, "o3": 1.962, "so2": 2.619, "h2s": 1.393, "co2": 1.799, "nh3": 0.696} {
		got, known := c.Convert(sensor, "mg/m³", perPPM)
		require.True(t, known)
		require.InDelta(t, 1, got, 0.001, sensor)
		got, known = c.Convert(sensor, "ug/m3", perPPM*1000)
		require.True(t, known)
		require.InDelta(t, 1, got, 0.001, sensor)
	}
	got, known := c.Convert("formaldehyde", "ppm", 1)
	require.True(t, known)
	require.InDelta(t, 1.227, got, 0.001)
}

func TestConvertingDoesNotAllocate(t *testing.T) {
	c := Default()
	for _, unit := range []string{"°C", "℃", "°F", "deg C", "DEG C", "furlong", strings.Repeat("x", 5000)} {
		n := testing.AllocsPerRun(100, func() { _, _ = c.Convert("temperature", unit, 20) })
		require.Zero(t, n, unit)
	}
}

func FuzzConvert(f *testing.F) {
	f.Add("temperature", "℉", 88.0)
	f.Add("co2", "m^3 / h", 1e300)
	f.Add("temp_1", "µ", math.SmallestNonzeroFloat64)
	c := Default()
	f.Fuzz(func(t *testing.T, name, unit string, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		got, known := c.Convert(name, unit, v)
		if math.IsNaN(got) || math.IsInf(got, 0) {
			t.Fatalf("%v %q of %q is %v", v, unit, name, got)
		}
		if !known && got != v {
			t.Fatalf("%v in the unknown unit %q became %v", v, unit, got)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	c := Default()
	for _, bb := range []struct{ name, sensor, unit string }{
		{"canonical", "temperature", "°C"},
		{"spelled as in the table", "temperature", "°F"},
		{"normalised", "temperature", "deg C"},
		{"folded", "flow", "L/MIN"},
		{"unknown", "temperature", "furlong"},
		{"numbered sensor", "temp_1", "°C"},
		{"pattern", "temperature_supply_air", "°C"},
		{"unknown sensor", "widgets", "pcs"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				c.Convert(bb.sensor, bb.unit, 20)
			}
		})
	}
}

// BenchmarkKindConvert is the part of BenchmarkConvert behind the look-up of the name.
func BenchmarkKindConvert(b *testing.B) {
	k := Default().Kind("temperature")
	for _, unit := range []string{"°C", "", "°F"} {
		b.Run(unit, func(b *testing.B) {
			for range b.N {
				k.Convert(unit, 20)
			}
		})
	}
}

func ExampleKind_Convert() {
	celsius, known := Default().Kind("temperature").Convert("°F", 88)
	fmt.Printf("%.2f %v\n", celsius, known)
	// Output: 31.11 true
}
