package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// sensing is an entry of a frame with these values, and with the JSON that has them.
func sensing(id string, ts int64, sensors ...telemetry.Sensor) wire.FrameEntry {
	r := &telemetry.Reading{
		DeviceID: id, Timestamp: ts, Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"},
		Info: telemetry.DeviceInfo{Model: "M2", Battery: telemetry.Some(80)}, Sensors: sensors,
	}
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: ts, Payload: wire.AppendReading(nil, r), Reading: r}
}

func valuesOf(m *Model, id string) (r telemetry.Reading, known bool) {
	m.View(func() { known = m.Device(id).Values(&r) })
	return r.Clone(), known
}

func TestValuesAreThoseOfTheNewestReadingWhateverTheFrameCarries(t *testing.T) {
	temperature := telemetry.Sensor{Name: "temperature", Number: 25.37, Unit: "°C"}
	level := telemetry.Sensor{Name: "level", Number: 3, Unit: "furlong", Status: telemetry.StatusUnitUnknown}
	text := func(name, v string) telemetry.Sensor {
		return telemetry.Sensor{Name: name, Kind: telemetry.Text, Text: v}
	}
	first := []telemetry.Sensor{temperature, telemetry.Switch("on", true), text("mode", "auto"), level, text("state", "open")}
	temperature.Number, level.Number = -1, 4
	second := []telemetry.Sensor{temperature, telemetry.Switch("on", false), text("mode", "manual"), level, text("state", "open")}
	other := []telemetry.Sensor{{Name: "temperature", Number: 1, Unit: "K"}}
	for _, carried := range []bool{true, false} {
		m, _ := newModel(Options{})
		for i, sensors := range [][]telemetry.Sensor{first, second, other, {}, first} {
			e := sensing("d", t0+int64(i), sensors...)
			if !carried {
				e.Reading = nil // a frame of version 2
			}
			apply(t, m, e)
			got, known := valuesOf(m, "d")
			require.True(t, known)
			require.ElementsMatch(t, sensors, got.Sensors, "carried %t, reading %d", carried, i)
			require.Equal(t, "A栋", got.Location.Building)
			require.Equal(t, telemetry.DeviceInfo{Model: "M2", Battery: telemetry.Some(80)}, got.Info)
		}
		apply(t, m, wire.FrameEntry{Device: "d", Timestamp: t0 + 9, Received: t0, Payload: []byte(`{"device_id":"d","timestamp":"2026"}`)})
		_, known := valuesOf(m, "d")
		require.False(t, known, "accepted by a newer core")
		m.View(func() { require.Equal(t, "M2", m.Device("d").Info().Model) })
	}
}

func TestFlawsAreThoseOfTheNewestReading(t *testing.T) {
	m, _ := newModel(Options{})
	for i, flaws := range [][]string{nil, {"presence", "location.floor"}, {"presence"}, nil} {
		e := sensing("d", t0+int64(i))
		e.Reading.Flaws = flaws
		apply(t, m, e)
		m.View(func() { require.Equal(t, flaws, m.Device("d").Flaws()) })
	}
}

func TestDevicesOfOneKindShareTheirShape(t *testing.T) {
	m, _ := newModel(Options{})
	x := telemetry.Sensor{Name: "temperature", Number: 1, Unit: "°C"}
	for i, y := range []telemetry.Sensor{x, x, {Name: "temperature", Unit: "K"}, {Name: "temperature", Unit: "°C", Status: telemetry.StatusUnitUnknown}, telemetry.Switch("temperature", true)} {
		apply(t, m, sensing(fmt.Sprint("d", i), t0, y))
	}
	require.Same(t, m.devices["d0"].values.shape, m.devices["d1"].values.shape)
	require.Len(t, m.shapes.all, 4)
	for i := range maxShapes + 10 {
		m.shapes.of(telemetry.Sensors{{Name: fmt.Sprint("s", i)}})
	}
	require.LessOrEqual(t, len(m.shapes.all), maxShapes)
}

func TestApplyingValuesAllocatesNothing(t *testing.T) {
	m, _ := newModel(Options{})
	var b wire.FrameBuilder
	var f wire.Frame
	ts := t0
	pass := func() {
		ts++
		b.Reset("gw-a")
		for _, id := range []string{"d1", "d2"} {
			b.Add(wire.FrameEntry{Device: id, Timestamp: ts, Received: ts, Payload: text, Reading: &steady})
		}
		if f.Open(b.Finish()) != nil {
			t.Error("damaged")
		}
		if _, err := m.ApplyFrame(&f); err != nil {
			t.Error(err)
		}
	}
	pass()
	require.Zero(t, testing.AllocsPerRun(100, pass))
}

var (
	text   = []byte(`{"any":"text"}`)
	steady = telemetry.Reading{
		Location: telemetry.Location{Building: "A栋", Room: "301"}, Info: telemetry.DeviceInfo{Model: "M2", Firmware: "1"}, Flaws: []string{"presence"},
		Sensors: telemetry.Sensors{{Name: "temperature", Number: 1, Unit: "°C"}, {Name: "mode", Kind: telemetry.Text, Text: "auto"}},
	}
)
