package alarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// busy are rules of every kind that a random walk breaks again and again.
func busy() []Rule {
	return []Rule{
		{ID: "temperature_high", If: Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}, Severity: telemetry.SeverityHigh},
		{ID: "temperature_high_high", If: Condition{Kind: HighHigh, Parameter: temperature, Limit: 90, Deadband: 1}, OnDelay: 7 * time.Second, OffDelay: 5 * time.Second},
		{ID: "temperature_low", If: Condition{Kind: Low, Parameter: temperature, Limit: 60}, OnDelay: 4 * time.Second},
		{ID: "temperature_rate", If: Condition{Kind: Rate, Parameter: temperature, Limit: 20, Deadband: 5, Window: 20 * time.Second}, OffDelay: 3 * time.Second},
		{ID: "current_stuck", If: Condition{Kind: Stuck, Parameter: current, For: 12 * time.Second}},
		{ID: "current_high", If: Condition{Kind: High, Parameter: current, Limit: 10}, OffDelay: 2 * time.Second},
		{ID: "temperature_deviation", If: Condition{Kind: Deviation, Parameter: temperature, Limit: 10, Deadband: 3}},
		{ID: "battery_low", If: Condition{Kind: BatteryLow, Limit: 20, Deadband: 10}},
		{ID: "signal_weak", If: Condition{Kind: SignalWeak, Limit: -80}, OnDelay: 3 * time.Second},
		{ID: "switch_off", If: Condition{Kind: SwitchIs}, OnDelay: 6 * time.Second},
		{
			ID: "hot_and_humid", If: Condition{Kind: High, Parameter: temperature, Limit: 75, Deadband: 5}, Combine: And,
			Other: &Condition{Kind: High, Parameter: humidity, Limit: 50, Deadband: 5}, OnDelay: time.Second,
		},
		{
			ID: "hot_or_off", If: Condition{Kind: High, Parameter: temperature, Limit: 85}, Combine: Or,
			Other: &Condition{Kind: SwitchIs}, OffDelay: 4 * time.Second,
		},
		{ID: "co2_high", If: Condition{Kind: High, Parameter: "co2", Limit: 1000, Deadband: 50}, OnDelay: 2 * time.Second},
		{ID: "vibration_rate", If: Condition{Kind: Rate, Parameter: "vibration", Limit: 0.5, Unit: "in/s", Window: 20 * time.Second}},
		{ID: "flow_stuck", If: Condition{Kind: Stuck, Parameter: "flow", For: 10 * time.Second}},
		{ID: "flow_deviation", If: Condition{Kind: Deviation, Parameter: "flow", Limit: 2}, OffDelay: time.Second},
		{
			ID: "door_and_co2", If: Condition{Kind: SwitchIs, Parameter: "door", On: true}, Combine: And,
			Other: &Condition{Kind: Low, Parameter: "co2", Limit: 990}, OnDelay: time.Second,
		},
		{ID: "device_offline", If: Condition{Kind: Offline}, OnDelay: 2 * time.Second},
	}
}

// wander is a random walk of readings over and under the limits, with repeated, late
// and long waiting ones among them.
func wander(rnd *rand.Rand, n int) []Input {
	inputs := make([]Input, 0, n)
	ts, v, h := t0, 70.0, 50.0
	on := true
	for range n {
		ts += 1 + rnd.Int64N(5000)
		v = max(40, min(v+rnd.NormFloat64()*6, 110))
		h = max(20, min(h+rnd.NormFloat64()*4, 80))
		if rnd.IntN(10) == 0 {
			on = !on
		}
		in := at(ts, v)
		in.Partition, in.Offset = 3, int64(len(inputs))
		s := &in.Reading.Sensors
		if rnd.IntN(8) == 0 {
			*s = nil
		}
		if rnd.IntN(5) > 0 {
			s.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: h, Unit: "%"})
		}
		if rnd.IntN(3) > 0 {
			s.Set(telemetry.Sensor{Name: telemetry.Current, Number: 9.5 + float64(rnd.IntN(3)), Unit: "A"})
		}
		if rnd.IntN(3) > 0 {
			s.Set(telemetry.Switch(telemetry.SwitchStatus, on))
		}
		strange(rnd, s)
		in.Reading.Info = telemetry.DeviceInfo{Battery: telemetry.Some(float64(rnd.IntN(100))), SignalStrength: telemetry.Some(-float64(rnd.IntN(100)))}
		if rnd.IntN(4) > 0 {
			in.Room = &RoomView{{temperature, RoomValue{Count: rnd.IntN(5), Mean: v, Median: 70}}, {"flow", RoomValue{Count: 2, Mean: 5, Median: 5}}}
		}
		switch rnd.IntN(12) {
		case 0:
			in.Reading.Timestamp -= rnd.Int64N(60_000)
		case 1:
			in.Waited = rnd.Int64N(600_000)
		case 2:
			inputs = append(inputs, in) // comes twice
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// strange adds sensors of any name and kind, some of which rules judge, and changes the
// order.
func strange(rnd *rand.Rand, s *telemetry.Sensors) {
	for _, name := range []string{"co2", "vibration", "flow", "door", "mode", "battery", "x1", "x2"} {
		m := telemetry.Sensor{Name: name, Number: float64(980 + rnd.IntN(40))}
		switch name {
		case "vibration", "flow":
			m.Number = float64(rnd.IntN(3) * 4)
		case "door":
			m = telemetry.Switch(name, rnd.IntN(4) > 0)
		}
		switch rnd.IntN(12) {
		case 0, 1, 2:
			continue
		case 3:
			m.Status = telemetry.StatusUnitUnknown
		case 4:
			m = telemetry.Sensor{Name: name, Kind: telemetry.Text, Text: "auto"}
		case 5:
			m.Kind, m.Number = telemetry.Bool, 1
		}
		s.Set(m)
	}
	if rnd.IntN(4) == 0 {
		rnd.Shuffle(len(*s), func(i, k int) { (*s)[i], (*s)[k] = (*s)[k], (*s)[i] })
	}
}

// world plays readings, ticks, findings and commands in a random order.
type world struct {
	t       *testing.T
	rs      *Rules
	rnd     *rand.Rand
	s       State
	journal []Transition
	written bool // the state is written and read back after each step
	n       int
	now     int64
	silent  bool
	silence int64
}

func (w *world) step(in Input) {
	given := w.s
	var before []byte
	if w.rnd.IntN(4) == 0 {
		before = encode(w.t, given)
	}
	w.now = max(w.now+1, in.Received+in.Waited)
	now := w.now
	switch w.rnd.IntN(8) {
	case 0:
		w.s, w.journal, _ = w.rs.Tick(w.s, now, w.journal)
	case 1:
		w.silent, w.silence = !w.silent, now
	case 2:
		w.command(now)
	case 3:
		w.maintain(now)
	}
	watch := Finding{Device: "d1", Type: "device_offline", Holds: w.silent, Since: w.silence, Now: now, Value: 1}
	if w.rnd.IntN(3) == 0 {
		watch.Parent = "gw"
	}
	w.s, w.journal, _ = w.rs.Apply(w.s, watch, w.journal)
	w.s, w.journal, _ = w.rs.Step(w.s.Clone(), in, w.journal)
	if before != nil {
		require.Equal(w.t, string(before), string(encode(w.t, given)), "a state that was given was changed")
	}
	if w.written {
		w.s = again(w.t, w.s)
	}
	related(w.t, w.s)
	shelved(w.t, w.s)
}

// related checks that the alarms of s are in line with each other.
func related(t *testing.T, s State) {
	t.Helper()
	high, graver, offline := s.holding("temperature_high"), s.holding("temperature_high_high"), s.holding(deviceOffline)
	if high >= 0 && !s.mem.Alarms[high].Past {
		a, explained := &s.mem.Alarms[high], false
		if graver >= 0 {
			b := &s.mem.Alarms[graver]
			explained = !b.Past && b.OutOfService == nil
		}
		require.Equal(t, explained, a.Suppressed != nil)
		if explained {
			require.Equal(t, s.mem.Alarms[graver].AlertID, a.Suppressed.ByAlarm)
			require.Equal(t, a.Suppressed.ByAlarm, a.ParentAlarmID)
		}
	}
	for i := range s.open() {
		a := &s.mem.Alarms[i]
		judged := a.Source == telemetry.SourceRule && a.holds() && !a.Past && offline >= 0
		if !judged && a.Uncertain || judged && !a.Uncertain && s.lastOf(a.Threshold.Parameter) <= s.mem.Alarms[offline].Since {
			t.Fatalf("%s: uncertain %v, offline %v", a.AlertType, a.Uncertain, offline >= 0) // cheaper than require, at every step
		}
	}
}

func (s *State) open() []Alarm {
	if s.mem == nil {
		return nil
	}
	return s.mem.Alarms
}

func encode(t *testing.T, s State) []byte {
	t.Helper()
	data, err := s.Encode()
	require.NoError(t, err)
	return data
}

func (w *world) command(now int64) {
	actions := []telemetry.AlarmAction{
		telemetry.ActionAcknowledge, telemetry.ActionAcknowledge, telemetry.ActionAcknowledge, telemetry.ActionShelve, telemetry.ActionUnshelve,
		telemetry.ActionOutOfService, telemetry.ActionInService, telemetry.ActionComment, telemetry.ActionAssign,
	}
	all := busy()
	w.n++
	c := &telemetry.AlarmCommand{
		CommandID: fmt.Sprint("c", w.n), DeviceID: "d1", AlertType: all[w.rnd.IntN(len(all))].ID, Action: actions[w.rnd.IntN(len(actions))],
		By: "operator", At: now, Note: "note", Until: now + w.rnd.Int64N(60_000) + 1, Assignee: fmt.Sprint(w.rnd.IntN(3)),
	}
	var entry telemetry.AuditEntry
	before := len(w.journal)
	w.s, w.journal, entry, _ = w.rs.Command(w.s, c, now, w.journal)
	require.Equal(w.t, c.CommandID, entry.CommandID)
	if c.Action != telemetry.ActionOutOfService && c.Action != telemetry.ActionInService {
		require.LessOrEqual(w.t, len(w.journal), before+1)
	}
	require.Equal(w.t, len(w.journal) > before, entry.Revision > 0)
}

func live(t *testing.T, seed uint64, written bool) *world {
	t.Helper()
	w := &world{t: t, rs: compile(t, busy()...), rnd: rand.New(rand.NewPCG(seed, 1)), written: written}
	for _, in := range wander(rand.New(rand.NewPCG(seed, 2)), 300) {
		w.step(in)
	}
	return w
}

// legal are the transitions of ISA-18.2 that there are.
func legal(e telemetry.AlarmEvent, from, to telemetry.AlarmState) bool {
	const normal, unseen, seen, returned = telemetry.AlarmNormal, telemetry.AlarmUnacknowledged, telemetry.AlarmAcknowledged, telemetry.AlarmReturned
	switch e {
	case telemetry.EventRaised:
		return from == normal && to == unseen
	case telemetry.EventRepeated:
		return from == returned && to == unseen
	case telemetry.EventCleared:
		return from == unseen && (to == returned || to == normal) || from == seen && to == normal
	case telemetry.EventAcknowledged:
		return from == unseen && to == seen || from == returned && to == normal
	default:
		return from == to
	}
}

// TestNoIllegalTransition: whatever readings, the clock, findings and commands do, every
// transition is legal, each alarm has one state at a time, and its records have an order.
func TestNoIllegalTransition(t *testing.T) {
	for seed := range uint64(20) {
		w := live(t, seed, false)
		newest := map[string]telemetry.Alert{} // by id
		current := map[string]string{}         // type to id, not of history
		events := map[telemetry.AlarmEvent]int{}
		for i := range w.journal {
			a, audit := w.journal[i].Alert, w.journal[i].Audit
			where := fmt.Sprintf("seed %d, record %d, %s", seed, i, a.AlertType)
			events[a.Event]++
			before, known := newest[a.AlertID]
			require.Equal(t, before.Revision+1, a.Revision, where)
			require.True(t, legal(a.Event, audit.From, a.State), where)
			require.Equal(t, a.State, audit.To, where)
			require.Equal(t, a.Revision, audit.Revision, where)
			if known {
				require.Equal(t, before.State, audit.From, where)
				require.Equal(t, before.RaisedAt, a.RaisedAt, where)
			}
			if before.Ack != nil {
				require.Equal(t, before.Ack, a.Ack, "an acknowledgement is never lost: "+where)
			}
			require.Equal(t, a.State == telemetry.AlarmUnacknowledged || a.State == telemetry.AlarmAcknowledged, a.Status == telemetry.AlertActive, where)
			require.Equal(t, a.Status == telemetry.AlertCleared, a.ClearedAt != 0, where)
			if a.ClearedAt != 0 {
				require.GreaterOrEqual(t, a.ClearedAt, a.RaisedAt, where)
			}
			require.Equal(t, a.State == telemetry.AlarmAcknowledged, a.Ack != nil && a.Status == telemetry.AlertActive, where)
			require.LessOrEqual(t, len(a.History), maxHistory, where)
			require.Equal(t, a.Event, a.History[len(a.History)-1].Event, where)
			require.Positive(t, a.Priority, where)
			if !a.Historical {
				if id, ok := current[a.AlertType]; ok && id != a.AlertID {
					require.Equal(t, telemetry.AlarmNormal, newest[id].State, "two alarms at a time: "+where)
				}
				current[a.AlertType] = a.AlertID
			}
			newest[a.AlertID] = a
		}
		if seed == 0 {
			for _, e := range []telemetry.AlarmEvent{
				telemetry.EventRaised, telemetry.EventRepeated, telemetry.EventCleared, telemetry.EventAcknowledged, telemetry.EventShelved,
				telemetry.EventUnshelved, telemetry.EventOutOfService, telemetry.EventSuppressed, telemetry.EventUnsuppressed, telemetry.EventChattering, telemetry.EventSettled,
				telemetry.EventUncertain, telemetry.EventConfirmed,
			} {
				require.Positive(t, events[e], "no %s in %d records", e, len(w.journal))
			}
		}
		for kind, id := range current {
			a, open := w.s.Live(kind)
			require.Equal(t, newest[id].State != telemetry.AlarmNormal, open)
			if open {
				require.Equal(t, id, a.AlertID)
			}
		}
	}
}

// TestEveryAlarmHasAWayOut: whatever has happened, ordinary readings and acknowledging
// make every alarm normal.
func TestEveryAlarmHasAWayOut(t *testing.T) {
	for seed := range uint64(20) {
		w := live(t, seed, false)
		ts := t0 + 10_000_000
		for i := range int64(60) {
			in := full(ts + i*5000)
			in.Reading.Sensors.Find(telemetry.Temperature).Number = 70 + float64(i%2)/100
			in.Reading.Sensors.Find(telemetry.Current).Number = 2 + float64(i%2)/100
			(*in.Room)[0].Median = 70
			*in.Room = append(*in.Room, RoomParameter{"flow", RoomValue{Count: 2, Mean: 5, Median: 5}})
			for name, v := range map[string]float64{"co2": 900, "vibration": 1, "flow": 5 + float64(i%2)/100} {
				in.Reading.Sensors.Set(telemetry.Sensor{Name: name, Number: v})
			}
			in.Reading.Sensors.Set(telemetry.Switch("door", false))
			w.s, w.journal, _ = w.rs.Step(w.s, in, w.journal)
		}
		ts += 300_000
		w.s, w.journal, _ = w.rs.Apply(w.s, Finding{Device: "d1", Type: "device_offline", Since: ts, Now: ts}, w.journal)
		for _, r := range busy() {
			a, open := w.s.Live(r.ID)
			if !open {
				continue
			}
			require.Equal(t, telemetry.AlertCleared, a.Status, "seed %d: %s", seed, r.ID)
			c := command(telemetry.ActionAcknowledge, "last-"+r.ID, 0)
			c.AlertType, c.At = r.ID, ts
			w.s, _ = do(t, w.rs, w.s, c)
		}
		require.Zero(t, w.s.Open(), "seed %d", seed)
		s, _, _ := w.rs.Tick(w.s, ts+1e9, nil)
		require.Zero(t, s.Due(), "seed %d: %+v", seed, s.mem)
	}
}

// TestReplayGivesTheIdenticalJournal: the same gives the same to the last byte, also
// when the state was written and read back after every step.
func TestReplayGivesTheIdenticalJournal(t *testing.T) {
	for seed := range uint64(6) {
		want := live(t, seed, false)
		require.NotEmpty(t, want.journal)
		got := live(t, seed, true)
		require.Equal(t, want.journal, got.journal, "seed %d", seed)
		require.Equal(t, again(t, want.s), got.s, "seed %d", seed)
	}
}

// timeless returns a journal without what depends on when it was noticed.
func timeless(journal []Transition) []telemetry.Alert {
	out := make([]telemetry.Alert, len(journal))
	for i := range journal {
		out[i] = journal[i].Alert
		out[i].DetectedAt, out[i].LastSeen = 0, 0
	}
	return out
}

// TestClockChangesNothingThatReadingsTell: whether the clock ticks in between or not,
// and when, the journal is the same, as long as readings take no longer than the grace.
func TestClockChangesNothingThatReadingsTell(t *testing.T) {
	rs := compile(t, busy()...)
	for seed := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		inputs := slices.DeleteFunc(wander(rnd, 400), func(in Input) bool {
			return in.Waited > 0 || in.Reading.Timestamp < in.Received
		})
		_, want := play(rs, State{}, inputs...)
		require.NotEmpty(t, want)
		var s State
		var got []Transition
		for _, in := range inputs {
			took := rnd.Int64N(tickGrace)
			for now := in.Reading.Timestamp; now < in.Reading.Timestamp+took; now += 500 {
				if due := s.Due(); due != 0 && due <= now {
					s, got, _ = rs.Tick(s, now, got)
				}
			}
			in.Now = in.Received + took
			s, got, _ = rs.Step(s, in, got)
		}
		require.Equal(t, timeless(want), timeless(got), "seed %d", seed)
	}
}

// TestReadingsSeenTwiceAddNothing: readings processed again after a restart, from a state
// that includes them, add no alarm.
func TestReadingsSeenTwiceAddNothing(t *testing.T) {
	for seed := range uint64(8) {
		inputs := wander(rand.New(rand.NewPCG(seed, 4)), 300)
		for name, rs := range map[string]*Rules{"built in": standard(t), "busy": compile(t, busy()...)} {
			s, _ := play(rs, State{}, inputs...)
			_, more := play(rs, s, inputs...)
			require.Empty(t, more, "seed %d, %s", seed, name)
		}
	}
}

// TestLabelledExcursionsAreFoundExactly: of a series made of known excursions, each is
// found once, from its first reading beyond the limit to the first one back inside the
// deadband, with its peak; and nothing else is found.
func TestLabelledExcursionsAreFoundExactly(t *testing.T) {
	type incident struct {
		raised, cleared int64
		peak            float64
	}
	for seed := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		rs := standard(t)
		var s State
		var journal []Transition
		var want, got []incident
		ts := t0
		add := func(v float64) int64 {
			ts += 30_000
			before := len(journal)
			s, journal, _ = rs.Step(s, at(ts, v), journal)
			for _, tr := range journal[before:] {
				if a := tr.Alert; a.Event == telemetry.EventCleared {
					got = append(got, incident{a.RaisedAt, a.ClearedAt, a.PeakValue})
					c := command(telemetry.ActionAcknowledge, fmt.Sprint("c", ts), 0)
					c.At = ts
					s, _ = do(t, rs, s, c)
				}
			}
			return ts
		}
		for range 20 {
			for range 1 + rnd.IntN(10) { // quiet, up to the limit
				add(rnd.Float64() * 80)
			}
			peak := 80.001 + rnd.Float64()*20
			label := incident{raised: add(peak), peak: peak}
			for range rnd.IntN(10) { // anything that does not leave the deadband
				v := 78.001 + rnd.Float64()*30
				label.peak = max(label.peak, v)
				add(v)
			}
			label.cleared = add(rnd.Float64() * 78)
			want = append(want, label)
		}
		require.Len(t, journal, 2*len(want), "seed %d", seed)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func FuzzDecodeState(f *testing.F) {
	w := &world{}
	rs, err := Compile(RuleSet{Rules: busy()})
	require.NoError(f, err)
	for i, in := range wander(rand.New(rand.NewPCG(1, 2)), 300) {
		w.s, _, _ = rs.Step(w.s, in, nil)
		if i%30 == 0 {
			data, err := w.s.Encode()
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Add([]byte(`{"active":[{"alert_id":"a","type":"temperature_high","parameter":0,"operator":">","value":80,"severity":"high","raised_at":1,"peak":90}],"last":[1,2,3,4],"changed":1}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeState(data)
		if err != nil {
			return
		}
		// No input panics, and the encoded state can be decoded again.
		s, _ = play(rs, s, full(t0), full(t0+1000))
		s, _, _ = rs.Tick(s, t0+1e9, nil)
		s, _, _ = rs.Apply(s, Finding{Device: "d1", Type: "device_offline", Holds: true, Since: t0, Now: t0 + 10_000}, nil)
		c := command(telemetry.ActionAcknowledge, "c", 1)
		s, _, _, _ = rs.Command(s, c, c.At, nil)
		out, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeState(out); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}
