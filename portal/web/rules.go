package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/feed"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

const (
	// rulesWithin is how long core may take to list rules.
	rulesWithin = 3 * time.Second
	// rulesFresh is how long the list of all rules, and what they did, is used again.
	rulesFresh = 5 * time.Second
	dayMS      = int64(24 * time.Hour / time.Millisecond)
)

// rulesJSON are rules in force.
type rulesJSON struct {
	Time    int64      `json:"time"`
	Version string     `json:"version"` // the first digits of the SHA-256 of the rules file and the changes on top of it, or built-in
	Rules   []ruleJSON `json:"rules"`
	// AgeMS is how old the answer of core is; Stale: core cannot be reached, these are the last rules known.
	AgeMS int64 `json:"age_ms"`
	Stale bool  `json:"stale"`
	// Complete: the figures of the day are from the database and nothing is missing; else from memory.
	Complete bool `json:"complete"`
	// Pending is the number of changes that wait for an approval, null while they are not known.
	Pending *int `json:"pending"`
	// Problems are approved changes that are not in force, because they no longer fit.
	Problems []wire.RuleOutOfForce `json:"problems"`
}

// ruleJSON is a rule, and without a device what it did.
type ruleJSON struct {
	wire.Rule

	Versions int      `json:"versions"`         // how many of its changes were approved
	Sample   string   `json:"sample,omitempty"` // a device that it is for, preferably one with an alarm of it
	Day      *ruleDay `json:"day,omitempty"`
}

// ruleDay is what a rule did in the last 24 hours.
type ruleDay struct {
	Raised       int                        `json:"raised"`
	Severities   map[telemetry.Severity]int `json:"severities"`
	Share        float64                    `json:"share"`        // of all alarms that were raised, 0 to 1
	Standing     int                        `json:"standing"`     // of those raised: the condition still holds
	Acknowledged int                        `json:"acknowledged"` // of those raised: an operator has seen them
	Chattering   int                        `json:"chattering"`   // alarms that chatter now
}

// lastRules are the newest answers of core.
type lastRules struct {
	mu sync.Mutex
	at int64 // when core answered, 0: never
	wire.RulesAnswer
	devices map[string]heldRules // what was asked for single devices

	problems atomic.Pointer[map[string]bool]
}

// outOfForce returns the ids of approved changes that core cannot take over, as it last said.
func (l *lastRules) outOfForce() map[string]bool {
	if ids := l.problems.Load(); ids != nil {
		return *ids
	}
	return nil
}

func (l *lastRules) setProblems(problems []wire.RuleOutOfForce) {
	ids := make(map[string]bool, len(problems))
	for _, x := range problems {
		ids[x.ChangeID] = true
	}
	l.problems.Store(&ids)
}

type heldRules struct {
	at int64
	wire.RulesAnswer
}

// mostHeld bounds the devices whose rules are kept for when core is away.
const mostHeld = 1000

var errCoreAway = refuse(fiber.StatusServiceUnavailable, "core_unavailable", "core is unreachable or gives no answer, and no rules are known; try again later")

// listRules handles GET /api/v1/rules.
func (p *Portal) listRules(c *fiber.Ctx) error {
	if id := strings.Clone(c.Query("device")); id != "" {
		return p.rulesOfDevice(c, id)
	}
	answer, at, stale, err := p.allRules()
	if err != nil {
		return err
	}
	now := p.model.Now()
	out := rulesJSON{Time: now, Version: answer.Version, Rules: make([]ruleJSON, len(answer.Rules)), AgeMS: max(now-at, 0), Stale: stale}
	days, samples, complete := p.ruleDays(c.UserContext(), now-dayMS)
	out.Complete = complete
	for i, r := range answer.Rules {
		out.Rules[i] = ruleJSON{Rule: r, Sample: samples[r.ID], Day: cmp.Or(days[r.ID], &ruleDay{Severities: map[telemetry.Severity]int{}})}
	}
	p.withChanges(&out, answer.Problems)
	return c.JSON(out)
}

// withChanges adds what is known of the changes of rules.
func (p *Portal) withChanges(out *rulesJSON, problems []wire.RuleOutOfForce) {
	out.Problems = append([]wire.RuleOutOfForce{}, problems...)
	p.changes.View(func(b *rulechange.Book) {
		out.Pending = new(b.Count(func(c *rulechange.Change) bool { return c.State == rulechange.Proposed }))
		approved := make(map[string]int)
		for _, c := range b.Approved() {
			approved[c.Rule]++
		}
		for i := range out.Rules {
			out.Rules[i].Versions = approved[out.Rules[i].ID]
		}
	})
}

// rulesOfDevice answers with the rules that apply to one device: core decides.
func (p *Portal) rulesOfDevice(c *fiber.Ctx, id string) error {
	var asked *wire.RuleDevice
	p.model.View(func() {
		if d := p.model.Device(id); d != nil && d.Known() {
			asked = &wire.RuleDevice{ID: d.ID, Model: d.Info().Model, Building: d.Location().Building, Floor: d.Location().Floor}
		}
	})
	if asked == nil {
		return errNoDevice
	}
	now := p.model.Now()
	answer, err := p.askRules(context.Background(), []wire.RuleDevice{*asked})
	held := heldRules{now, answer}
	p.rules.mu.Lock()
	if err == nil {
		if len(p.rules.devices) >= mostHeld || p.rules.devices == nil {
			p.rules.devices = make(map[string]heldRules)
		}
		p.rules.devices[id] = held
	} else {
		held = p.rules.devices[id]
	}
	p.rules.mu.Unlock()
	if held.at == 0 {
		return errCoreAway
	}
	out := rulesJSON{Time: now, Version: held.Version, Rules: []ruleJSON{}, AgeMS: now - held.at, Stale: err != nil, Complete: true}
	for _, r := range held.Rules {
		if r.Devices > 0 {
			out.Rules = append(out.Rules, ruleJSON{Rule: r})
		}
	}
	p.withChanges(&out, held.Problems)
	return c.JSON(out)
}

// allRules returns all rules and for how many devices each is; at is when core answered.
func (p *Portal) allRules() (answer wire.RulesAnswer, at int64, stale bool, err error) {
	p.rules.mu.Lock() // one question at a time: others wait for its answer
	defer p.rules.mu.Unlock()
	now := p.model.Now()
	if p.rules.at != 0 && now-p.rules.at < rulesFresh.Milliseconds() && p.rules.Position >= p.changesPosition() {
		return p.rules.RulesAnswer, p.rules.at, false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), rulesWithin)
	defer cancel()
	if answer, err = p.askAllRules(ctx); err == nil {
		p.rules.at, p.rules.RulesAnswer = now, answer
		p.rules.setProblems(answer.Problems)
		return answer, now, false, nil
	}
	p.log.Warn("rules not listed", "err", err)
	if p.rules.at == 0 {
		return answer, 0, true, errCoreAway
	}
	return p.rules.RulesAnswer, p.rules.at, true, nil
}

var errRulesChanged = errors.New("the rules changed in between")

// askAllRules asks for all devices, in pieces.
func (p *Portal) askAllRules(ctx context.Context) (sum wire.RulesAnswer, err error) {
	var devices []wire.RuleDevice
	p.model.Each(func(d *state.Device) {
		devices = append(devices, wire.RuleDevice{ID: d.ID, Model: d.Info().Model, Building: d.Location().Building, Floor: d.Location().Floor})
	})
	for first := true; first || len(devices) > 0; first = false {
		n := min(len(devices), wire.MaxRuleDevices)
		part, err := p.askRules(ctx, devices[:n])
		if err != nil {
			return sum, err
		}
		devices = devices[n:]
		if first {
			sum = part
			continue
		}
		if part.Version != sum.Version || len(part.Rules) != len(sum.Rules) {
			return sum, errRulesChanged
		}
		for i := range sum.Rules {
			sum.Rules[i].Devices += part.Rules[i].Devices
		}
	}
	return sum, nil
}

func (p *Portal) askRules(ctx context.Context, devices []wire.RuleDevice) (a wire.RulesAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, rulesWithin)
	defer cancel()
	question, err := json.Marshal(wire.RulesRequest{Devices: devices})
	if err != nil {
		return a, fmt.Errorf("encoding a question about rules: %w", err)
	}
	data, err := p.feed.Ask(ctx, wire.RulesSubject, question)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("reading rules: %w", err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("asking for rules: %s", a.Error)
	}
	return a, nil
}

// ruleDays counts what rules did since from, and names a device for each.
func (p *Portal) ruleDays(ctx context.Context, from int64) (days map[string]*ruleDay, samples map[string]string, complete bool) {
	days, samples = make(map[string]*ruleDay), make(map[string]string)
	day := func(rule string) *ruleDay {
		if days[rule] == nil {
			days[rule] = &ruleDay{Severities: make(map[telemetry.Severity]int)}
		}
		return days[rule]
	}
	var counts []store.RuleCount
	err := error(errNoStore)
	if p.store != nil {
		counts, err = p.store.CountByRule(ctx, from)
		complete = err == nil && !p.feed.StoreBehind()
	}
	newest := make(map[string]int64)
	for _, a := range p.model.Alerts(func(a *state.Alert) bool { return a.Rule != "" }) {
		if a.RaisedAt > newest[a.Rule] {
			newest[a.Rule], samples[a.Rule] = a.RaisedAt, a.DeviceID
		}
		if a.Chattering && a.Open() {
			day(a.Rule).Chattering++
		}
		if err != nil && a.RaisedAt >= from {
			counts = append(counts, countOf(a))
		}
	}
	all := 0
	for _, n := range counts {
		all += n.Raised
	}
	for _, n := range counts {
		d := day(n.Rule)
		d.Raised += n.Raised
		d.Standing += n.Standing
		d.Acknowledged += n.Acknowledged
		d.Severities[n.Severity] += n.Raised
		d.Share = float64(d.Raised) / float64(all)
	}
	return days, samples, complete
}

// countOf is what the database counts of one alarm.
func countOf(a *state.Alert) store.RuleCount {
	_, over := a.Over()
	seen := a.State == telemetry.AlarmAcknowledged || a.State == telemetry.AlarmNormal && over
	one := map[bool]int{true: 1}
	return store.RuleCount{Rule: a.Rule, Severity: a.Severity, Raised: 1, Standing: one[!over], Acknowledged: one[seen]}
}

// dryRunBody is a rule to try: one in force with other figures, or one written anew.
type dryRunBody struct {
	Rule   string           `json:"rule"`   // id of the rule to change
	Change *wire.RuleChange `json:"change"` // its new figures; limit and deadband in the unit of the list of rules
	YAML   string           `json:"yaml"`   // instead of change: the whole rule, as in a rules file
	Hours  float64          `json:"hours"`  // how far back, 1 to 168; 24 when absent
	Device string           `json:"device"` // only this device; absent: all
}

// ruleTrial is what the rule would have done.
type ruleTrial struct {
	Time   int64             `json:"time"`
	DryRun wire.DryRunAnswer `json:"dry_run"`
}

// dryRunWithin is how long a dry run may take: core bounds it at 25 s.
const (
	dryRunWithin = 29 * time.Second
	mostHours    = 168
	maxRuleText  = 16 << 10
)

// dryRun handles POST /api/v1/rules/dryrun. It changes nothing.
func (p *Portal) dryRun(c *fiber.Ctx) error {
	body := dryRunBody{Hours: 24}
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	switch {
	case body.Hours < 1 || body.Hours > mostHours:
		return badField("hours", "1 to 168")
	case body.Rule == "" && body.YAML == "":
		return badField("rule", "the id of a rule, or the whole rule in yaml")
	case body.Change != nil && body.YAML != "":
		return badField("change", "either change or yaml")
	case len(body.YAML) > maxRuleText:
		return badField("yaml", "at most 16 KiB")
	}
	question, err := json.Marshal(wire.DryRunRequest{
		Rule: body.Rule, Change: body.Change, YAML: body.YAML, Device: body.Device,
		From: p.model.Now() - int64(body.Hours*float64(time.Hour/time.Millisecond)),
	})
	if err != nil {
		return fmt.Errorf("encoding a dry run: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dryRunWithin)
	defer cancel()
	data, err := p.feed.Ask(ctx, wire.DryRunSubject, question)
	var a wire.DryRunAnswer
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	switch {
	case errors.Is(err, feed.ErrNoResponder):
		return refuse(fiber.StatusServiceUnavailable, "core_unavailable", "core is unreachable; try again later")
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(fiber.StatusServiceUnavailable, "core_unavailable", "no answer from core in time; try a shorter time or one device")
	case err != nil:
		return fmt.Errorf("reading a dry run: %w", err)
	case a.Busy:
		return refuse(fiber.StatusConflict, "dry_run_busy", "another dry run is going on; try again in half a minute")
	case a.Error != "":
		return refuse(fiber.StatusServiceUnavailable, "dry_run_failed", a.Error)
	}
	return c.JSON(ruleTrial{Time: p.model.Now(), DryRun: a})
}
