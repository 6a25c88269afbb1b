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

// step is one record of the inputs of a task: a reading or a command.
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
	out := outcome{audits: map[string][]telemetry.AuditEntry{}, removed: map[string]int{}}
	r := killable{
		start: func(kept *batch, _ int) *task {
			tk := newTask(p, 0, func() {})
			newSession(p, nil).load(tk, stored{alarms: kept.alarms, devices: kept.devices, metas: kept.metas})
			return tk
		},
		committed: func(b *batch) {
			for _, e := range auditsOf(t, b) {
				out.audits[e.DeviceID] = append(out.audits[e.DeviceID], e)
			}
		},
	}
	r.run(t, steps, next)
	kept := r.kept
	out.alerts = r.alerts
	for _, all := range r.alerts {
		for i := range all {
			if all[i].Event == telemetry.EventRemoved {
				out.removed[all[i].AlertID]++
			}
		}
	}
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

// killable runs a task that can be killed after each step and starts again from what was committed.
type killable struct {
	start     func(kept *batch, position int) *task // position: how many steps were committed
	committed func(b *batch)                        // looks at what is committed; may be nil
	between   func(tk *task, next *step)            // before each step, and before the last commit with nil; may be nil

	task   *task // after the last step
	kept   *batch
	alerts map[string][]telemetry.Alert // committed ones, by device
}

// run processes steps and commits at the end. After each, next decides whether to commit, and whether to kill.
func (k *killable) run(t *testing.T, steps []step, next func() (commit, kill bool)) {
	t.Helper()
	k.kept, k.alerts = newBatch(), map[string][]telemetry.Alert{}
	position, done := 0, 0
	k.task = k.start(k.kept, position)
	store := func() {
		b := k.task.pending.pop()
		if b == nil {
			return
		}
		position = done
		k.store(t, b)
	}
	for done < len(steps) {
		s := &steps[done]
		if k.between != nil {
			k.between(k.task, s)
		}
		done++
		if s.reading != nil {
			k.task.process([]*sarama.ConsumerMessage{s.reading})
		} else {
			k.task.apply(s.command, s.at)
			k.task.out.moved = true
			k.task.flush(s.at)
		}
		commit, kill := next()
		if commit {
			store()
		}
		if kill {
			k.task, done = k.start(k.kept, position), position
		}
	}
	if k.between != nil {
		k.between(k.task, nil)
	}
	store()
}

// store keeps what a commit leaves in Kafka.
func (k *killable) store(t *testing.T, b *batch) {
	t.Helper()
	for _, a := range alertsOf(t, b) {
		a.DetectedAt, a.LastSeen = 0, 0
		k.alerts[a.DeviceID] = append(k.alerts[a.DeviceID], a)
	}
	if k.committed != nil {
		k.committed(b)
	}
	k.kept.absorb(&batch{removed: b.removed, alarms: b.alarms, devices: b.devices, metas: b.metas, detect: b.detect})
	for _, m := range []map[string][]byte{k.kept.alarms, k.kept.devices, k.kept.metas} {
		maps.DeleteFunc(m, func(_ string, v []byte) bool { return v == nil })
	}
}
