package unusual_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/unusual"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func device(id string, score float64) telemetry.Unusual {
	return telemetry.Unusual{DeviceID: id, Anomaly: telemetry.Anomaly{Sensor: "temperature", Kind: telemetry.AnomalyDrift, Score: score, Since: 1}}
}

func report(instance string, at int64, devices ...telemetry.Unusual) wire.UnusualReport {
	return wire.UnusualReport{Instance: instance, At: at, Devices: devices}
}

func ids(list []telemetry.Unusual) (out []string) {
	for i := range list {
		out = append(out, fmt.Sprintf("%s %g", list[i].DeviceID, list[i].Score))
	}
	return out
}

func TestTopOfAllInstances(t *testing.T) {
	var b unusual.Board
	top, instances := b.Top(10, 0)
	require.Empty(t, top)
	require.Zero(t, instances)

	b.Add(report("a", 100, device("d1", 0.6), device("d2", 0.5)), 1000)
	b.Add(report("b", 50, device("d3", 0.9), device("d2", 0.7)), 1001)
	top, instances = b.Top(10, 1001)
	require.Equal(t, 2, instances)
	require.Equal(t, []string{"d3 0.9", "d2 0.7", "d1 0.6"}, ids(top), "d2 is as in the newer report")
	top, _ = b.Top(1, 1001)
	require.Equal(t, []string{"d3 0.9"}, ids(top))

	b.Add(report("b", 49, device("d9", 1)), 1002) // sent before the other
	b.Add(report("a", 200), 1003)
	top, instances = b.Top(10, 1003)
	require.Equal(t, 2, instances)
	require.Equal(t, []string{"d3 0.9", "d2 0.7"}, ids(top))
}

func TestLateReportsAreDropped(t *testing.T) {
	var b unusual.Board
	b.Add(report("a", 1, device("d1", 1)), 1000)
	b.Add(report("b", 1, device("d2", 1)), 5000)
	top, instances := b.Top(10, 11_000)
	require.Equal(t, 2, instances)
	require.Len(t, top, 2)
	top, instances = b.Top(10, 11_001)
	require.Equal(t, 1, instances)
	require.Equal(t, []string{"d2 1"}, ids(top))

	b.Add(report("a", 0, device("d1", 1)), 12_000) // its clock was put right meanwhile
	_, instances = b.Top(10, 12_000)
	require.Equal(t, 2, instances)
}

func TestInstancesAreBounded(t *testing.T) {
	var b unusual.Board
	for i := range 1000 {
		b.Add(report(fmt.Sprint(i), 1), 1)
	}
	_, instances := b.Top(10, 1)
	require.Equal(t, 64, instances)
	b.Add(report("new", 1), 20_000)
	_, instances = b.Top(10, 20_000)
	require.Equal(t, 1, instances)
}
