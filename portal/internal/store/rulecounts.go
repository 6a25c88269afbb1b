package store

import (
	"context"

	"industrial-iot-monitor/internal/telemetry"
)

// RuleCount counts the alarms of one rule and severity that were raised in a time.
type RuleCount struct {
	Rule         string
	Severity     telemetry.Severity
	Raised       int
	Standing     int // their condition still holds
	Acknowledged int // an operator has seen them
}

// CountByRule counts the alarms raised at from or later, in ms, by rule and severity.
func (s *Store) CountByRule(ctx context.Context, from int64) ([]RuleCount, error) {
	const what = "counting the alarms of rules"
	db, err := s.use()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	rows, err := db.QueryContext(ctx, s.dialect.bind("select coalesce(rule, ''), coalesce(severity, ''), count(*), "+
		"sum(case when ended_at is null then 1 else 0 end), sum(case when state = 'acknowledged' or (state = 'normal' and ended_at is not null) then 1 else 0 end) "+
		"from alarms where raised_at >= ? group by rule, severity"), from)
	if err != nil {
		return nil, s.explain(ctx, db, what, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what failed
	var out []RuleCount
	for rows.Next() {
		var c RuleCount
		if err := rows.Scan(&c.Rule, &c.Severity, &c.Raised, &c.Standing, &c.Acknowledged); err != nil {
			return nil, s.explain(ctx, db, what, err)
		}
		out = append(out, c)
	}
	return out, s.explain(ctx, db, what, rows.Err())
}
