package processor

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/freeport"
)

// change writes records of changes into Kafka.
func (p *env) change(c *changes) {
	p.t.Helper()
	require.NoError(p.t, kafka.EnsureTopics(p.t.Context(), discardLog(), p.cfg.Cluster, p.cfg.Specs().Rules))
	kafkatest.Produce(p.t, p.cfg.Brokers, p.cfg.Rules, 0, c.records...)
	c.records = nil
}

func TestReadingsAreJudgedByApprovedChanges(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, file, hotRule)
	p.cfg.RulesFile = file
	b := newChanges(t)
	b.approve("c1", "hot", above("hot", "50", ""))
	p.change(b)
	p.createInput(2)
	now := time.Now().UnixMilli()
	p.produce(reading("d1", now-9000, 40), reading("d2", now-9000, 51)) // before core starts
	c := p.startReady()
	require.Equal(t, "d2", p.alerts(1)[0].DeviceID, "the change counts from the first reading on")

	b.approve("c2", "hot", above("hot", "45", ""))
	p.change(b)
	require.Eventually(t, func() bool { return c.rules.load().page["hot"] == "c2" }, waitTimeout, 10*time.Millisecond)
	p.produce(reading("d1", now-8000, 46))
	a := p.alerts(2)[1]
	require.Equal(t, "d1", a.DeviceID)
	require.InDelta(t, 45, a.Threshold.Value, 0)
	other := p.start() // a second member reads the same
	require.Eventually(t, func() bool { return other.rules.load().version == c.rules.load().version }, waitTimeout, 10*time.Millisecond)
	version := c.rules.load().version
	var asked wire.RulesAnswer
	require.NoError(t, json.Unmarshal(p.ask(wire.RulesSubject, nil), &asked))
	require.Equal(t, version, asked.Version)
	other.stop()
	c.stop()

	c = p.startReady() // a restart keeps it
	require.Equal(t, version, c.rules.load().version)
	var judged wire.RuleProposalAnswer
	require.NoError(t, json.Unmarshal(p.ask(wire.RuleProposalSubject, []byte(`{"rule":"hot","remove":true}`)), &judged))
	require.Empty(t, judged.Problems)
	require.Contains(t, judged.Before, "limit: 45")
	b.approve("c3", "hot", "")
	p.change(b)
	require.Eventually(t, func() bool { limit, _ := limitOf(t, c.rules, "hot"); return limit == 30 }, waitTimeout, 10*time.Millisecond)
}

// TestNoReadingIsJudgedBeforeTheChangesAreRead makes reading the changes slow: somebody else's
// transaction is open at their end.
func TestNoReadingIsJudgedBeforeTheChangesAreRead(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	b := newChanges(t)
	b.approve("c1", "temperature_high", above("temperature_high", "90", ""))
	p.change(b)
	foreign, err := kafka.NewProducer(t.Context(), discardLog(), kafka.Config{Cluster: kafka.At(p.cfg.Brokers...)}, "test", kafkatest.Name(t, "tx"))
	require.NoError(t, err)
	defer func() { require.NoError(t, foreign.Close()) }()
	require.NoError(t, foreign.Begin())
	for range 3 { // enough to be sent before the end
		require.NoError(t, foreign.SendTo(0, &sarama.ProducerMessage{Topic: p.cfg.Rules, Key: sarama.StringEncoder("x"), Value: sarama.ByteEncoder(make([]byte, 600_000))}))
	}
	p.createInput(1)
	now := time.Now().UnixMilli()
	p.produce(reading("d1", now-9000, 85), reading("d2", now-9000, 95))
	p.startReady()
	for _, a := range p.alerts(1) {
		require.Equal(t, "d2", a.DeviceID, "of the two in one partition")
	}
}

// ask asks core on a subject.
func (p *env) ask(subject string, question []byte) (answer []byte) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		m, err := p.hub.Request(subject, question, 20*time.Second)
		if err == nil {
			answer = m.Data
		}
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	return answer
}

// TestNobodyAnswersBeforeTheChangesAreRead: core without Kafka does not know the rules.
func TestNobodyAnswersBeforeTheChangesAreRead(t *testing.T) {
	p := newEnv(t)
	p.cfg.Brokers = []string{freeport.Address(t)}
	c := p.start()
	require.Eventually(t, func() bool {
		_, err := p.hub.Request(wire.ExplainSubject, []byte("{"), time.Second)
		return err == nil
	}, waitTimeout, 10*time.Millisecond, "core is at the hub")
	_, err := p.hub.Request(wire.RulesSubject, nil, time.Second)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	c.stop()
}

func TestSeveralPartitionsOfChangesAreUnusable(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	require.NoError(t, kafka.EnsureTopics(t.Context(), discardLog(), p.cfg.Cluster, kafka.Topic{Name: p.cfg.Rules, Partitions: 2, Compacted: true}))
	c, err := New(Options{Config: p.cfg, Log: discardLog()})
	require.NoError(t, err)
	err = c.Run(t.Context())
	require.ErrorIs(t, err, kafka.ErrUnusable)
	require.ErrorContains(t, err, p.cfg.Rules+" has 2 partitions")
}

// TestDryRunForetellsWhatApprovingDoes runs a change over the past, and then has a core judge
// the same readings from the start with the change approved.
func TestDryRunForetellsWhatApprovingDoes(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(2)
	c := p.startReady()
	now := time.Now().UnixMilli()
	for i, v := range []float64{20, 62, 55, 59, 64, 58.5, 61, 20, 70, 20} {
		ts := now - 60_000 + int64(i)*1000
		p.produce(reading("d1", ts, v), reading("d2", ts, v-5), reading("d3", ts, v+9))
	}
	text := above("temperature_high", "60", "  deadband: 3\n  on_delay: 1500ms\n")
	request, err := json.Marshal(wire.DryRunRequest{YAML: text, From: now - 600_000})
	require.NoError(t, err)
	var told wire.DryRunAnswer
	require.NoError(t, json.Unmarshal(p.ask(wire.DryRunSubject, request), &told))
	require.Empty(t, told.Error+told.Incomplete)
	require.Empty(t, told.Problems)
	require.Positive(t, told.After.Total)
	require.NotEqual(t, told.Before.Total, told.After.Total)
	c.stop()

	data := p.cfg.DeviceData
	p.cfg.Topics, p.cfg.GroupID = kafkatest.Topics(t), kafkatest.Name(t, "core")
	p.cfg.DeviceData = data
	b := newChanges(t)
	b.approve("c1", "temperature_high", told.Text)
	p.change(b)
	p.startReady()
	type raised struct {
		device string
		at     int64
	}
	want, got := map[raised]bool{}, map[raised]bool{}
	for _, a := range told.After.Alarms {
		want[raised{a.DeviceID, a.RaisedAt}] = true
	}
	for _, a := range p.await(len(want), func(a *telemetry.Alert) bool { return a.Event == telemetry.EventRaised && a.Rule == "temperature_high" }) {
		got[raised{a.DeviceID, a.RaisedAt}] = true
	}
	require.Equal(t, want, got)
}
