package processor

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// changes are records of the alarm-rules topic.
type changes struct {
	tb      testing.TB
	records []kafkatest.Record
	book    *rulechange.Book
}

func newChanges(tb testing.TB) *changes {
	tb.Helper()
	return &changes{tb: tb, book: rulechange.NewBook()}
}

func (c *changes) add(r *rulechange.Record) {
	c.tb.Helper()
	value, err := json.Marshal(r)
	require.NoError(c.tb, err)
	key := rulechange.NewKey(r.Change)
	require.NoError(c.tb, c.book.Apply(key, value, int64(len(c.records))))
	c.records = append(c.records, kafkatest.Record{Key: []byte(key), Value: value})
}

// approve proposes and approves a rule; an empty text removes it.
func (c *changes) approve(id, rule, text string) {
	c.tb.Helper()
	c.add(&rulechange.Record{Act: rulechange.Propose, Change: id, By: "a", At: 1, Proposal: &rulechange.Proposal{
		Rule: rule, YAML: text, Remove: text == "", Reason: "r", After: c.book.Newest(rule),
	}})
	c.add(&rulechange.Record{Act: rulechange.Approve, Change: id, By: "b", At: 2})
	require.Equal(c.tb, id, c.book.Newest(rule))
}

// above is a rule with a limit on the temperature.
func above(id, limit, more string) string {
	return "- id: " + id + "\n  kind: high\n  parameter: temperature\n  limit: " + limit + "\n" + more
}

// bookedRules returns rules with a file and changes on top.
func bookedRules(t *testing.T, file string, catalogue func() *sensors.Catalogue) (*ruleFile, *core) {
	t.Helper()
	cfg, reg := defaultConfig(t), prometheus.NewRegistry()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	}
	f, err := newRuleFile(slog.New(slog.DiscardHandler), reg, path, cfg.builtIn(), catalogue)
	require.NoError(t, err)
	return f, &core{reg: reg}
}

// limitOf returns the limit of a rule in force and where it comes from.
func limitOf(t *testing.T, f *ruleFile, id string) (limit float64, origin string) {
	t.Helper()
	for _, r := range f.list(nil).Rules {
		if r.ID == id && r.Limit != nil {
			return *r.Limit, r.Origin
		}
	}
	return 0, ""
}

func requireLimit(t *testing.T, f *ruleFile, id string, limit float64, origin string) {
	t.Helper()
	got, from := limitOf(t, f, id)
	require.InDelta(t, limit, got, 1e-9)
	require.Equal(t, origin, from)
}

func TestApprovedChangesAreOnTopOfTheFile(t *testing.T) {
	t.Parallel()
	f, c := bookedRules(t, hotRule, sensors.Default)
	file := f.load().version
	b := newChanges(t)
	f.change(b.book)
	require.Equal(t, file, f.load().version, "without a change the version is the file's")
	b.approve("c1", "hot", above("hot", "45", ""))
	f.change(b.book)
	requireLimit(t, f, "hot", 45, wire.RuleOnPage)
	changed := f.load().version
	require.Len(t, changed, 12)
	require.NotEqual(t, file, changed)
	require.InDelta(t, 1, c.value(t, "core_rules_version", changed), 0)
	require.Equal(t, b.book.Position(), f.list(nil).Position)

	b.approve("c2", "mine", above("mine", "60", ""))
	b.approve("c3", "temperature_high", above("temperature_high", "70", ""))
	f.change(b.book)
	requireLimit(t, f, "mine", 60, wire.RuleOnPage)
	requireLimit(t, f, "temperature_high", 70, wire.RuleOnPage)
	for _, r := range f.list(nil).Rules {
		want := map[string]string{"hot": wire.RuleInFile, "mine": wire.RuleOnPage}[r.ID]
		if want == "" {
			want = wire.RuleBuiltIn
		}
		require.Equal(t, want, r.Source, r.ID)
	}

	write(t, f.file, strings.ReplaceAll(hotRule, "hot", "warm")) // reloaded under them
	f.Reread()
	requireLimit(t, f, "hot", 45, wire.RuleOnPage)
	requireLimit(t, f, "warm", 30, wire.RuleInFile)
	write(t, f.file, hotRule)
	f.Reread()

	for id, rule := range map[string]string{"c4": "hot", "c5": "mine", "c6": "temperature_high"} {
		b.approve(id, rule, "")
	}
	f.change(b.book)
	requireLimit(t, f, "hot", 30, wire.RuleInFile)
	requireLimit(t, f, "temperature_high", 80, wire.RuleBuiltIn)
	_, origin := limitOf(t, f, "mine")
	require.Empty(t, origin, "it is gone")
	require.Equal(t, file, f.load().version, "the same rules have the same version")
}

// TestVersionIsTheSameOnEveryCore: that of a core that saw every change come, and of one that
// started later.
func TestVersionIsTheSameOnEveryCore(t *testing.T) {
	t.Parallel()
	first, _ := bookedRules(t, hotRule, sensors.Default)
	b := newChanges(t)
	for _, limit := range []string{"41", "42", "43"} {
		b.approve("c"+limit, "hot", above("hot", limit, ""))
		b.approve("d"+limit, "mine", above("mine", limit, ""))
		first.change(b.book)
	}
	second, _ := bookedRules(t, hotRule, sensors.Default)
	second.change(b.book)
	require.Equal(t, first.load().version, second.load().version)
	require.Equal(t, first.list(nil), second.list(nil))
}

// TestChangeThatNoLongerFitsStaysOut has the catalogue lose the unit of an approved change:
// the change before it counts, and the newest again once it fits.
func TestChangeThatNoLongerFitsStaysOut(t *testing.T) {
	t.Parallel()
	load := func(unit string) *sensors.Catalogue {
		c, err := sensors.Load([]byte("sensors:\n  - {kind: bottles, unit: " + unit + "}\n"))
		require.NoError(t, err)
		return c
	}
	catalogue := load("bottles/min")
	f, c := bookedRules(t, "", func() *sensors.Catalogue { return catalogue })
	b := newChanges(t)
	bottles := func(limit, unit string) string {
		return "- id: slow\n  kind: low\n  parameter: bottles\n  limit: " + limit + "\n" + unit
	}
	b.approve("c1", "slow", bottles("60", ""))
	b.approve("c2", "slow", bottles("70", "  unit: bottles/min\n"))
	b.approve("c3", "other", above("other", "61", ""))
	f.change(b.book)
	fits := f.load().version
	requireLimit(t, f, "slow", 70, wire.RuleOnPage)
	require.Empty(t, f.list(nil).Problems)

	catalogue = load("crates/min")
	f.convert()
	requireLimit(t, f, "slow", 60, wire.RuleOnPage)
	requireLimit(t, f, "other", 61, wire.RuleOnPage)
	a := f.list(nil)
	require.Len(t, a.Problems, 1)
	require.Equal(t, "slow", a.Problems[0].Rule)
	require.Equal(t, "c2", a.Problems[0].ChangeID)
	require.Equal(t, 5, a.Problems[0].Problems[0].Line)
	require.Contains(t, a.Problems[0].Problems[0].Message, "bottles/min")
	require.NotEqual(t, fits, a.Version, "these are other rules")
	require.InDelta(t, 1, c.value(t, "core_rule_changes_out_of_force"), 0)
	require.Zero(t, c.value(t, "core_rules_load_failures_total"))

	catalogue = load("bottles/min")
	f.convert()
	require.Equal(t, fits, f.load().version)
	require.Zero(t, c.value(t, "core_rule_changes_out_of_force"))
}

// TestChangesThatDoNotFitTogetherStayOut has the file take the type of a rule by changes for
// another sensor: the file counts, and everything else stays in force.
func TestChangesThatDoNotFitTogetherStayOut(t *testing.T) {
	t.Parallel()
	f, c := bookedRules(t, "rules: []\n", sensors.Default)
	b := newChanges(t)
	b.approve("c1", "mine", above("mine", "60", "  type: shared\n"))
	b.approve("c2", "other", above("other", "61", ""))
	f.change(b.book)
	require.Empty(t, f.list(nil).Problems)
	write(t, f.file, "rules:\n- {id: wet, type: shared, kind: high, parameter: humidity, limit: 50}\n")
	f.Reread()
	require.Zero(t, c.value(t, "core_rules_load_failures_total"), "the file is in force")
	requireLimit(t, f, "wet", 50, wire.RuleInFile)
	requireLimit(t, f, "other", 61, wire.RuleOnPage)
	_, origin := limitOf(t, f, "mine")
	require.Empty(t, origin)
	require.Equal(t, "c1", f.list(nil).Problems[0].ChangeID)
	write(t, f.file, "rules: []\n")
	f.Reread()
	requireLimit(t, f, "mine", 60, wire.RuleOnPage)
	require.Zero(t, c.value(t, "core_rule_changes_out_of_force"))
}

func TestProposalsAreJudged(t *testing.T) {
	t.Parallel()
	f, _ := bookedRules(t, hotRule, sensors.Default)
	p := &Processor{rules: f}
	b := newChanges(t)
	b.approve("c1", "mine", above("mine", "60", ""))
	before := f.load().version
	f.change(b.book)
	now := f.load().version
	limit := 42.0
	hot := f.list(nil).Rules[0]
	for _, r := range f.list(nil).Rules {
		if r.ID == "hot" {
			hot = r
		}
	}
	other := "- id: hot\n"
	for name, x := range map[string]struct {
		q       wire.RuleProposalRequest
		field   string // of the first problem; "-": none
		changed bool
	}{
		"figures":             {q: wire.RuleProposalRequest{Rule: "hot", Change: &wire.RuleChange{Limit: &limit}}, field: "-"},
		"yaml":                {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "42", "")}, field: "-"},
		"a new rule":          {q: wire.RuleProposalRequest{YAML: above("new", "42", "")}, field: "-"},
		"another rule's yaml": {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("new", "42", "")}, field: "id"},
		"no such rule":        {q: wire.RuleProposalRequest{Rule: "nothing", Change: &wire.RuleChange{Limit: &limit}}, field: "rule"},
		"bad yaml":            {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "warm", "")}, field: "rules[0].limit"},
		"two parameters":      {q: wire.RuleProposalRequest{YAML: "- {id: x, type: hot, kind: high, parameter: humidity, limit: 1}"}, field: ""},
		"as it is":            {q: wire.RuleProposalRequest{YAML: hot.Text}, field: ""},
		"removal":             {q: wire.RuleProposalRequest{Rule: "mine", Remove: true}, field: "-"},
		"removal of the file": {q: wire.RuleProposalRequest{Rule: "hot", Remove: true}, field: "remove"},
		"a name that is odd":  {q: wire.RuleProposalRequest{YAML: above(`"123"`, "42", "")}, field: ""},
		"seen now":            {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "42", ""), IfVersion: now}, field: "-"},
		"seen before":         {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "42", ""), IfVersion: before}, field: "-"},
		"seen before it was":  {q: wire.RuleProposalRequest{Rule: "mine", YAML: above("mine", "42", ""), IfVersion: before}, field: "-", changed: true},
		"seen long ago":       {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "42", ""), IfVersion: "0123456789ab"}, field: "-", changed: true},
		"approved as it was":  {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "42", ""), Before: &hot.Text}, field: "-"},
		"approved too late":   {q: wire.RuleProposalRequest{Rule: "hot", YAML: above("hot", "42", ""), Before: &other}, field: "-", changed: true},
	} {
		data, err := json.Marshal(x.q)
		require.NoError(t, err)
		a := p.proposalAnswer(data)
		require.Empty(t, a.Error, name)
		require.Equal(t, x.changed, a.Changed, name)
		if x.field == "-" {
			require.Empty(t, a.Problems, name)
			require.Equal(t, x.q.Remove, a.Text == "", name)
			require.Equal(t, now, a.Version)
			continue
		}
		require.NotEmpty(t, a.Problems, name)
		require.Equal(t, x.field, a.Problems[0].Field, name)
	}
	require.NotEmpty(t, p.proposalAnswer([]byte("nonsense")).Error)
	require.Equal(t, now, f.load().version, "nothing was changed")
}

// TestTextOfAProposalIsTheOneInForceAfterwards: what was shown is what is approved, and a
// second look finds nothing to change.
func TestTextOfAProposalIsTheOneInForceAfterwards(t *testing.T) {
	t.Parallel()
	f, _ := bookedRules(t, "", sensors.Default)
	b := newChanges(t)
	for id, text := range map[string]string{
		"r1": "- {id: r1, kind: rate, parameter: temperature, limit: 5}",
		"r2": "- {id: r2, kind: deviation, parameter: temperature, limit: 5, unit: °F, where: {building: [A栋, '7'], floor: 3}}",
		"r3": "- id: r3\n  any:\n  - {kind: switch, is: on}\n  - {kind: stuck, parameter: humidity, for: 30m}\n  on_delay: 90s\n",
		"r4": "- {id: r4, kind: offline, type: device_offline, severity: critical}",
		"r5": "- {id: humidity_high, disabled: true}",
	} {
		a := f.judge(&wire.RuleProposalRequest{YAML: text})
		require.Empty(t, a.Problems, text)
		b.approve(id, a.Rule, a.Text)
		f.change(b.book)
		require.Equal(t, a.Text, textByID(f.load().source, f.load().Rules, a.Rule))
		require.NotEmpty(t, f.judge(&wire.RuleProposalRequest{YAML: a.Text}).Problems)
	}
}

// TestFormerChangesExplainTheirAlarms also after a restart, however many there were.
func TestFormerChangesExplainTheirAlarms(t *testing.T) {
	t.Parallel()
	b := newChanges(t)
	versions := make(map[string]string)
	f, _ := bookedRules(t, hotRule, sensors.Default)
	_, file, _ := f.load().Rule("hot")
	for i := range 2 * maxPast {
		limit := string(rune('A' + i))
		b.approve("c"+limit, "hot", above("hot", "4"+string(rune('0'+i%10))+"."+string(rune('0'+i/10)), ""))
		f.change(b.book)
		_, version, ok := f.load().Rule("hot")
		require.True(t, ok)
		versions[limit] = version
	}
	again, _ := bookedRules(t, hotRule, sensors.Default)
	again.change(b.book)
	for id, version := range versions {
		_, found, _ := again.forAlert(&telemetry.Alert{Rule: "hot", RuleVersion: version}).Rule("hot")
		require.Equal(t, version, found, id)
	}
	_, found, _ := again.forAlert(&telemetry.Alert{Rule: "hot", RuleVersion: file}).Rule("hot")
	require.Equal(t, file, found, "the file's")
}

// BenchmarkChangesComeIntoForce is one more approval, after many: of a few rules, and of as
// many rules as there can be.
func BenchmarkChangesComeIntoForce(b *testing.B) {
	for _, rules := range []int{20, 900} {
		b.Run(strconv.Itoa(rules)+" rules", func(b *testing.B) {
			c := newChanges(b)
			for i := range 1800 {
				id := "r" + strconv.Itoa(i%rules)
				c.approve("c"+strconv.Itoa(i), id, above(id, strconv.Itoa(50+i%7), ""))
			}
			cfg := defaultConfig(b)
			f := &ruleFile{builtIn: cfg.builtIn(), approved: c.book.Approved()}
			for b.Loop() {
				_, err := f.compile(nil, sensors.Default())
				require.NoError(b, err)
			}
		})
	}
}
