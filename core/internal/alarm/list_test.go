package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/wire"
)

func TestDescribeHasCanonicalUnits(t *testing.T) {
	t.Parallel()
	got := Describe(Rule{ID: "hot", If: Condition{Kind: High, Parameter: "temperature", Unit: "°F", Limit: 212, Deadband: 18}, OnDelay: 10 * time.Second}, sensors.Default())
	require.Equal(t, "hot", got.Type)
	require.InDelta(t, 100, *got.Limit, 1e-9)
	require.InDelta(t, 10, got.Deadband, 1e-9)
	require.Equal(t, "°C", got.Unit)
	require.Equal(t, ">", got.Operator)
	require.EqualValues(t, 10_000, got.OnDelayMS)
	rate := Describe(Rule{ID: "fast", If: Condition{Kind: Rate, Parameter: "temperature", Limit: 5, Direction: Down}}, sensors.Default())
	require.Equal(t, "minute", rate.Per)
	require.Equal(t, "<", rate.Operator)
	require.EqualValues(t, 60_000, rate.WindowMS)
	stuck := Describe(Rule{ID: "still", If: Condition{Kind: Stuck, Parameter: "humidity", For: time.Minute}}, sensors.Default())
	require.Nil(t, stuck.Limit)
	require.EqualValues(t, 60_000, stuck.ForMS)
	two := Describe(Rule{ID: "two", If: Condition{Kind: High, Parameter: "temperature", Limit: 5}, Combine: Or, Other: &Condition{Kind: SwitchIs, On: true}}, sensors.Default())
	require.Equal(t, "any", two.Combine)
	require.Equal(t, "on", two.Other.Is)
	require.Equal(t, "switch_status", two.Other.Parameter)
}

func TestHoldsCountsTheFirstRuleOfAType(t *testing.T) {
	t.Parallel()
	high := func(id string, w Where) Rule {
		return Rule{ID: id, Type: "hot", Where: w, If: Condition{Kind: High, Parameter: "temperature", Limit: 5}}
	}
	rs, err := Compile(RuleSet{Rules: []Rule{
		high("pumps", Where{Models: []string{"PUMP-*"}}), high("upstairs", Where{Buildings: []string{"B栋"}, Floors: []int{7}}), high("rest", Where{}),
		{ID: "damp", If: Condition{Kind: High, Parameter: "humidity", Limit: 80}},
	}})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"pumps": 1, "upstairs": 1, "rest": 2, "damp": 4}, rs.Holds([]wire.RuleDevice{
		{ID: "d1", Model: "PUMP-1", Building: "B栋", Floor: 7}, {ID: "d2", Building: "B栋", Floor: 7}, {ID: "d3", Building: "A栋", Floor: 7}, {ID: "d4"},
	}))
}

func TestChangeOfFiguresIsChecked(t *testing.T) {
	t.Parallel()
	catalogue := sensors.Default()
	limit, deadband, delay := 90.0, 2.0, int64(5000)
	r, wrong := Rule{ID: "hot", If: Condition{Kind: High, Parameter: "temperature", Unit: "°F", Limit: 212, Deadband: 18}}.
		Change(wire.RuleChange{Limit: &limit, Deadband: &deadband, OffDelayMS: &delay}, catalogue)
	require.Empty(t, wrong)
	require.Equal(t, Condition{Kind: High, Parameter: "temperature", Limit: 90, Deadband: 2}, r.If)
	require.Equal(t, 5*time.Second, r.OffDelay)
	below, far := -1.0, int64(1)<<62
	_, wrong = r.Change(wire.RuleChange{Deadband: &below, OnDelayMS: &far}, catalogue)
	require.Len(t, wrong, 2)
	require.Equal(t, "on_delay", wrong[0].Field)
	require.Equal(t, "if.deadband", wrong[1].Field)
	_, wrong = Rule{ID: "still", If: Condition{Kind: Stuck, Parameter: "humidity", For: time.Minute}}.Change(wire.RuleChange{Limit: &limit}, catalogue)
	require.Len(t, wrong, 1)
	require.Equal(t, "limit", wrong[0].Field)
}
