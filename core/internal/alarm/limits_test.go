package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestLimitsOnValuesAreInCanonicalUnits(t *testing.T) {
	rs := compile(t,
		Rule{ID: "hot", Severity: telemetry.SeverityHigh, If: Condition{Kind: High, Parameter: temperature, Limit: 212, Unit: "°F"}},
		Rule{ID: "cold", Severity: telemetry.SeverityLow, Where: Where{Buildings: []string{"A"}}, If: Condition{Kind: Low, Parameter: temperature, Limit: -5}},
		Rule{ID: "fast", If: Condition{Kind: Rate, Parameter: temperature, Limit: 3}},
		Rule{ID: "off", If: Condition{Kind: SwitchIs}},
		Rule{ID: "silent", If: Condition{Kind: Offline}},
		Rule{ID: "unused", Disabled: true, If: Condition{Kind: High, Parameter: temperature, Limit: 1}},
		Rule{
			ID: "both", Severity: telemetry.SeverityMedium, Combine: And, OnDelay: time.Second,
			If: Condition{Kind: HighHigh, Parameter: "co2", Limit: 2000}, Other: &Condition{Kind: LowLow, Parameter: "humidity", Limit: 10},
		},
	)
	require.Equal(t, []wire.RuleLimit{
		{Parameter: "temperature", Operator: ">", Value: 100, Severity: telemetry.SeverityHigh, Rule: "hot", Everywhere: true},
		{Parameter: "temperature", Operator: "<", Value: -5, Severity: telemetry.SeverityLow, Rule: "cold"},
		{Parameter: "co2", Operator: ">", Value: 2000, Severity: telemetry.SeverityMedium, Rule: "both", Everywhere: true},
		{Parameter: "humidity", Operator: "<", Value: 10, Severity: telemetry.SeverityMedium, Rule: "both", Everywhere: true},
	}, rs.ValueLimits())
	require.Equal(t, []wire.RuleLimit{}, compile(t).ValueLimits())
}
