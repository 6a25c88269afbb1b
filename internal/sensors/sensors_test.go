package sensors

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSensorsHaveAKind(t *testing.T) {
	c := Default()
	for _, tt := range []struct{ kind, sensors string }{
		{"temperature", "temperature temp temp_1 temp1 temperature_2 temperature_supply_air supply_air_temperature bearing_temp temperature_ door_temperature"},
		{"humidity", "humidity rh humidity_3 room_humidity"},
		{"current", "current current_l1 current_1 motor_current amps"},
		{"voltage", "voltage voltage_l1 phase_voltage"},
		{"thd", "thd voltage_thd"},
		{"battery_voltage", "battery_voltage vbat"},
		{"power", "power power_1 active_power power_l3 heat_power"},
		{"reactive_power", "reactive_power power_reactive"},
		{"power_factor", "power_factor pf power_factor_l1"},
		{"vibration", "vibration vibration_x vibration_velocity"},
		{"acceleration", "acceleration accel_x vibration_acceleration vibration_accel_z"},
		{"frequency", "frequency vibration_frequency grid_frequency"},
		{"co2", "co2 co2_1 carbon_dioxide room_co2"},
		{"co", "co co_1"},
		{"pm2_5", "pm2_5 pm25 pm2_5_1"},
		{"pm10", "pm10 pm10_0"},
		{"h2s", "h2s h2s_2"},
		{"flow", "flow flow_1 flow2 water_flow flow_rate"},
		{"volume", "volume flow_total"},
		{"ph", "ph ph_1 water_ph"},
		{"switch_status", "switch_status relay_1 switch"},
		{"water_leak", "leak water_leak kitchen_leak"},
		{"", "widgets co21 current_program template x1 temperatures power_on_hours 7 energy_cost"},
	} {
		for name := range strings.FieldsSeq(tt.sensors) {
			for range 2 { // the second time from the cache
				k := c.KindOf(name)
				if tt.kind == "" {
					require.Nil(t, k, name)
					continue
				}
				require.NotNil(t, k, name)
				require.Equal(t, tt.kind, k.Name, name)
			}
		}
	}
	require.Nil(t, c.KindOf(""))
	require.Nil(t, c.Kind("temp"), "the name of a kind, not of a sensor")
	require.NotNil(t, c.Kind("temperature"))
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"a*", "a", true},
		{"a*", "abc", true},
		{"a*", "ba", false},
		{"*a", "a", true},
		{"*a", "banana", true},
		{"*a", "ab", false},
		{"*b*", "abc", true},
		{"*b*", "ac", false},
		{"a*b*c", "axbyc", true},
		{"a*b*c", "abbc", true},
		{"a*b*c", "acb", false},
		{"a*a", "a", false},
		{"*ab", "aab", true},
		{"a**b", "ab", true},
		{"IOT-*", "IOT-SENSOR-V2", true},
		{"abc", "abc", true},
		{"abc", "abcd", false},
	} {
		require.Equal(t, tt.want, matches(tt.pattern, tt.name), "%s %s", tt.pattern, tt.name)
	}
}

// TestNamesOfDevicesFillNoMemory bounds the cache: devices choose the names.
func TestNamesOfDevicesFillNoMemory(t *testing.T) {
	c, err := Load([]byte("sensors: []"))
	require.NoError(t, err)
	for i := range 3 * maxCached {
		require.Nil(t, c.KindOf(fmt.Sprintf("junk_%d_x", i)))
		require.LessOrEqual(t, len(c.names.m), maxCached)
	}
	require.Equal(t, "temperature", c.KindOf("temp_7").Name)
}

func TestCatalogueIsSafeForConcurrentUse(t *testing.T) {
	c, err := Load([]byte("sensors: []"))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				name := fmt.Sprintf("temperature_%d_%d", g%2, i)
				if k := c.KindOf(name); k == nil || k.Name != "temperature" {
					t.Errorf("%s is of kind %v", name, k)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSettingsAreConvertedToo(t *testing.T) {
	c := Default()
	for _, tt := range []struct {
		sensor, unit string
		v            float64
		difference   bool
		want         float64
		problem      string
	}{
		{"temperature", "°F", 176, false, 80, ""},
		{"temperature", "°F", 9, true, 5, ""},
		{"temperature", "", 80, false, 80, ""},
		{"temp_1", "K", 273.15, false, 0, ""},
		{"pressure", "bar", 2, false, 2000, ""},
		{"widgets", "", 5, false, 5, ""},
		{"temperature", "bar", 2, false, 0, `"bar": want a unit of temperature: °C, °F, K, °R`},
		{"temperature", "bar", 2, true, 0, `"bar": want a unit of temperature: °C, °F, K, °R`},
		{"widgets", "pcs", 2, false, 0, `widgets is not in the catalogue of sensors, so "pcs" cannot be converted; want no unit`},
		{"temperature", strings.Repeat("°", 300), 2, false, 0, strings.Repeat("°", 20) + "…"},
	} {
		got, err := c.Canonical(tt.sensor, tt.unit, tt.v, tt.difference)
		if tt.problem != "" {
			require.ErrorContains(t, err, tt.problem)
			continue
		}
		require.NoError(t, err)
		require.InDelta(t, tt.want, got, 1e-9, "%v %s of %s", tt.v, tt.unit, tt.sensor)
	}
}

func TestDefaultCatalogueIsComplete(t *testing.T) {
	c := Default()
	require.GreaterOrEqual(t, len(c.Kinds()), 40)
	names := map[string]string{}
	for _, k := range c.Kinds() {
		require.NotEmpty(t, k.Zh, k.Name)
		require.NotEqual(t, k.Name, k.Zh, k.Name)
		require.NotEqual(t, k.Name, k.En, k.Name)
		require.Less(t, k.Min, k.Max, k.Name)
		require.Same(t, k, c.KindOf(k.Name))
		if k.Unit != "" {
			require.NotNil(t, k.spellings, "%s: %q is not in the table of units", k.Name, k.Unit)
			got, known := k.Convert(k.Units()[0], 1)
			require.True(t, known, k.Name)
			require.NotZero(t, got)
		}
		for _, m := range append([]string{k.Name}, k.Match...) {
			require.Empty(t, names[m], "%s is a name of %s and of %s", m, names[m], k.Name)
			names[m] = k.Name
		}
	}
	for sensor, unit := range map[string]string{"temperature": "°C", "humidity": "%", "pressure": "hPa", "current": "A"} {
		require.Equal(t, unit, c.Kind(sensor).Unit, "the contract's")
	}
	require.Equal(t, Boolean, c.Kind("switch_status").Value)
	k := c.Kind("temperature")
	require.True(t, k.Plausible(25))
	require.False(t, k.Plausible(-127), "a DS18B20 without its wire")
	require.True(t, c.Kind("torque").Plausible(-1e300))
}

func TestKindAsJSON(t *testing.T) {
	b, err := json.Marshal([]*Kind{Default().Kind("ph"), Default().Kind("torque"), Default().Kind("smoke")})
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"kind":"ph","value":"number","unit":"pH","zh":"pH值","en":"pH","decimals":2,"match":["ph_*","*_ph"],"min":-2,"max":16},
		{"kind":"torque","value":"number","unit":"N·m","zh":"扭矩","en":"Torque","decimals":1,"match":["torque_*","*_torque"]},
		{"kind":"smoke","value":"boolean","zh":"烟雾","en":"Smoke","decimals":0,"match":["smoke_*","*_smoke"]}]`, string(b))
}

func TestCatalogueAsJSON(t *testing.T) {
	c, err := Load([]byte("sensors: []\nmodels: [{model: EM300, interval: 90s}]\n"))
	require.NoError(t, err)
	b, err := json.Marshal(c)
	require.NoError(t, err)
	var got struct {
		Sensors []map[string]any
		Models  []map[string]any
	}
	require.NoError(t, json.Unmarshal(b, &got))
	require.Len(t, got.Sensors, len(c.Kinds()))
	require.Equal(t, "temperature", got.Sensors[0]["kind"])
	require.Equal(t, []map[string]any{{"model": "EM300", "interval_s": 90.0}}, got.Models)
	b, err = json.Marshal(Default())
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(b), `"models":[]}`), "an empty list, not null")
}

func TestIntervalOfAModel(t *testing.T) {
	c, err := Load([]byte("sensors: []\nmodels:\n  - {model: \"EM300*\", interval: 10m}\n  - {model: EM300-TH, interval: 20m}\n"))
	require.NoError(t, err)
	for model, want := range map[string]time.Duration{"EM300-DI": 10 * time.Minute, "EM300-TH": 20 * time.Minute, "EM500": 0, "": 0} {
		got, ok := c.IntervalOf(model)
		require.Equal(t, want > 0, ok, model)
		require.Equal(t, want, got, model)
	}
	require.Len(t, c.Models(), 2)
	require.Empty(t, Default().Models())
}

func TestMinusInfinityIsPlausibleWithoutARange(t *testing.T) {
	c, err := Load([]byte("sensors: [{kind: widgets}]"))
	require.NoError(t, err)
	k := c.KindOf("widgets_3")
	require.Equal(t, "widgets", k.Name)
	require.True(t, math.IsInf(k.Min, -1))
	require.True(t, k.Plausible(math.MaxFloat64))
}
