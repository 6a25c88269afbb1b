package history

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStepFor(t *testing.T) {
	const day = 86_400_000
	for _, c := range []struct {
		from, to int64
		points   int
		want     int64
	}{
		{0, 59_999, 60, 1000},
		{0, 60_000, 60, 2000},
		{999, 60_000, 61, 1000},
		{0, 30*day - 1, 1000, 3_600_000},
		{0, 30*day - 1, 720, 3_600_000},
		{0, 30*day - 1, 719, 7_200_000},
		{0, 365*day - 1, 100, 4 * day},
		{day - 1, day, 2, 1000},
		{0, 365 * day, 2, 183 * day},
	} {
		got := StepFor(c.from, c.to, c.points)
		require.Equal(t, c.want, got, "%+v", c)
		require.LessOrEqual(t, c.to/got-c.from/got, int64(c.points-1))
	}
}

func TestNumbersHaveNullForNone(t *testing.T) {
	text, err := json.Marshal(Numbers{1.5, math.NaN(), -2, 1e21})
	require.NoError(t, err)
	require.Equal(t, "[1.5,null,-2,1e+21]", string(text))
	var back Numbers
	require.NoError(t, json.Unmarshal(text, &back))
	require.True(t, math.IsNaN(back[1]))
	require.Equal(t, Numbers{1.5, -2, 1e21}, append(back[:1], back[2:]...))
}

func TestQuestionsComeBack(t *testing.T) {
	for _, q := range []Query{
		{Devices: []string{"a", "b"}, From: 1, To: 2, Points: 5},
		{Buildings: []string{"A, B", "C栋"}, Parameters: []string{"temperature", "co2"}, From: 1, To: 200, Step: 50},
	} {
		back, err := ParseQuery(q.Values())
		require.NoError(t, err)
		require.Equal(t, q, back)
		require.NoError(t, q.Check())
	}
	e := ExportQuery{Format: NDJSON, Devices: []string{"a"}, Parameters: []string{"co2"}, From: 1, To: 2}
	back, err := ParseExportQuery(e.Values())
	require.NoError(t, err)
	require.Equal(t, e, back)
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	good := Query{Devices: []string{"a"}, From: 1, To: 2_000, Points: 5}
	require.NoError(t, good.Check())
	for want, change := range map[string]func(q *Query){
		"devices, buildings: want 1 to": func(q *Query) { q.Devices = nil },
		`"a b" is not the id`:           func(q *Query) { q.Devices = []string{"a b"} },
		"from, to:":                     func(q *Query) { q.To = 1 },
		"points:":                       func(q *Query) { q.Points = 1 },
		"step:":                         func(q *Query) { q.To, q.Step = 10_000, 1 },
		`"X" is not the name of a`:      func(q *Query) { q.Parameters = []string{"X"} },
		`"" is not the name of a build`: func(q *Query) { q.Buildings = []string{""} },
	} {
		q := good
		change(&q)
		require.ErrorContains(t, q.Check(), want)
	}
}

func TestDetectQuestionComesBack(t *testing.T) {
	q := DetectQuery{Device: "a", Parameters: []string{"co2"}, From: 1, To: 2_000, Points: 5}
	require.NoError(t, q.Check())
	back, err := ParseDetectQuery(q.Values())
	require.NoError(t, err)
	require.Equal(t, q, back)
	q.Device = "a b"
	require.ErrorContains(t, q.Check(), "is not the id of a device")
	q.Device, q.Points = "a", 1
	require.ErrorContains(t, q.Check(), "points:")
	a := DetectAnswer{Sensors: []DetectedSensor{{Time: []int64{1}}}}
	require.ErrorIs(t, a.Check(), errDetectAnswer)
}
