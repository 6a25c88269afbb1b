package rooms

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
)

// put applies r, taken when it says.
func put(t *Table, d *Device, r *telemetry.Reading) { t.Put(d, r.Timestamp, r) }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTable() *Table {
	t := New()
	t.Compare([]string{telemetry.Temperature, telemetry.Humidity, "co2"})
	return t
}

const now = 1_700_000_000_000

func reading(room string, ts int64, temperature float64) *telemetry.Reading {
	r := &telemetry.Reading{Timestamp: ts, Location: telemetry.Location{Building: "A", Floor: 1, Room: room}}
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: temperature})
	return r
}

func TestADeviceIsComparedWithTheOthersOfItsRoom(t *testing.T) {
	table := newTable()
	devices := make([]Device, 5)
	for i, v := range []float64{20, 21, 22, 50, 99} {
		room := "301"
		if i == 4 {
			room = "302"
		}
		put(table, &devices[i], reading(room, now, v))
	}
	var view alarm.RoomView
	require.Zero(t, table.View(&devices[0], &view).Of(telemetry.Temperature).Count, "empty before the first Rebuild")
	table.Rebuild(now, nil)
	require.Equal(t, alarm.RoomValue{Count: 3, Mean: 21, Median: 21}, table.View(&devices[3], &view).Of(telemetry.Temperature))
	require.Equal(t, alarm.RoomValue{Count: 3, Mean: 31, Median: 22}, table.View(&devices[0], &view).Of(telemetry.Temperature))
	require.Zero(t, table.View(&devices[4], &view).Of(telemetry.Temperature).Count, "it is alone")
	require.Zero(t, table.View(&devices[0], &view).Of(telemetry.Humidity).Count)

	table.Rebuild(now, func(room, parameter string) []float64 {
		require.Contains(t, []string{Key(reading("301", 0, 0).Location), Key(reading("302", 0, 0).Location)}, room)
		if parameter == telemetry.Temperature {
			return []float64{100}
		}
		return nil
	})
	require.Equal(t, alarm.RoomValue{Count: 4, Mean: 40.75, Median: 21.5}, table.View(&devices[3], &view).Of(telemetry.Temperature))
}

func TestOldValuesDoNotCount(t *testing.T) {
	table := newTable()
	var a, b Device
	put(table, &a, reading("301", now, 20))
	put(table, &b, reading("301", now-MaxAge.Milliseconds()-1, 30))
	put(table, &a, reading("301", now-1, 90)) // late
	table.Rebuild(now, nil)
	var view alarm.RoomView
	require.Zero(t, table.View(&a, &view).Of(telemetry.Temperature).Count)
	require.Equal(t, alarm.RoomValue{Count: 1, Mean: 20, Median: 20}, table.View(&b, &view).Of(telemetry.Temperature))
}

func TestADeviceThatMovesLeavesItsRoom(t *testing.T) {
	table := newTable()
	var a, b Device
	put(table, &a, reading("301", now, 20))
	put(table, &b, reading("301", now, 30))
	put(table, &a, reading("302", now+1, 20))
	table.Rebuild(now, nil)
	var view alarm.RoomView
	require.Zero(t, table.View(&b, &view).Of(telemetry.Temperature).Count)
	require.Len(t, table.Own(), 2)
	put(table, &b, reading("302", now+1, 30))
	table.Rebuild(now, nil)
	require.Len(t, table.Own(), 1, "an empty room is forgotten")
	put(table, &b, reading("", now+2, 30))
	require.Nil(t, table.View(&b, &view), "no room, no neighbours")
	table.Rebuild(now, nil)
	require.Zero(t, table.View(&a, &view).Of(telemetry.Temperature).Count)
}

func TestRemovedDeviceLeavesItsRoom(t *testing.T) {
	table := newTable()
	devices := make([]Device, 3)
	for i := range devices {
		put(table, &devices[i], reading("301", now, float64(20+i)))
	}
	table.Remove(&devices[2])
	table.Rebuild(now, nil)
	var view alarm.RoomView
	require.Equal(t, 1, table.View(&devices[0], &view).Of(telemetry.Temperature).Count)
	require.Zero(t, devices[2])
	table.Remove(&devices[2]) // once more
	table.Remove(&devices[1])
	table.Remove(&devices[0])
	require.Empty(t, table.rooms)
	require.Empty(t, table.devices)
	put(table, &devices[2], reading("301", now, 22))
	require.Len(t, table.rooms, 1)
}

// co2 is a reading of co2 and temperature.
func co2(ts int64, ppm, temperature float64) *telemetry.Reading {
	r := reading("301", ts, temperature)
	r.Sensors = append(telemetry.Sensors{{Name: "co2", Number: ppm}, telemetry.Switch("door", true)}, r.Sensors...)
	return r
}

func TestAnyParameterIsCompared(t *testing.T) {
	table := newTable()
	devices := make([]Device, 3)
	for i, v := range []float64{400, 500, 900} {
		put(table, &devices[i], co2(now, v, 20))
	}
	var plain, unknown Device
	put(table, &plain, reading("301", now, 30)) // has no co2
	r := co2(now, 1e6, 20)
	r.Sensors[0].Status = telemetry.StatusUnitUnknown
	put(table, &unknown, r)
	table.Rebuild(now, func(room, parameter string) []float64 {
		if parameter == "co2" {
			return []float64{600}
		}
		return nil
	})
	var view alarm.RoomView
	require.Equal(t, alarm.RoomValue{Count: 3, Mean: 500, Median: 500}, table.View(&devices[2], &view).Of("co2"))
	require.Equal(t, alarm.RoomValue{Count: 4, Mean: 600, Median: 550}, table.View(&plain, &view).Of("co2"))
	require.Equal(t, 4, table.View(&devices[0], &view).Of(telemetry.Temperature).Count)
	require.Zero(t, table.View(&devices[0], &view).Of("door").Count, "rules do not compare it")
	require.Len(t, plain.in.values, 1, "a device holds its own sensors")

	own := table.Own()
	require.Len(t, own, 1)
	require.ElementsMatch(t, []float64{400, 500, 900}, own[0].Of("co2"))
	require.Len(t, own[0].Of(telemetry.Temperature), 5)
}

// TestOtherRulesCompareOtherParameters: values from before are not taken for theirs.
func TestOtherRulesCompareOtherParameters(t *testing.T) {
	table := newTable()
	devices := make([]Device, 2)
	for i := range devices {
		put(table, &devices[i], co2(now, 400, 20))
	}
	table.Rebuild(now, nil)
	var view alarm.RoomView
	require.Equal(t, 1, table.View(&devices[0], &view).Of("co2").Count)
	table.Compare([]string{"co2"})
	require.Empty(t, *table.View(&devices[0], &view))
	table.Rebuild(now, nil)
	require.Zero(t, table.View(&devices[0], &view).Of("co2").Count)
	for i := range devices {
		put(table, &devices[i], co2(now+1, 500, 20))
	}
	table.Rebuild(now+1, nil)
	require.Equal(t, alarm.RoomValue{Count: 1, Mean: 500, Median: 500}, table.View(&devices[0], &view).Of("co2"))
	require.Zero(t, table.View(&devices[0], &view).Of(telemetry.Temperature).Count)
	require.Equal(t, []float64{500, 500}, table.Own()[0].Of("co2"))
	require.Len(t, devices[0].in.values, 1, "of the parameters of now")
}

func TestValuesAreBounded(t *testing.T) {
	var v Values
	for range 3 {
		v.Add("co2", make([]float64, maxValues-1))
		v.Add(telemetry.Humidity, make([]float64, maxValues-1))
	}
	require.Len(t, v.Of("co2"), maxValues)
	require.Len(t, v.Of(telemetry.Humidity), maxValues)
	for i := range 2 * maxParameters {
		v.Add(fmt.Sprint("p", i), []float64{1})
	}
	require.Len(t, v.Others, maxParameters)
	v.Add("co2", nil)
	require.Equal(t, 2*maxValues+maxParameters-1, v.Len())
}

// TestLargeRoomGoesInParts: a message has room for a part.
func TestLargeRoomGoesInParts(t *testing.T) {
	var parameters []string
	for i := range 40 {
		parameters = append(parameters, fmt.Sprint("p", i))
	}
	table := New()
	table.Compare(parameters)
	devices := make([]Device, maxValues)
	for i := range devices {
		r := reading("301", now, 20)
		for _, p := range parameters {
			r.Sensors.Set(telemetry.Sensor{Name: p, Number: 1})
		}
		put(table, &devices[i], r)
	}
	table.Rebuild(now, nil)
	values := 0
	parts := table.Own()
	require.Greater(t, len(parts), 3)
	for i := range parts {
		require.LessOrEqual(t, parts[i].Len(), maxPart+maxValues)
		values += parts[i].Len()
	}
	require.Equal(t, 40*maxValues, values)
}

// TestValuesInAlarmDoNotCount: a device beyond its limit must not make its neighbours deviate, nor be
// sent to other members.
func TestValuesInAlarmDoNotCount(t *testing.T) {
	rules, err := alarm.Compile(alarm.RuleSet{Rules: []alarm.Rule{{ID: "high", If: alarm.Condition{Kind: alarm.High, Parameter: telemetry.Temperature, Limit: 80}}}})
	require.NoError(t, err)
	table := newTable()
	devices, states := make([]Device, 4), make([]alarm.State, 4)
	send := func(i int, at int64, v float64) {
		r := reading("301", at, v)
		r.DeviceID = fmt.Sprint("d", i)
		r.Sensors.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: 50})
		put(table, &devices[i], r)
		states[i], _, _ = rules.Step(states[i], alarm.Input{Reading: r, Received: at}, nil)
		table.Mark(&devices[i], &states[i])
	}
	for i, v := range []float64{20, 22, 99, 99} {
		send(i, now, v)
	}
	table.Rebuild(now, nil)
	var view alarm.RoomView
	require.Equal(t, alarm.RoomValue{Count: 1, Mean: 22, Median: 22}, table.View(&devices[0], &view).Of(telemetry.Temperature))
	require.Equal(t, alarm.RoomValue{Count: 2, Mean: 21, Median: 21}, table.View(&devices[2], &view).Of(telemetry.Temperature))
	require.Equal(t, 3, table.View(&devices[0], &view).Of(telemetry.Humidity).Count, "of another sensor they count")
	own := table.Own()
	require.Len(t, own, 1)
	require.ElementsMatch(t, []float64{20, 22}, own[0].Of(telemetry.Temperature))

	send(3, now+1000, 24)
	table.Rebuild(now+1000, nil)
	require.Equal(t, alarm.RoomValue{Count: 2, Mean: 23, Median: 23}, table.View(&devices[0], &view).Of(telemetry.Temperature), "it is back inside its limit")
}
