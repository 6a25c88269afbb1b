package processor

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// TestKillAtAnyCommitChangesNothing kills a task repeatedly, at random, and continues from
// the state and offset committed last, which a transaction keeps together. The journal is
// that of a task that was never killed. Some devices' clocks are fast for a while and then
// corrected: their readings must not make later ones look late.
//
// There are no late readings: lateness is judged by the last state written, and not every
// reading writes one.
func TestKillAtAnyCommitChangesNothing(t *testing.T) {
	tk := newTestTask(t)
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		in := wandering(rnd, time.Now().UnixMilli()-300_000)
		want := played(t, tk.p, in, func() (commit, kill bool) { return true, false })
		require.NotEmpty(t, want)
		got := played(t, tk.p, in, func() (commit, kill bool) { return rnd.IntN(3) == 0, rnd.IntN(8) == 0 })
		require.Equal(t, want, got, "seed %d", seed)
	}
}

// wandering returns readings, in order, of devices whose temperature goes in and out of its
// limits.
func wandering(rnd *rand.Rand, from int64) []*sarama.ConsumerMessage {
	const devices, rounds = 6, 60
	var in []*sarama.ConsumerMessage
	for round := range rounds {
		for d := range devices {
			at := from + int64(round)*1000 + int64(d)
			ts := at
			switch back := round - rounds/2; {
			case d%2 == 0:
			case back < 0: // its clock is fast
				ts += 40_000
			case back < 6: // or its next readings would be late
				continue
			}
			value := []float64{20, 21, 79.5, 85, 95, -3, 0.5}[rnd.IntN(7)]
			m := message(int64(len(in)), fmt.Sprint("d", d), ts, value)
			m.Timestamp = time.UnixMilli(at)
			in = append(in, m)
		}
	}
	return in
}

// played processes in and returns the committed journal. Between two chunks, next decides
// whether to commit, and whether to kill the task.
func played(t *testing.T, p *Processor, in []*sarama.ConsumerMessage, next func() (commit, kill bool)) map[string][]telemetry.Alert {
	t.Helper()
	kept := newBatch()
	kept.next = 0
	journal := map[string][]telemetry.Alert{}
	store := func(b *batch) {
		if b == nil {
			return
		}
		kept.next = b.next
		maps.Copy(kept.alarms, b.alarms)
		maps.Copy(kept.devices, b.devices)
		for _, r := range b.alerts {
			var a telemetry.Alert
			require.NoError(t, json.Unmarshal(r.data, &a))
			a.DetectedAt = 0
			a.LastSeen = 0 // a reading that only confirms an alarm is not stored
			journal[a.DeviceID] = append(journal[a.DeviceID], a)
		}
	}
	restart := func() *task {
		tk := newTask(p, 0, func() {})
		newSession(p, nil).load(tk, stored{alarms: kept.alarms, devices: kept.devices})
		return tk
	}
	tk := restart()
	for at := int64(0); at < int64(len(in)); {
		end := min(at+5, int64(len(in)))
		tk.process(in[at:end])
		at = end
		commit, kill := next()
		if commit {
			store(tk.pending.pop())
		}
		if kill {
			tk = restart()
			at = kept.next
		}
	}
	store(tk.pending.pop())
	return journal
}
