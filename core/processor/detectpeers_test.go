package processor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// neighbourly are readings of four devices, one every 100 s for five days: all follow the weather, and the
// first moves away by less than the weather does, for the last eight hours.
func neighbourly(room func(device, day int) string) (steps []step) {
	const devices, days, interval, hours = 4, 5, 100_000, 3_600_000
	rnd := rand.New(rand.NewPCG(1, 1))
	until := time.Now().UnixMilli()
	from := until - days*24*hours
	for at, offset := from, int64(0); at < until; at += interval {
		weather := 20 + 10*math.Sin(float64(at-from)/(24*hours)*2*math.Pi)
		for d := range devices {
			value := weather + float64(d)/100 + rnd.Float64()/20
			if d == 0 {
				value += 10 * min(1, max(0, float64(at-until+8*hours)/(4*hours)))
			}
			at := at + int64(d)
			steps = append(steps, step{at: at, reading: &sarama.ConsumerMessage{
				Topic: "device-data", Offset: offset, Timestamp: time.UnixMilli(at), Key: fmt.Appendf(nil, "d%d", d),
				Value: fmt.Appendf(nil, `{"device_id":"d%d","timestamp":%d,"location":{"building":"A","floor":1,"room":%q},`+
					`"sensors":{"temperature":{"value":%.3f,"unit":"°C"}},"device_info":{"model":"T1"}}`, d, at, room(d, int(at-from)/(24*hours)), value),
			}})
			offset++
		}
	}
	return steps
}

func oneRoom(int, int) string { return "101" }

func roomsOfTheirOwn(device, _ int) string { return fmt.Sprint(101 + device) }

// oneMoves moves the last device out of the room and back.
func oneMoves(device, day int) string {
	if device == 3 && day == 1 {
		return "102"
	}
	return "101"
}

// TestASensorThatLeavesItsNeighboursIsAnAnomaly has no rule: what one device shows is usual for it, but not
// beside the others. The alarms and all that was learnt are the same after kills.
func TestASensorThatLeavesItsNeighboursIsAnAnomaly(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	for name, c := range map[string]struct {
		room  func(device, day int) string
		group telemetry.PeerGroup
		words string
	}{
		"room":  {oneRoom, telemetry.PeersInRoom, "differs from its room neighbours by"},
		"model": {roomsOfTheirOwn, telemetry.PeersOfModel, "differs from others of its model by"},
		"moved": {oneMoves, telemetry.PeersInRoom, "differs from its room neighbours by"},
	} {
		rnd, steps := rand.New(rand.NewPCG(2, 2)), neighbourly(c.room)
		want := detectedIn(t, tk.p, rnd, steps, func() (commit, kill bool) { return true, false })
		require.Len(t, want.alerts, 1, name)
		a := want.alerts["d0"][0]
		require.Equal(t, telemetry.AnomalyPeers, a.Anomaly.Kind, name)
		require.Equal(t, c.group, a.Anomaly.Group, name)
		require.Contains(t, a.Message, c.words, name)
		require.Less(t, a.Anomaly.Low, a.Anomaly.Expected)
		require.Less(t, a.Anomaly.High, a.Anomaly.Value)
		got := detectedIn(t, tk.p, rnd, steps, func() (commit, kill bool) { return rnd.IntN(3) == 0, rnd.IntN(1500) == 0 })
		require.Equal(t, want.alerts, got.alerts, name)
		require.Empty(t, differing(want.states, got.states), name)
	}
}

// differing returns the keys whose values differ.
func differing(a, b map[string]string) (keys []string) {
	for k := range a {
		if a[k] != b[k] {
			keys = append(keys, k)
		}
	}
	return keys
}
