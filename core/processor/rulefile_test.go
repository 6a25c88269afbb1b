package processor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const hotRule = `
rules:
  - id: hot
    kind: high
    parameter: temperature
    limit: 30
    severity: high
`

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

func TestRulesAreReadAgainWhileRunning(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, file, "rules: []\n")
	p.cfg.RulesFile = file
	c := p.startReady()
	now := time.Now().UnixMilli()
	p.produce(reading("d1", now-9000, 40))
	c.eventually(t, 1, "core_readings_total")
	before := c.rules.load().version

	write(t, file, hotRule)
	require.Eventually(t, func() bool { return c.rules.load().version != before }, waitTimeout, 10*time.Millisecond)
	p.produce(reading("d1", now-8000, 41))
	a := p.alerts(1)[0]
	require.Equal(t, "hot", a.AlertType)
	require.InDelta(t, 41, a.CurrentValue, 0, "not before the rule was there")
	_, version, ok := c.rules.load().Rule("hot")
	require.True(t, ok)
	require.Equal(t, version, a.RuleVersion)

	good := c.rules.load()
	write(t, file, hotRule+"    limitt: 7\n")
	c.eventually(t, 1, "core_rules_load_failures_total")
	require.Same(t, good, c.rules.load(), "a bad file changes nothing")
	require.Positive(t, c.value(t, "core_rules_loaded_timestamp_seconds"))

	// An editor that puts a new file in the place of the old one.
	other := filepath.Join(filepath.Dir(file), "new")
	write(t, other, "rules: []\n")
	require.NoError(t, os.Rename(other, file))
	require.Eventually(t, func() bool { return c.rules.load().version == before }, waitTimeout, 10*time.Millisecond)
	p.produce(reading("d1", now-7000, 42))
	require.Equal(t, telemetry.AlertCleared, p.alerts(2)[1].Status, "an alarm whose rule is gone has a way out")
}

// TestRulesBehindASymbolicLink is what Kubernetes does with a mounted ConfigMap.
func TestRulesBehindASymbolicLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(name, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		write(t, filepath.Join(dir, name, "rules.yaml"), text)
	}
	version("..1", "rules: []\n")
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	file := filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.Symlink(filepath.Join("..data", "rules.yaml"), file))

	p := newEnv(t)
	p.cfg.RulesFile = file
	c := p.start()
	before := c.rules.load().version
	version("..2", hotRule)
	require.NoError(t, os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	require.Eventually(t, func() bool { return c.rules.load().version != before }, waitTimeout, 10*time.Millisecond)
}

func TestABadRulesFileStopsTheStart(t *testing.T) {
	cfg := defaultConfig(t)
	cfg.RulesFile = filepath.Join(t.TempDir(), "rules.yaml")
	_, err := newRuleFile(discardLog(), prometheus.NewRegistry(), cfg.RulesFile, cfg.builtIn(), sensors.Default)
	require.ErrorContains(t, err, "CORE_RULES_FILE")
	write(t, cfg.RulesFile, "rules:\n  - id: x\n    kind: hihg\n")
	_, err = newRuleFile(discardLog(), prometheus.NewRegistry(), cfg.RulesFile, cfg.builtIn(), sensors.Default)
	require.ErrorContains(t, err, "line 3")
}

// TestPastRulesAreKeptForAWhile bounds the memory for explaining old alarms.
func TestPastRulesAreKeptForAWhile(t *testing.T) {
	cfg := defaultConfig(t)
	f, err := newRuleFile(discardLog(), prometheus.NewRegistry(), "", cfg.builtIn(), sensors.Default)
	require.NoError(t, err)
	require.Equal(t, builtInVersion, f.load().version)
	first := f.load()
	for range maxPast {
		require.NoError(t, f.use(nil))
	}
	require.Len(t, f.past, maxPast)
	require.Same(t, first, f.past[maxPast-1])
	require.NoError(t, f.use(nil))
	require.Len(t, f.past, maxPast)
	require.NotSame(t, first, f.past[maxPast-1])
}

// reloadable returns a rules file on disk and its metrics.
func reloadable(t *testing.T, text string) (*ruleFile, *core) {
	t.Helper()
	cfg := defaultConfig(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, file, text)
	reg := prometheus.NewRegistry()
	f, err := newRuleFile(discardLog(), reg, file, cfg.builtIn(), sensors.Default)
	require.NoError(t, err)
	return f, &core{reg: reg}
}

func TestAlarmIsExplainedByTheRulesThatRaisedIt(t *testing.T) {
	f, _ := reloadable(t, hotRule)
	former := f.load()
	_, version, ok := former.Rule("hot")
	require.True(t, ok)
	a := &telemetry.Alert{Rule: "hot", RuleVersion: version}
	require.Same(t, former.Rules, f.forAlert(a))
	require.NoError(t, f.use([]byte("rules: []\n")))
	require.NotEqual(t, former.version, f.load().version)
	require.Same(t, former.Rules, f.forAlert(a))
	a.RuleVersion = "unknown"
	require.Same(t, f.load().Rules, f.forAlert(a), "those in force")
}

func TestUnusableRulesFileChangesNothing(t *testing.T) {
	f, c := reloadable(t, hotRule)
	good := f.load()
	failures := func() float64 { return c.value(t, "core_rules_load_failures_total") }
	f.Reread()
	require.Same(t, good, f.load(), "the same content")
	require.InDelta(t, 1, c.value(t, "core_rules_version", good.version), 0)
	require.Len(t, good.version, 12)
	require.InDelta(t, float64(time.Now().Unix()), c.value(t, "core_rules_loaded_timestamp_seconds"), 60)

	write(t, f.file, "rules: 7\n")
	f.Reread()
	f.Reread()
	require.InDelta(t, 1, failures(), 0, "counted once")
	require.NoError(t, os.Remove(f.file))
	f.Reread()
	f.Reread()
	require.InDelta(t, 2, failures(), 0, "counted once")
	require.Same(t, good, f.load())
	// Valid YAML that does not compile: a rule twice.
	write(t, f.file, hotRule+"  - id: hot\n    kind: offline\n")
	f.Reread()
	require.InDelta(t, 3, failures(), 0)
	require.Same(t, good, f.load())

	write(t, f.file, "rules: []\n")
	f.Reread()
	require.NotEqual(t, good.version, f.load().version)
	require.InDelta(t, 1, c.value(t, "core_rules_version"), 0, "one version at a time")
	write(t, f.file, hotRule)
	f.Reread()
	require.Equal(t, good.version, f.load().version)
}

func TestExplainShowsTheReadings(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(2)
	c := p.startReady()
	now := time.Now().UnixMilli()
	for i, v := range []float64{20, 50, 79, 85, 95, 90, 60} {
		p.produce(reading("d1", now-20_000+int64(i)*1000, v), reading("d2", now-20_000+int64(i)*1000, 20))
	}
	a := p.alerts(2)[0]
	require.NotNil(t, a.Evidence)
	e := p.explain(a)
	require.Empty(t, e.Error)
	require.Equal(t, a.AlertID, e.AlertID)
	require.Equal(t, "temperature_high", e.Rule)
	require.Equal(t, a.RuleVersion, e.RuleVersion)
	require.Len(t, e.Samples, 7, "those of the other device are not shown")
	raised := 0
	for _, s := range e.Samples {
		if s.Event == telemetry.EventRaised {
			raised++
			require.Equal(t, a.RaisedAt, s.Time)
			require.InDelta(t, 85, *s.Values[0], 0)
		}
	}
	require.Equal(t, 1, raised)

	a.Evidence.FirstOffset, a.Evidence.LastOffset = 1_000_000, 1_000_001
	require.NotEmpty(t, p.explain(a).Error)
	a.Evidence = nil
	require.NotEmpty(t, p.explain(a).Error)
	a.Source = telemetry.SourceWatchdog
	require.Contains(t, p.explain(a).Error, "watchdog")
	reply, err := p.hub.Request(wire.ExplainSubject, []byte("{"), waitTimeout)
	require.NoError(t, err)
	require.Contains(t, string(reply.Data), "not JSON")
	reply, err = p.hub.Request(wire.LimitsSubject, nil, waitTimeout)
	require.NoError(t, err)
	var limits []wire.RuleLimit
	require.NoError(t, json.Unmarshal(reply.Data, &limits))
	require.Contains(t, limits, wire.RuleLimit{
		Parameter: "temperature", Operator: ">", Value: 80, Severity: telemetry.SeverityHigh, Rule: "temperature_high", Everywhere: true,
	})
	c.stop()
}

func (p *env) explain(a telemetry.Alert) (e wire.Explanation) {
	p.t.Helper()
	data, err := json.Marshal(wire.ExplainRequest{Alert: a})
	require.NoError(p.t, err)
	var reply *nats.Msg
	require.Eventually(p.t, func() bool {
		reply, err = p.hub.Request(wire.ExplainSubject, data, 20*time.Second)
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	require.NoError(p.t, json.Unmarshal(reply.Data, &e))
	return e
}

func TestRulesCommand(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	p := newEnv(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	t.Setenv("KAFKA_BROKERS", p.cfg.Brokers[0])
	t.Setenv("KAFKA_TOPIC_DEVICE_DATA", p.cfg.DeviceData)
	t.Setenv("CORE_HTTP_ADDR", "0.0.0.0:9103") // as in the image: a command listens nowhere
	run := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := RulesCommand(t.Context(), args, &out, &errs)
		return code, out.String(), errs.String()
	}
	p.createInput(3)
	now := time.Now().UnixMilli()
	var sent []kafkatest.Record // at once: what arrives late has another plant time
	for i, v := range []float64{20, 40, 41, 20, 45} {
		sent = append(sent, reading("d1", now-20_000+int64(i)*1000, v), reading("d2", now-20_000+int64(i)*1000, 25))
	}
	p.produce(sent...)
	write(t, file, hotRule)
	code, out, errs := run("test", "-rules", file, "-from", "1h")
	require.Zero(t, code, errs)
	require.Regexp(t, `(?m)^\S+ +d1 +hot +high +hot +41 +2s$`, out)
	require.Regexp(t, `(?m)^\S+ +d1 +hot +high +hot +45 +active$`, out)
	require.Regexp(t, `(?m)^hot +2 +1 +1 +0$`, out)
	require.Contains(t, out, "10 readings of 2 devices, 0 refused records, 2 alarms")
	_, out, _ = run("test", "-rules", file, "-device", "d2")
	require.Contains(t, out, "5 readings of 1 devices")
	code, out, _ = run("check", "-rules", file)
	require.Zero(t, code)
	require.Contains(t, out, "is valid")

	write(t, file, "rules: 7\n")
	for _, args := range [][]string{
		{},
		{"nonsense"},
		{"check"},
		{"check", "-rules", file},
		{"test", "-rules", file},
		{"test", "-rules", file, "-from", "yesterday"},
		{"test", "-nonsense"},
		{"check", "-rules", file + "x"},
	} {
		code, _, errs := run(args...)
		require.Equal(t, 2, code, "%v", args)
		require.NotEmpty(t, errs)
	}
}
