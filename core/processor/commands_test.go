package processor

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// send writes commands as the portal does.
func (p *env) send(commands ...*telemetry.AlarmCommand) {
	p.t.Helper()
	for _, c := range commands {
		data, err := json.Marshal(c)
		require.NoError(p.t, err)
		kafkatest.Produce(p.t, p.cfg.Brokers, p.cfg.Commands, -1, kafkatest.Record{Key: []byte(c.DeviceID), Value: data})
	}
}

// audits waits until the audit trail has n entries that are ok, and returns them.
func (p *env) audits(n int, ok func(*telemetry.AuditEntry) bool) []telemetry.AuditEntry {
	p.t.Helper()
	var found []telemetry.AuditEntry
	require.Eventually(p.t, func() bool {
		found = nil
		for _, r := range kafkatest.ReadAll(p.t, p.cfg.Brokers, p.cfg.Audit, 0, waitTimeout) {
			var e telemetry.AuditEntry
			require.NoError(p.t, json.Unmarshal(r.Value, &e))
			require.Equal(p.t, e.DeviceID, string(r.Key))
			if ok(&e) {
				found = append(found, e)
			}
		}
		return len(found) >= n
	}, waitTimeout, 100*time.Millisecond, "%d audit entries", n)
	return found
}

func commanded(e *telemetry.AuditEntry) bool { return e.CommandID != "" }

func comment(device string, n int) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: fmt.Sprintf("%s-%d", device, n), DeviceID: device, AlertType: "temperature_high",
		Action: telemetry.ActionComment, By: "somebody", At: time.Now().UnixMilli(), Note: fmt.Sprint(n),
	}
}

// TestCommandsAreAppliedOnceAndInOrder sends each device its comments, each twice, while a
// member joins, transactions are aborted, and the first member leaves.
func TestCommandsAreAppliedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(4)
	const devices, rounds = 12, 6
	now := time.Now().UnixMilli()
	first := p.startReady()
	for i := range devices {
		p.produce(reading(fmt.Sprint("d", i), now, 99))
	}
	p.alerts(devices)
	var second *core
	for n := range rounds {
		switch n {
		case 2:
			second = p.start()
		case 3:
			require.NoError(t, p.steal("0").Close())
		case 4:
			first.stop()
		}
		for i := range devices {
			c := comment(fmt.Sprint("d", i), n)
			p.send(c, c)
		}
	}
	entries := p.audits(devices*rounds, commanded)
	second.stop()
	entries = p.audits(len(entries), commanded)
	require.Len(t, entries, devices*rounds, "each once")
	next := map[string]int{}
	for _, e := range entries {
		require.Equal(t, telemetry.OutcomeApplied, e.Outcome, "%+v", e)
		require.Equal(t, fmt.Sprint(next[e.DeviceID]), e.Note, "in order")
		next[e.DeviceID]++
	}
	for _, a := range p.await(devices, func(a *telemetry.Alert) bool {
		return a.Event == telemetry.EventCommented && len(a.Comments) == rounds
	}) {
		require.EqualValues(t, 1+rounds, a.Revision, a.DeviceID)
	}
}

// TestCommandsAreReadOnce checks that the offsets of the commands are in the transaction:
// the next owner starts behind them.
func TestCommandsAreReadOnce(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(2)
	c := p.startReady()
	p.produce(reading("d1", time.Now().UnixMilli(), 99))
	p.alerts(1)
	p.send(comment("d1", 1), comment("d1", 2), comment("d1", 3))
	p.audits(3, commanded)
	c.stop()
	committed := int64(0)
	for _, offset := range kafkatest.Committed(t, p.cfg.Brokers, p.cfg.GroupID, p.cfg.Commands) {
		committed += offset
	}
	require.EqualValues(t, 3, committed)
}

func TestCommandMeetsTheAlarmAfterARestart(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	now := time.Now().UnixMilli()
	c := p.startReady()
	p.produce(reading("d1", now-5000, 99))
	p.alerts(1)
	shelve := comment("d1", 1)
	shelve.Action, shelve.Until = telemetry.ActionShelve, now+3_600_000
	p.send(shelve)
	p.audits(1, commanded)
	c.stop()
	p.send(shelve, acknowledge("late", "d1", now)) // while no core runs
	c = p.startReady()
	entries := p.audits(2, commanded)
	require.Len(t, entries, 2, "a repeated command has no effect")
	require.Equal(t, telemetry.EventAcknowledged, entries[1].Event)
	p.produce(reading("d1", now-1000, 20))
	p.alerts(2)
	c.stop()
	last := p.journal()
	a := last[len(last)-1]
	require.Equal(t, telemetry.EventCleared, a.Event)
	require.Equal(t, telemetry.AlarmNormal, a.State)
	require.NotNil(t, a.Shelved)
	require.Equal(t, "somebody", a.Ack.By)
}

func TestInvalidCommandIsADeadLetterAndAudited(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(3)
	c := p.startReady()
	now := time.Now().UnixMilli()
	p.produce(reading("d1", now, 99))
	p.alerts(1)
	home := kafkatest.ReadAll(t, p.cfg.Brokers, p.cfg.DeviceData, 1, waitTimeout)[0].Partition
	elsewhere := (home + 1) % 3
	encode := func(c *telemetry.AlarmCommand) []byte {
		data, err := json.Marshal(c)
		require.NoError(t, err)
		return data
	}
	nameless := comment("d1", 1)
	nameless.By = ""
	for _, bad := range []struct {
		partition int32
		record    kafkatest.Record
	}{
		{home, kafkatest.Record{Key: []byte("d1"), Value: []byte("poison")}},
		{home, kafkatest.Record{Key: nil, Value: nil}},
		{home, kafkatest.Record{Key: []byte("d1"), Value: encode(nameless)}},
		{home, kafkatest.Record{Key: []byte("d2"), Value: encode(comment("d1", 2))}},
		{elsewhere, kafkatest.Record{Key: []byte("d1"), Value: encode(comment("d1", 3))}},
	} {
		kafkatest.Produce(t, p.cfg.Brokers, p.cfg.Commands, bad.partition, bad.record)
	}
	p.send(comment("d1", 4))
	entries := p.audits(6, func(e *telemetry.AuditEntry) bool { return e.Outcome != "" })
	outcomes := map[telemetry.Outcome]int{}
	for _, e := range entries {
		outcomes[e.Outcome]++
		if e.Outcome == telemetry.OutcomeRefused {
			require.NotEmpty(t, e.Reason)
		}
	}
	require.Equal(t, map[telemetry.Outcome]int{telemetry.OutcomeRefused: 5, telemetry.OutcomeApplied: 1}, outcomes)
	letters := kafkatest.ReadAll(t, p.cfg.Brokers, p.cfg.DeadLetters, 5, waitTimeout)
	require.Len(t, letters, 5)
	for _, l := range letters {
		require.Equal(t, p.cfg.Commands, l.Header(wire.HeaderTopic))
		require.Equal(t, string(telemetry.ReasonInvalidCommand), l.Header(wire.HeaderReason))
		require.NotEmpty(t, l.Header(wire.HeaderOffset))
	}
	c.eventually(t, 5, "core_alarm_commands_total", "refused")
	c.eventually(t, 1, "core_alarm_commands_total", "applied")
}

// TestEveryTransitionIsInTheAuditTrail compares the two topics.
func TestEveryTransitionIsInTheAuditTrail(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	c := p.startReady()
	now := time.Now().UnixMilli()
	for i := range 10 {
		id := fmt.Sprint("d", i)
		p.produce(reading(id, now-3000, 99), reading(id, now-2000, 20), reading(id, now-1000, 99))
	}
	p.alerts(30)
	p.send(acknowledge("c1", "d1", now), acknowledge("c2", "d2", now))
	p.audits(2, commanded)
	c.stop()
	type key struct {
		id       string
		revision int64
		event    telemetry.AlarmEvent
	}
	written := map[key]int{}
	for _, a := range p.journal() {
		written[key{a.AlertID, a.Revision, a.Event}]++
	}
	noted := map[key]int{}
	for _, e := range p.audits(len(written), func(e *telemetry.AuditEntry) bool { return e.Revision != 0 }) {
		noted[key{e.AlertID, e.Revision, e.Event}]++
	}
	require.Equal(t, written, noted)
	for k, n := range written {
		require.Equal(t, 1, n, "%v", k)
	}
}

func TestClaimsMustMatch(t *testing.T) {
	tk := newTestTask(t)
	c := tk.p.cfg
	got, err := tk.p.claimed(map[string][]int32{c.DeviceData: {2, 1}, c.Commands: {1, 2}})
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2}, got)
	_, err = tk.p.claimed(map[string][]int32{c.DeviceData: {1, 2}, c.Commands: {1}})
	require.ErrorContains(t, err, "want the same of both")
	_, err = tk.p.claimed(nil)
	require.NoError(t, err, "a member that stands by")
}

// commandTask returns a task with the readings and commands of every device.
func commandTask(t *testing.T) *task {
	t.Helper()
	tk := newTestTask(t)
	tk.p.partitions.Store(1)
	return tk
}

func commandRecord(t *testing.T, offset int64, c *telemetry.AlarmCommand) *sarama.ConsumerMessage {
	t.Helper()
	data, err := json.Marshal(c)
	require.NoError(t, err)
	return &sarama.ConsumerMessage{Topic: "alarm-commands", Offset: offset, Key: []byte(c.DeviceID), Value: data}
}

func TestCommandChangesTheAlarmOfItsDevice(t *testing.T) {
	tk := commandTask(t)
	now := time.Now().UnixMilli()
	processOne(tk, message(0, "d1", now, 85))
	tk.command(commandRecord(t, 5, acknowledge("c1", "d1", now)))
	b := tk.pending.pop()
	require.EqualValues(t, 6, b.nextCommand)
	require.EqualValues(t, 1, b.next, "that of the readings stays")
	require.Len(t, b.alerts, 1)
	require.Len(t, b.audits, 1, "the transition is the outcome")
	require.Equal(t, telemetry.OutcomeApplied, b.audits[0].outcome)
	require.Len(t, b.alarms, 1)
	require.Equal(t, telemetry.AlarmAcknowledged, mustLive(t, tk.devices["d1"], "temperature_high").State)

	again := acknowledge("c2", "d1", now)
	tk.command(commandRecord(t, 6, again))
	b = tk.pending.pop()
	require.Empty(t, b.alerts)
	require.Len(t, b.audits, 1)
	require.Equal(t, telemetry.OutcomeNothing, b.audits[0].outcome)
}

func TestCommandForAnUnknownDevice(t *testing.T) {
	tk := commandTask(t)
	now := time.Now().UnixMilli()
	tk.command(commandRecord(t, 0, acknowledge("c1", "d1", now)))
	b := tk.pending.pop()
	require.Len(t, b.alarms, 1, "its id is stored")
	require.Equal(t, telemetry.OutcomeRefused, b.audits[0].outcome)
	tk.command(commandRecord(t, 0, acknowledge("c1", "d1", now)))
	b = tk.pending.pop()
	require.Empty(t, b.alarms, "a repeated command")
	require.Empty(t, b.audits)
	out := acknowledge("c2", "d1", now)
	out.Action = telemetry.ActionOutOfService
	tk.command(commandRecord(t, 1, out))
	require.Len(t, tk.pending.pop().alarms, 1)
	require.Contains(t, tk.devices, "d1")
	processOne(tk, message(0, "d1", now, 85))
	require.NotNil(t, mustLive(t, tk.devices["d1"], "temperature_high").OutOfService)
}

func TestNewRulesApplyToTheNextCommand(t *testing.T) {
	tk := commandTask(t)
	useRules(t, tk, hotRule)
	tk.command(commandRecord(t, 0, acknowledge("c1", "d1", time.Now().UnixMilli())))
	require.Same(t, tk.p.rules.load(), tk.alarms.rules)
}

func TestRefusedCommandIsQuotedBriefly(t *testing.T) {
	tk := commandTask(t)
	bad := acknowledge("c1", "d1", time.Now().UnixMilli())
	bad.By = strings.Repeat("é", telemetry.MaxOperator)
	m := commandRecord(t, 0, bad)
	m.Key = []byte(strings.Repeat("\xff", 10_000))
	tk.command(m)
	b := tk.pending.pop()
	require.Equal(t, telemetry.OutcomeRefused, b.audits[0].outcome)
	var e telemetry.AuditEntry
	require.NoError(t, json.Unmarshal(b.audits[0].data, &e))
	require.LessOrEqual(t, len(e.Reason), telemetry.MaxNote)
	require.LessOrEqual(t, len(e.By), telemetry.MaxOperator)
	require.Equal(t, "c1", e.CommandID)
	require.Empty(t, name("not a name!"))

	tk.refuse(m, bad, strings.Repeat("x", telemetry.MaxNote+1)+"\xff", 0)
	require.NoError(t, json.Unmarshal(tk.out.audits[0].data, &e))
	require.Len(t, e.Reason, telemetry.MaxNote)
	require.Equal(t, "ab", cut("ab", 2))
	require.Equal(t, "a", cut("aé", 2), "whole characters")
}

func TestForwardEndsWithItsClaim(t *testing.T) {
	tk := commandTask(t)
	messages := make(chan *sarama.ConsumerMessage, 1)
	messages <- &sarama.ConsumerMessage{Offset: 7}
	close(messages)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tk.forward(t.Context(), claim{messages: messages}, nil)
	}()
	require.EqualValues(t, 7, (<-tk.commands).Offset)
	<-done
	failed := make(chan struct{})
	close(failed)
	tk.forward(t.Context(), claim{}, failed)
	waiting := make(chan *sarama.ConsumerMessage, 1)
	waiting <- &sarama.ConsumerMessage{}
	tk.forward(t.Context(), claim{messages: waiting}, failed)
}

// claim is a claim with the given messages.
type claim struct {
	sarama.ConsumerGroupClaim
	messages chan *sarama.ConsumerMessage
	initial  int64
}

func (c claim) InitialOffset() int64 { return c.initial }

func (c claim) HighWaterMarkOffset() int64 { return c.initial }

func (c claim) Messages() <-chan *sarama.ConsumerMessage { return c.messages }

// TestEntriesOfCommandsSayByWhatMeans has a command of each kind: its entries and those of the alarms that it changes say how
// its sender proved who they are.
func TestEntriesOfCommandsSayByWhatMeans(t *testing.T) {
	tk := commandTask(t)
	now := time.Now().UnixMilli()
	useRules(t, tk, hotRule)
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-2000, 41)})
	require.Len(t, auditsOf(t, tk.pending.pop()), 1, "the alarm itself")
	actor := telemetry.Actor{Via: "token", Address: "192.0.2.1", Session: "0123456789ab", ClaimedBy: "李工"}
	for _, c := range []*telemetry.AlarmCommand{
		acknowledge("c1", "d1", now), acknowledge("c2", "d1", now), describeCommand("c3", "d1", now, named("Boiler")),
		maintainCommand("c4", "d1", now, now+60_000), removeCommand("c5", "d1", now), removeCommand("c6", "d1", now),
	} {
		c.Actor = actor
		entries := auditsOf(t, tk.order(c, now))
		require.NotEmpty(t, entries, c.CommandID)
		for i := range entries {
			require.Equal(t, actor, entries[i].Actor, "%s: %+v", c.CommandID, entries[i])
		}
	}
	bad := acknowledge("c7", "d1", now)
	bad.Address = strings.Repeat("x", telemetry.MaxActor+1)
	tk.command(commandRecord(t, 0, bad))
	entries := auditsOf(t, tk.pending.pop())
	require.Equal(t, telemetry.OutcomeRefused, entries[0].Outcome)
	require.Len(t, entries[0].Address, telemetry.MaxActor)
}
