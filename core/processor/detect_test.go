package processor

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// newDetectTask returns a task whose detector is in a mode.
func newDetectTask(tb testing.TB, mode string) *task {
	tb.Helper()
	cfg := defaultConfig(tb)
	cfg.HTTPAddr, cfg.DetectMode = "", mode
	// Alarms of rules are not what these tests are about.
	cfg.TemperatureHigh, cfg.TemperatureLow = 1e9, -1e9
	p, err := New(Options{Config: cfg, Log: discardLog()})
	require.NoError(tb, err)
	p.partitions.Store(1)
	return newTask(p, 0, func() {})
}

// ordinary is the i-th value of a sensor that changes evenly.
func ordinary(i int) float64 { return 20 + float64(i*7%13)/10 }

const (
	// learning readings, one every apart ms, are more than the day until the detector judges.
	learning = 400
	apart    = 300_000
)

// taught returns readings of a device up to a time.
func taught(id string, last int64, n int) []*sarama.ConsumerMessage {
	in := make([]*sarama.ConsumerMessage, n)
	for i := range in {
		in[i] = message(int64(i), id, last-int64(n-1-i)*apart, ordinary(i))
	}
	return in
}

func anomalies(tb testing.TB, b *batch) (out []telemetry.Alert) {
	tb.Helper()
	for _, r := range b.alerts {
		var a telemetry.Alert
		require.NoError(tb, json.Unmarshal(r.data, &a))
		if a.Source == telemetry.SourceAnomaly {
			out = append(out, a)
		}
	}
	return out
}

func TestAnExcursionIsAnAnomalyAlarm(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	from := time.Now().UnixMilli() - 600_000
	last := from
	in := taught("d1", last, learning)
	tk.process(in)
	require.Empty(t, anomalies(t, tk.pending.pop()))
	tk.process([]*sarama.ConsumerMessage{message(learning, "d1", last+1000, 4000)})
	got := anomalies(t, tk.pending.pop())
	require.Len(t, got, 1)
	a := got[0]
	require.Equal(t, "anomaly_temperature", a.AlertType)
	require.Equal(t, telemetry.EventRaised, a.Event)
	require.Equal(t, telemetry.SeverityLow, a.Severity)
	require.Equal(t, last+1000, a.RaisedAt)
	require.Equal(t, "anomaly", a.Kind)
	require.Equal(t, "°C", a.Unit)
	require.Equal(t, ">", a.Threshold.Operator)
	require.Equal(t, "temperature", a.Threshold.Parameter)
	require.InDelta(t, 4000, a.CurrentValue, 0)
	require.NotNil(t, a.Anomaly)
	require.NotEmpty(t, a.Anomaly.Kind)
	require.Equal(t, "A栋", a.Location.Building)
	require.NotEmpty(t, a.Message)
}

func TestShadowCountsAndRaisesNothing(t *testing.T) {
	tk := newDetectTask(t, detectShadow)
	reg := prometheus.NewRegistry()
	tk.p.metrics = newMetrics(reg, tk.p)
	c := &core{Processor: tk.p, reg: reg}
	last := time.Now().UnixMilli() - 600_000
	in := taught("d1", last, learning)
	tk.process(append(in, message(learning, "d1", last+1000, 4000)))
	require.Empty(t, tk.pending.pop().alerts)
	require.InDelta(t, 1, c.value(t, "core_anomalies_total", detectShadow), 0)
	require.Zero(t, c.value(t, "core_anomalies_total", detectOn))
	require.Positive(t, c.value(t, "core_detect_seconds"))
}

func TestOffLearnsNothing(t *testing.T) {
	tk := newDetectTask(t, detectOff)
	in := taught("d1", time.Now().UnixMilli()-600_000, 10)
	tk.process(in)
	require.Nil(t, tk.devices["d1"].detect)
	require.Empty(t, tk.pending.pop().detect)
}

// TestAlarmOfAnotherModeEnds restarts with the detector off while its alarm holds.
func TestAlarmOfAnotherModeEnds(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	in := taught("d1", last, learning)
	tk.process(append(in, message(learning, "d1", last+1000, 4000)))
	b := tk.pending.pop()
	for _, mode := range []string{detectOff, detectShadow} {
		next := newDetectTask(t, mode)
		newSession(next.p, nil).load(next, stored{alarms: b.alarms, devices: b.devices, learnt: b.detect})
		next.tick(time.Now().UnixMilli())
		got := anomalies(t, next.pending.pop())
		require.Len(t, got, 1)
		require.Equal(t, telemetry.EventCleared, got[0].Event)
		next.tick(time.Now().UnixMilli())
		if b := next.pending.pop(); b != nil {
			require.Empty(t, b.alerts, "once")
		}
	}
}

func TestLateAndOldReadingsRaiseNothing(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	now := time.Now().UnixMilli()
	last := now - 7200_000
	in := taught("d1", last, learning)
	tk.process(in)
	tk.pending.pop()
	tk.process([]*sarama.ConsumerMessage{message(learning, "d1", last-500, 4000)})
	require.Empty(t, anomalies(t, tk.pending.pop()), "late")
	old := backfilled(message(learning+1, "d1", last+1000, 4000), "gw-a", last+1000)
	old.Timestamp = time.UnixMilli(now)
	tk.process([]*sarama.ConsumerMessage{old})
	require.Empty(t, anomalies(t, tk.pending.pop()), "it waited for hours")
	require.Equal(t, last+1000, tk.devices["d1"].detect.Seen(), "but it teaches")
}

func TestADeviceUnderMaintenanceTeachesNothing(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	in := taught("d1", last, learning)
	tk.process(in)
	tk.apply(maintainCommand("m1", "d1", last, last+3_600_000), last)
	tk.process([]*sarama.ConsumerMessage{message(learning, "d1", last+1000, 4000)})
	require.Equal(t, last, tk.devices["d1"].detect.Seen())
	require.Empty(t, anomalies(t, tk.pending.pop()))
}

func notAnomaly(id, device string, at int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, AlertType: "anomaly_temperature", Action: telemetry.ActionNotAnomaly, By: "somebody", At: at,
	}
}

func TestFeedbackEndsTheAlarmOnce(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	in := taught("d1", last, learning)
	reg := prometheus.NewRegistry()
	tk.p.metrics = newMetrics(reg, tk.p)
	c := &core{Processor: tk.p, reg: reg}
	s := newSession(tk.p, nil)
	tk.process(append(in, message(learning, "d1", last+1000, 4000)))
	s.announce(tk.pending.pop())
	require.InDelta(t, 1, c.value(t, "core_alerts_total", "active", "low"), 0)
	apply := func(c *telemetry.AlarmCommand) *batch {
		tk.apply(c, last+2000)
		tk.out.moved = true
		tk.flush(last + 2000)
		return tk.pending.pop()
	}
	b := apply(notAnomaly("c1", "d1", last+2000))
	got := anomalies(t, b)
	require.Len(t, got, 1)
	require.Equal(t, telemetry.EventNotAnomaly, got[0].Event)
	require.Equal(t, telemetry.AlarmNormal, got[0].State)
	require.Equal(t, telemetry.AlertCleared, got[0].Status)
	s.announce(b)
	require.InDelta(t, 1, c.value(t, "core_alerts_total", "cleared", "low"), 0)
	entries := auditsOf(t, b)
	require.Len(t, entries, 1)
	require.Equal(t, "c1", entries[0].CommandID)
	require.Equal(t, telemetry.OutcomeApplied, entries[0].Outcome)
	require.Contains(t, b.detect, "d1", "what it taught is written with it")
	lift := tk.devices["d1"].detect.alarms.Sensors[0].Lift
	require.InDelta(t, 1.25, lift, 1e-9)

	b = apply(notAnomaly("c1", "d1", last+2000))
	require.Empty(t, b.audits, "the same command again")
	require.InDelta(t, lift, tk.devices["d1"].detect.alarms.Sensors[0].Lift, 0)

	b = apply(notAnomaly("c2", "d1", last+2000))
	require.Empty(t, b.alerts)
	require.Equal(t, telemetry.OutcomeApplied, auditsOf(t, b)[0].Outcome, "there need not be an alarm")

	unknown := notAnomaly("c3", "d1", last+2000)
	unknown.AlertType = "anomaly_radon"
	require.Equal(t, telemetry.OutcomeRefused, auditsOf(t, apply(unknown))[0].Outcome)
	require.Error(t, (&telemetry.AlarmCommand{
		CommandID: "c", DeviceID: "d1", AlertType: "temperature_high", Action: telemetry.ActionNotAnomaly, By: "x", At: last,
	}).Check())
}

func TestARemovedDeviceLeavesNoState(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	in := taught("d1", last, 10)
	tk.process(in)
	require.EqualValues(t, 4, tk.detects.streams.Load())
	tk.remove(removeCommand("r1", "d1", last), last)
	tk.flush(last)
	b := tk.pending.pop()
	require.NotContains(t, b.detect, "d1")
	require.Len(t, b.removed, 1)
	require.Zero(t, tk.detects.streams.Load())
	require.Zero(t, tk.detects.buildings["A栋"].devices)
}

func TestUnreadableStatesAreLearntAnew(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	in := taught("d1", time.Now().UnixMilli()-600_000, 10)
	tk.process(in)
	b := tk.pending.pop()
	require.NotEmpty(t, b.detect["d1"])
	for name, data := range map[string][]byte{
		"good": b.detect["d1"], "empty": {}, "other version": append([]byte{detectVersion + 1}, b.detect["d1"][1:]...),
		"cut": b.detect["d1"][:20], "no detector": b.detect["d1"][:len(b.detect["d1"])-1], "size": {detectVersion, 0xff, 0xff, 0xff, 1},
	} {
		next := newDetectTask(t, detectOn)
		newSession(next.p, nil).load(next, stored{devices: b.devices, learnt: map[string][]byte{
			"d1": data, "stranger": b.detect["d1"], budgetPrefix + "A栋": []byte("{"),
		}})
		require.Equal(t, name == "good", next.devices["d1"].detect != nil, name)
		require.Len(t, next.devices, 1)
	}
}

// TestAnAlarmEndsThoughItsReadingsAreLearntAgain restarts with a rule that wants no alarm, while what
// ends it then is among the readings that are read again.
func TestAnAlarmEndsThoughItsReadingsAreLearntAgain(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	tk.process(append(taught("d1", last, learning), message(learning, "d1", last+1000, 4000)))
	b := tk.pending.pop()
	require.Len(t, anomalies(t, b), 1)
	next := newDetectTask(t, detectOn)
	useRules(t, next, "rules:\n  - {id: none, kind: anomaly, parameter: \"*\", enabled: false}\n")
	next = newTask(next.p, 0, func() {})
	newSession(next.p, nil).load(next, stored{alarms: b.alarms, devices: b.devices, learnt: b.detect})
	next.detects.fall(learning+2, nil, func() {})
	next.progress.next.Store(learning + 2)
	next.learnAgain([]*sarama.ConsumerMessage{message(learning+1, "d1", last+2000, ordinary(learning+1))})
	require.Nil(t, next.detects.behind)
	next.process([]*sarama.ConsumerMessage{message(learning+2, "d1", last+3000, ordinary(learning+2))})
	got := anomalies(t, next.pending.pop())
	require.Len(t, got, 1)
	require.Equal(t, telemetry.EventCleared, got[0].Event)
	require.Empty(t, next.devices["d1"].alarm.Anomalies())
}

// TestADetectorThatIsBehindJudgesLater stops while the detector has not caught up: a reading that the task has
// processed and committed meanwhile is judged after the next start, by what the detector has learnt until then.
func TestADetectorThatIsBehindJudgesLater(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	in := taught("d1", last, learning)
	tk.process(in[:learning-1])
	b := tk.pending.pop()
	astray := message(learning, "d1", last+1000, 4000)
	kept := stored{devices: b.devices, learnt: b.detect}

	second := newDetectTask(t, detectOn)
	newSession(second.p, nil).load(second, kept)
	second.detects.fall(learning, nil, func() {})
	second.process([]*sarama.ConsumerMessage{astray})
	second.finish(stopBytes)
	b = second.pending.pop()
	require.Empty(t, anomalies(t, b))
	require.NotContains(t, b.detect, "d1", "it has learnt nothing")
	kept.learnt[markKey] = b.detect[markKey]

	third := newDetectTask(t, detectOn)
	newSession(third.p, nil).load(third, kept)
	third.detects.fall(learning+1, nil, func() {})
	third.progress.next.Store(learning + 1)
	third.learnAgain(in[learning-1:])
	require.Nil(t, third.pending.pop().alerts)
	third.learnAgain([]*sarama.ConsumerMessage{astray})
	b = third.pending.pop()
	require.Len(t, anomalies(t, b), 1)
	require.Nil(t, third.detects.behind)
	var m mark
	require.NoError(t, json.Unmarshal(b.detect[markKey], &m))
	require.Zero(t, m.Judged)
}

// TestTheMarkGoesAsFarAsAllStates moves it up to the first reading that a state lacks.
func TestTheMarkGoesAsFarAsAllStates(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	last := time.Now().UnixMilli() - 600_000
	first := taught("d1", last, 3)
	tk.process(first) // writes that d1 exists
	tk.process([]*sarama.ConsumerMessage{message(3, "d2", last, 20)})
	tk.process([]*sarama.ConsumerMessage{message(4, "d1", last+1000, 20), message(5, "d2", last+1000, 20)})
	tk.detects.note(tk.devices, 6, last)
	require.EqualValues(t, 4, tk.detects.mark.Known)
	tk.finish(stopBytes)
	b := tk.pending.pop()
	next := newDetectTask(t, detectOn)
	newSession(next.p, nil).load(next, stored{devices: b.devices, learnt: b.detect})
	require.EqualValues(t, 6, next.detects.mark.Known)
	for _, d := range next.devices {
		require.EqualValues(t, 6, d.detect.position, d.id)
	}
}

func TestUnusualDevicesAreReportedWhileTheyAre(t *testing.T) {
	tk := newDetectTask(t, detectShadow)
	last := time.Now().UnixMilli() - learning*1000
	in := taught("d1", last, learning)
	tk.process(append(in, message(learning, "d1", last+1, 4000)))
	s := newSession(tk.p, nil)
	s.order = []*task{tk}
	tk.p.session.Store(s)
	require.Empty(t, tk.p.unusual())
	tk.detects.report(last)
	got := tk.p.unusual()
	require.Len(t, got, 1)
	require.Equal(t, "d1", got[0].DeviceID)
	require.Equal(t, "temperature", got[0].Sensor)
	require.Equal(t, "°C", got[0].Unit)
	require.Equal(t, "301", got[0].Location.Room)
	require.Equal(t, last+1, got[0].At)
	tk.devices["d1"].detect.state = 0
	tk.detects.report(last)
	require.Empty(t, tk.p.unusual())
	require.Empty(t, tk.detects.candidates)
}

func TestADeviceIsNotReportedBeforeWhatIsUnusualHasAKind(t *testing.T) {
	tk := newDetectTask(t, detectShadow)
	last := time.Now().UnixMilli() - learning*1000
	tk.process(taught("d1", last, learning))
	s := newSession(tk.p, nil)
	s.order = []*task{tk}
	tk.p.session.Store(s)
	for i := int64(1); ; i++ { // further and further off, by a little
		require.Less(t, i, int64(1000))
		tk.process([]*sarama.ConsumerMessage{message(learning+i, "d1", last+i, 21+float64(i)/50)})
		tk.detects.report(last)
		if got := tk.p.unusual(); len(got) > 0 {
			require.NotEmpty(t, got[0].Kind)
			require.Equal(t, last+i, got[0].Since)
			return
		}
	}
}

// TestKillTeachesTheSame kills a task at random and continues from what was committed last, reading
// again what the states do not know: the alarms about anomalies, the budget and what the detector
// knows are those of a task that was never killed. Feedback and maintenance come in between.
func TestKillTeachesTheSame(t *testing.T) {
	tk := newDetectTask(t, detectOn)
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		steps := excursive(rnd, time.Now().UnixMilli()-1_500_000)
		want := detectedIn(t, tk.p, rnd, steps, func() (commit, kill bool) { return true, false })
		require.NotEmpty(t, want.alerts, "seed %d", seed)
		got := detectedIn(t, tk.p, rnd, steps, func() (commit, kill bool) { return rnd.IntN(3) == 0, rnd.IntN(40) == 0 })
		require.Equal(t, want, got, "seed %d", seed)
	}
}

// excursive are readings of devices that learn and then go astray now and then, and commands.
func excursive(rnd *rand.Rand, from int64) (steps []step) {
	const devices, rounds = 4, 700
	offset, command := int64(0), 0
	for round := range rounds {
		for d := range devices {
			at, id := from+int64(round)*1000-max(0, int64(300-round))*apart+int64(d), fmt.Sprint("d", d)
			value := ordinary(round + d)
			if round > 300 && rnd.IntN(60) == 0 {
				value *= 50 + float64(rnd.IntN(100))*float64(round)
			}
			steps = append(steps, step{reading: message(offset, id, at, value), at: at})
			offset++
			switch {
			case round < 300:
			case rnd.IntN(150) == 0:
				command++
				steps = append(steps, step{command: notAnomaly(fmt.Sprint("f", command), id, at), at: at})
			case rnd.IntN(300) == 0:
				command++
				steps = append(steps, step{command: maintainCommand(fmt.Sprint("m", command), id, at, at+20_000), at: at})
			}
		}
	}
	return steps
}

// maintained reports whether a device is under maintenance. When it ends depends on the task alone.
func maintained(tk *task) bool {
	for _, d := range tk.devices {
		if d.alarm.Maintenance() != nil {
			return true
		}
	}
	return false
}

// learnt is what a run left.
type learnt struct {
	alerts map[string][]telemetry.Alert
	states map[string]string
}

// detectedIn processes steps. After each, next decides whether to commit, and whether to kill.
func detectedIn(t *testing.T, p *Processor, rnd *rand.Rand, steps []step, next func() (commit, kill bool)) learnt {
	t.Helper()
	r := killable{start: func(kept *batch, position int) *task {
		tk := newTask(p, 0, func() {})
		newSession(p, nil).load(tk, stored{alarms: kept.alarms, devices: kept.devices, metas: kept.metas, learnt: kept.detect})
		since, _, _ := tk.detects.unknown(tk.devices)
		end, records := int64(0), make(chan *sarama.ConsumerMessage, len(steps))
		for i := range steps {
			m := steps[i].reading
			if m == nil {
				continue
			}
			if m.Timestamp.UnixMilli() >= since || m.Offset >= tk.detects.mark.Judged && tk.detects.mark.Judged > 0 {
				records <- m
			}
			if i < position {
				end = m.Offset + 1
			}
		}
		if position > 0 {
			tk.progress.next.Store(end)
			tk.detects.fall(end, records, func() {})
		}
		return tk
	}, between: func(tk *task, next *step) {
		for tk.detects.behind != nil && (next == nil || next.command != nil || maintained(tk) || rnd.IntN(8) == 0) {
			records := tk.detects.unread()
			tk.learnAgain(fill(append(make([]*sarama.ConsumerMessage, 0, 1+rnd.IntN(maxChunk)), <-records), records))
		}
		if rnd.IntN(30) == 0 {
			tk.detects.note(tk.devices, tk.progress.next.Load(), 0)
		}
	}}
	r.run(t, steps, next)
	out := learnt{alerts: r.alerts, states: map[string]string{}}
	for id, d := range r.task.devices {
		d.detect.settle()
		h := snapshotHead{Neighbours: d.detect.near.State(), Building: d.detect.building, Written: d.detect.Seen(), Held: d.detect.held, Streams: d.detect.streams, Alarms: d.detect.alarms}
		data, err := encodeSnapshot(&h, &d.detect.Device)
		require.NoError(t, err)
		out.states[id] = string(data)
	}
	for name, b := range r.task.detects.buildings {
		out.states[budgetPrefix+name] = fmt.Sprint(b.devices, b.budget.Raises)
	}
	return out
}
