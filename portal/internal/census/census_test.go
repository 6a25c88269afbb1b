package census

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plant is a model whose clock the test sets.
type plant struct {
	tb    testing.TB
	model *state.Model
	now   int64
}

func newPlant(tb testing.TB) *plant {
	tb.Helper()
	p := &plant{tb: tb, now: 1_700_000_000_000}
	p.model = state.New(state.Options{Now: func() time.Time { return time.UnixMilli(p.now) }})
	return p
}

func (p *plant) sense(id, sensors string) {
	p.tb.Helper()
	p.now++
	statetest.Apply(p.tb, p.model, "gw-a", wire.FrameEntry{Device: id, Timestamp: p.now, Received: p.now, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A"},"sensors":{%s}}`, id, p.now, sensors)})
}

func TestSensorsOfTheNewestReadingsAreCounted(t *testing.T) {
	p := newPlant(t)
	c := New(p.model)
	require.Empty(t, c.Sensors())
	p.now += every
	p.sense("d1", `"ph":{"value":7},"co2":{"value":600,"unit":"ppm"},"pressure":{"value":1,"unit":"hPa"},"mode":{"value":"auto"}`)
	p.sense("d1", `"co2":{"value":600,"unit":"ppm"},"temperature":{"value":20,"unit":"°C"},"mode":{"value":"auto"}`)
	p.sense("d2", `"co2":{"value":5,"unit":"furlong","status":"unit_unknown"},"mode":{"value":true}`)
	p.sense("d3", `"co2":{"value":600,"unit":"ppm"},"mode":{"value":true},"switch_status":{"value":true}`)
	p.model.ApplyState(telemetry.DeviceState{DeviceID: "d4"})
	want := []Sensor{
		{"temperature", telemetry.Number, "°C", 1, 0},
		{"switch_status", telemetry.Bool, "", 1, 0},
		{"co2", telemetry.Number, "ppm", 3, 1},
		{"mode", telemetry.Bool, "", 3, 0},
	}
	require.Equal(t, want, c.Sensors())
	p.model.Remove("d3", 0)
	require.Equal(t, want, c.Sensors(), "the last count is young")
	p.now += every
	require.Len(t, c.Sensors(), 3)
	p.now -= 3_600_000 // the clock was put back
	p.sense("d9", `"ph":{"value":7}`)
	require.Len(t, c.Sensors(), 4)
}

func TestNamesAndUnitsAreBounded(t *testing.T) {
	p := newPlant(t)
	for i := range MaxNames/50 + 2 {
		sensors := ""
		for k := range 50 {
			sensors += fmt.Sprintf(`,"s%d_%d":{"value":1}`, i, k)
		}
		p.sense(fmt.Sprint("d", i), sensors[1:])
	}
	require.Len(t, New(p.model).Sensors(), MaxNames)

	by := map[string]*tally{}
	for i := range 2 * maxUnits {
		count(by, telemetry.Sensors{{Name: "flow", Unit: fmt.Sprint("u", i)}})
	}
	require.Len(t, by["flow"].units, maxUnits)
	require.Equal(t, "u0", commonest(by["flow"].units))
}
