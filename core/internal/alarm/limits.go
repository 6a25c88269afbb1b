package alarm

import "industrial-iot-monitor/internal/wire"

// ValueLimits returns the limits that the rules have on values of sensors, in canonical units and
// in the order of the rules. Rates, deviations and the like have none.
func (rs *Rules) ValueLimits() []wire.RuleLimit {
	out := []wire.RuleLimit{}
	for i := range rs.rules {
		r := &rs.rules[i]
		for k := range r.n {
			c := &r.conds[k]
			if c.look != atValue || c.Parameter == "" || c.outside() {
				continue
			}
			out = append(out, wire.RuleLimit{
				Parameter: c.Parameter, Operator: c.operator(), Value: c.Limit, Severity: r.Severity, Rule: r.ID, Everywhere: r.anywhere,
			})
		}
	}
	return out
}
