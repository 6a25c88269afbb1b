package alarm

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	defaultMaxWait = 5 * time.Minute
	defaultPer     = time.Minute
	defaultWindow  = time.Minute
	defaultSensors = 2
	defaultQuiet   = 5 * time.Minute
)

// Rules is a compiled set of rules. It is immutable and may be shared.
type Rules struct {
	rules        []rule           // those that apply to readings
	byID         map[string]*rule // all but the disabled
	byType       map[string][]*rule
	offlineTypes map[string]bool // types of rules of kind offline, disabled or not
	signals      *signals
	catalogue    *sensors.Catalogue
	anomalies    []*rule  // those of kind anomaly, in order
	graver       bits     // rules about the worse of two limits
	rates        []int    // indexes in rules of those with a rate of change
	room         []string // parameters that are compared within a room
	maxWait      int64
}

// stillBounds are the bounds of the rules about a stuck signal, in ms: the shortest and
// the longest time, and the longest pause between two readings over which a value counts
// as unchanged.
type stillBounds struct{ shortest, longest, gap int64 }

func (b *stillBounds) add(span int64) {
	if b.shortest == 0 || span < b.shortest {
		b.shortest, b.gap = span, span/4
	}
	b.longest = max(b.longest, span)
}

// rule is a compiled Rule.
type rule struct {
	Rule
	version  string
	conds    [2]cond
	n        int
	onDelay  int64 // ms
	offDelay int64
	anywhere bool
	alone    bool // for every device, and the only one of its type
	plain    bool // a limit that a value crosses, and nothing else
}

// cond is a compiled Condition. A value is folded so that more is worse: the condition
// starts to hold above limit and ends at back or less.
type cond struct {
	Condition
	look        look
	fold        fold
	limit, back float64
	span        int64 // ms, of rate and stuck
	per         float64
	key         string // of a rate: the key of its window
	signal      int    // index in Rules.signals, -1 of offline
}

// look is the quantity that a condition measures.
type look uint8

const (
	atValue look = iota
	atRate
	atStill
	atRoom
	atSwitch
)

type fold uint8

const (
	plain fold = iota
	negated
	absolute
)

func (f fold) score(v float64) float64 {
	switch f {
	case negated:
		return -v
	case absolute:
		return math.Abs(v)
	default:
		return v
	}
}

// Compile checks and compiles rules. The error names each rule and all errors in it.
func Compile(set RuleSet) (*Rules, error) {
	rs := &Rules{
		byID: make(map[string]*rule), byType: make(map[string][]*rule), offlineTypes: make(map[string]bool),
		maxWait: set.MaxWait.Milliseconds(),
	}
	if set.MaxWait == 0 {
		rs.maxWait = defaultMaxWait.Milliseconds()
	}
	catalogue := set.Catalogue
	if catalogue == nil {
		catalogue = sensors.Default()
	}
	var errs []error
	seen := make(map[string]bool, len(set.Rules))
	compiled := make([]*rule, 0, len(set.Rules))
	for _, r := range set.Rules {
		r = r.normal()
		if wrong := r.Check(catalogue); len(wrong) > 0 {
			for _, c := range wrong {
				errs = append(errs, fmt.Errorf("rule %s: %w", r.ID, c))
			}
			continue
		}
		if seen[r.ID] {
			errs = append(errs, fmt.Errorf("rule %s: defined twice", r.ID))
			continue
		}
		seen[r.ID] = true
		if r.If.Kind == Offline {
			rs.offlineTypes[r.Type] = true
		}
		if !r.Disabled {
			compiled = append(compiled, newRule(r, catalogue))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	rs.catalogue = catalogue
	err := rs.index(compiled)
	rs.signals = newSignals(rs.rules, catalogue)
	return rs, err
}

// index fills the lookup tables.
func (rs *Rules) index(compiled []*rule) error {
	rs.graver = newBits(len(compiled))
	rs.rules = make([]rule, 0, len(compiled)) // it must not move: byID and byType point into it
	for _, c := range compiled {
		rs.rules = append(rs.rules, *c)
		r := &rs.rules[len(rs.rules)-1]
		rs.byID[r.ID] = r
		if r.n == 1 && (r.If.Kind == HighHigh || r.If.Kind == LowLow) {
			rs.graver.set(len(rs.rules) - 1)
		}
		if r.If.Kind == Anomaly {
			rs.anomalies = append(rs.anomalies, r)
		}
		group := rs.byType[r.Type]
		if len(group) > 0 && group[0].parameter() != r.parameter() {
			return fmt.Errorf("rules %s and %s: one type, %s, but two parameters, %s and %s",
				group[0].ID, r.ID, r.Type, group[0].parameter(), r.parameter())
		}
		rs.byType[r.Type] = append(group, r)
		r.alone = r.anywhere && len(group) == 0
		if len(group) > 0 {
			group[0].alone = false
		}
		for i := range r.n {
			switch c := &r.conds[i]; c.look {
			case atRate:
				if !slices.Contains(rs.rates, len(rs.rules)-1) {
					rs.rates = append(rs.rates, len(rs.rules)-1)
				}
			case atRoom:
				if !slices.Contains(rs.room, c.Parameter) {
					rs.room = append(rs.room, c.Parameter)
				}
			default:
			}
		}
	}
	return nil
}

// NeedsRoom reports whether some rule compares a sensor with the others of its room.
func (rs *Rules) NeedsRoom() bool { return len(rs.room) > 0 }

// RoomParameters returns the parameters that are compared with the others of a room. The
// caller must not change it.
func (rs *Rules) RoomParameters() []string { return rs.room }

// Catalogue returns the catalogue of sensors that the rules were compiled with.
func (rs *Rules) Catalogue() *sensors.Catalogue { return rs.catalogue }

// Len returns the number of enabled rules.
func (rs *Rules) Len() int { return len(rs.rules) }

// Rule returns the rule with an id, as written but with every default filled in, and its
// version.
func (rs *Rules) Rule(id string) (r Rule, version string, ok bool) {
	c, ok := rs.byID[id]
	if !ok {
		return Rule{}, "", false
	}
	return c.Rule, c.version, true
}

// All returns the enabled rules, with every default filled in.
func (rs *Rules) All() []Rule {
	out := make([]Rule, len(rs.rules))
	for i := range rs.rules {
		out[i] = rs.rules[i].Rule
	}
	return out
}

// newRule compiles a rule without errors.
func newRule(r Rule, catalogue *sensors.Catalogue) *rule {
	canonical := r
	canonical.If, _ = r.If.canonical(catalogue)
	if r.Other != nil {
		other, _ := r.Other.canonical(catalogue)
		canonical.Other = &other
	}
	c := &rule{
		Rule: r, version: canonical.Version(), n: 1,
		onDelay: r.OnDelay.Milliseconds(), offDelay: r.OffDelay.Milliseconds(),
		anywhere: r.Where.empty(),
	}
	c.conds[0] = newCond(canonical.If, r.ID)
	if r.Other != nil {
		c.conds[1], c.n = newCond(*canonical.Other, r.ID+"/2"), 2
	}
	c.plain = c.n == 1 && c.conds[0].look == atValue && !r.If.outside()
	return c
}

func newCond(c Condition, key string) cond {
	x := cond{Condition: c, limit: c.Limit, key: key, signal: -1}
	switch c.Kind {
	case Low, LowLow, BatteryLow, SignalWeak:
		x.fold, x.limit = negated, -c.Limit
	case Deviation:
		x.look, x.fold = atRoom, absolute
	case SwitchIs:
		x.look = atSwitch
	case Rate:
		x.look = atRate
		x.span = c.Window.Milliseconds()
		x.per = float64(c.Per.Milliseconds())
		switch c.Direction {
		case Down:
			x.fold = negated
		case Up:
		default:
			x.fold = absolute
		}
	case Stuck:
		x.look = atStill
		x.span = c.For.Milliseconds()
	default:
	}
	x.back = x.limit - c.Deadband
	return x
}

// parameter returns the parameter of the rule's alarm; empty for findings.
func (r *rule) parameter() string {
	if r.If.outside() {
		return ""
	}
	return r.If.Parameter
}

// normal returns r with the defaults written out.
func (r Rule) normal() Rule {
	if r.Type == "" {
		r.Type = r.ID
	}
	if r.Severity == "" {
		r.Severity = telemetry.SeverityMedium
	}
	if r.If.Kind == Anomaly && r.OffDelay == 0 {
		r.OffDelay = defaultQuiet
	}
	r.If = r.If.normal()
	if r.Other != nil {
		other := r.Other.normal()
		r.Other = &other
		if r.Combine == "" {
			r.Combine = And
		}
	}
	return r
}

func (c Condition) normal() Condition {
	switch c.Kind {
	case BatteryLow:
		c.Parameter = Battery
	case SignalWeak:
		c.Parameter = Strength
	case SwitchIs:
		c.Parameter = cmp.Or(c.Parameter, telemetry.SwitchStatus)
	case Rate:
		if c.Direction == "" {
			c.Direction = Both
		}
		if c.Per == 0 {
			c.Per = defaultPer
		}
		if c.Window == 0 {
			c.Window = defaultWindow
		}
	case Anomaly:
		c.Parameter, c.Sensitivity = cmp.Or(c.Parameter, AnySensor), cmp.Or(c.Sensitivity, SensitivityMedium)
	case Deviation:
		if c.Sensors == 0 {
			c.Sensors = defaultSensors
		}
	default:
	}
	return c
}

// canonical returns c with its limit and deadband in the canonical unit of its parameter.
func (c Condition) canonical(catalogue *sensors.Catalogue) (Condition, error) {
	if c.Unit == "" {
		return c, nil
	}
	var errs [2]error
	c.Limit, errs[0] = catalogue.Canonical(c.Parameter, c.Unit, c.Limit, c.Kind == Rate || c.Kind == Deviation)
	c.Deadband, errs[1] = catalogue.Canonical(c.Parameter, c.Unit, c.Deadband, true)
	c.Unit = ""
	return c, cmp.Or(errs[0], errs[1])
}

// Version returns 12 hex digits of a hash of the rule with its defaults filled in: rules
// that mean the same have the same version, however they are written.
func (r Rule) Version() string {
	text, err := json.Marshal(r.normal())
	if err != nil {
		return "" // a limit that is not finite: Compile refuses it
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
