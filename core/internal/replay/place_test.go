package replay

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

// TestWrongClockIsKnownFromTheFirstReading: the readings around an alarm begin somewhere in
// the device's history. Taking the first one of a slow device for an old one would end
// every delay at once.
func TestWrongClockIsKnownFromTheFirstReading(t *testing.T) {
	const hour = 3_600_000
	for _, off := range []int64{0, 8 * hour, -5 * hour, 946_684_800_000 - t0} {
		var records []record
		for i := range int64(10) {
			at := t0 + i*5000
			records = append(records, record{
				in:     alarm.Input{Reading: &telemetry.Reading{DeviceID: "d1", Timestamp: at + off}},
				origin: intake.Origin{Received: at + 20, Written: at + 50},
			})
		}
		for i, in := range placeAll(records) {
			require.InDelta(t, t0+int64(i)*5000, in.At, 30, "off by %d", off)
			require.False(t, in.Restart)
			require.Zero(t, in.Waited)
		}
	}
}

// TestBacklogAroundAnAlarmStaysOld has the readings begin with what the device had kept.
func TestBacklogAroundAnAlarmStaysOld(t *testing.T) {
	const hour = 3_600_000
	var records []record
	for i := range int64(20) {
		received, ts := t0+hour+i*10, t0+i*5000
		if i >= 10 {
			received, ts = t0+hour+i*5000, t0+hour+i*5000
		}
		records = append(records, record{
			in:     alarm.Input{Reading: &telemetry.Reading{DeviceID: "d1", Timestamp: ts}},
			origin: intake.Origin{Received: received, Written: received},
		})
	}
	for i, in := range placeAll(records) {
		require.Equal(t, in.Reading.Timestamp, in.At)
		require.Equal(t, i < 10, in.Waited > 0)
	}
}
