package processor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// step is one record of the inputs of TestKillAtAnyCommitRemovesOnce.
type step struct {
	reading *sarama.ConsumerMessage
	command *telemetry.AlarmCommand
	at      int64
}

// TestKillAtAnyCommitRemovesOnce kills a task between commands and commits, at random, and
// continues from the state and offsets committed last: the records are those of a task that was
// never killed.
func TestKillAtAnyCommitRemovesOnce(t *testing.T) {
	p := newTestTask(t).p
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		steps := comingAndGoing(rnd, time.Now().UnixMilli()-300_000)
		want := lived(t, p, steps, func() (commit, kill bool) { return true, false })
		require.NotEmpty(t, want.alerts)
		got := lived(t, p, steps, func() (commit, kill bool) { return rnd.IntN(3) == 0, rnd.IntN(6) == 0 })
		require.Equal(t, want, got, "seed %d", seed)
		for id, n := range want.removed {
			require.Equal(t, 1, n, id)
		}
		for _, entries := range want.audits {
			answered := map[string]bool{}
			for _, e := range entries {
				require.False(t, e.CommandID != "" && answered[e.CommandID], "%s has two outcomes", e.CommandID)
				answered[e.CommandID] = true
			}
		}
	}
}

func comingAndGoing(rnd *rand.Rand, from int64) (steps []step) {
	const devices = 5
	for i := range 400 {
		at := from + int64(i)*500
		id := fmt.Sprint("d", rnd.IntN(devices))
		switch k := rnd.IntN(12); k {
		case 0:
			steps = append(steps, step{command: removeCommand(fmt.Sprint("r", i), id, at), at: at})
		case 1:
			steps = append(steps, step{command: describeCommand(fmt.Sprint("n", i), id, at, named(fmt.Sprint("name ", i%3))), at: at})
		case 3:
			steps = append(steps, step{command: maintainCommand(fmt.Sprint("m", i), id, at, at+int64(rnd.IntN(40_000))+1), at: at})
		case 2: // a command that was sent before
			if j := max(0, len(steps)-1-rnd.IntN(40)); j < len(steps) && steps[j].command != nil {
				steps = append(steps, step{command: steps[j].command, at: at})
			}
		default:
			steps = append(steps, step{reading: message(int64(i), id, at, []float64{20, 85, 99}[rnd.IntN(3)]), at: at})
		}
	}
	return steps
}

// outcome is what a task left in Kafka.
type outcome struct {
	alerts  map[string][]telemetry.Alert
	audits  map[string][]telemetry.AuditEntry
	devices []string
	metas   map[string]string
	removed map[string]int // records of removed alarms by id
}

// lived processes steps. After each, next decides whether to commit, and whether to kill.
func lived(t *testing.T, p *Processor, steps []step, next func() (commit, kill bool)) outcome {
	t.Helper()
	out := outcome{alerts: map[string][]telemetry.Alert{}, audits: map[string][]telemetry.AuditEntry{}, removed: map[string]int{}}
	kept, position := newBatch(), 0
	restart := func() *task {
		tk := newTask(p, 0, func() {})
		newSession(p, nil).load(tk, stored{alarms: kept.alarms, devices: kept.devices, metas: kept.metas})
		return tk
	}
	tk := restart()
	done := 0
	store := func() {
		b := tk.pending.pop()
		if b == nil {
			return
		}
		position = done
		for _, a := range alertsOf(t, b) {
			a.DetectedAt, a.LastSeen = 0, 0
			out.alerts[a.DeviceID] = append(out.alerts[a.DeviceID], a)
			if a.Event == telemetry.EventRemoved {
				out.removed[a.AlertID]++
			}
		}
		for _, e := range auditsOf(t, b) {
			out.audits[e.DeviceID] = append(out.audits[e.DeviceID], e)
		}
		kept.absorb(&batch{removed: b.removed, alarms: b.alarms, devices: b.devices, metas: b.metas})
		for _, m := range []map[string][]byte{kept.alarms, kept.devices, kept.metas} {
			maps.DeleteFunc(m, func(_ string, v []byte) bool { return v == nil })
		}
	}
	for done < len(steps) {
		s := &steps[done]
		done++
		if s.reading != nil {
			tk.process([]*sarama.ConsumerMessage{s.reading})
		} else {
			tk.apply(s.command, s.at)
			tk.out.moved = true
			tk.flush(s.at)
		}
		commit, kill := next()
		if commit {
			store()
		}
		if kill {
			tk, done = restart(), position
		}
	}
	store()
	out.devices = slices.Sorted(maps.Keys(kept.devices))
	out.metas = map[string]string{}
	for id, data := range kept.metas {
		out.metas[id] = string(data)
	}
	require.Empty(t, slices.DeleteFunc(slices.Collect(maps.Keys(kept.alarms)), func(key string) bool {
		_, known := kept.devices[strings.TrimPrefix(key, removalPrefix)]
		return known || strings.HasPrefix(key, removalPrefix)
	}), "alarm states of removed devices")
	return out
}
