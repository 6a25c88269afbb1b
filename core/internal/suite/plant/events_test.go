package plant

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	minuteMS = int64(60_000)
	hourMS   = 60 * minuteMS
)

// twoDays is the span of the tests.
var twoDays = Span{From: 10 * dayMS, To: 12 * dayMS}

// at returns minutes after the beginning of the span, in ms.
func at(minutes int64) int64 { return twoDays.From + minutes*minuteMS }

func alarm(sensor string, from, to int64) Alarm {
	return Alarm{Device: "d", Sensor: sensor, From: at(from), To: at(to)}
}

func TestJudge(t *testing.T) {
	// One fault on the first day, from minute 100 to 160; none on the second.
	drift := Event{Device: "d", Sensor: "temperature", With: "humidity", Kind: telemetry.AnomalyDrift, Onset: at(100), End: at(160)}
	for name, c := range map[string]struct {
		alarms              []Alarm
		found, false, aside int
		right               int // of two days
		delay               int64
	}{
		"nothing":                        {right: 1},
		"during":                         {alarms: []Alarm{alarm("temperature", 120, 130)}, found: 1, right: 2, delay: 20},
		"with the onset":                 {alarms: []Alarm{alarm("temperature", 100, 130)}, found: 1, right: 2},
		"within the tolerance before":    {alarms: []Alarm{alarm("temperature", 99, 130)}, found: 1, right: 2},
		"too early, though it holds":     {alarms: []Alarm{alarm("temperature", 98, 130)}, false: 1, right: 1},
		"within the tolerance after":     {alarms: []Alarm{alarm("temperature", 190, 195)}, found: 1, right: 2, delay: 90},
		"too late":                       {alarms: []Alarm{alarm("temperature", 191, 195)}, false: 1, right: 1},
		"several count once":             {alarms: []Alarm{alarm("temperature", 140, 141), alarm("temperature", 110, 111)}, found: 1, right: 2, delay: 10},
		"of the sensor that takes part":  {alarms: []Alarm{alarm("humidity", 130, 140)}, found: 1, right: 2, delay: 30},
		"of another sensor":              {alarms: []Alarm{alarm("current", 130, 140)}, aside: 1, right: 1},
		"a false one on the other day":   {alarms: []Alarm{alarm("temperature", 110, 120), alarm("current", 2000, 2001)}, found: 1, false: 1, right: 1, delay: 10},
		"a false one lasts until then":   {alarms: []Alarm{alarm("current", 20, 1500)}, false: 1},
		"it began before the span":       {alarms: []Alarm{alarm("temperature", -5, 1)}, false: 1, right: 1},
		"it ended before the span":       {alarms: []Alarm{alarm("temperature", -5, 0)}, right: 1},
		"it began after the span":        {alarms: []Alarm{alarm("temperature", 2880, 2890)}, right: 1},
		"a false one on the day of both": {alarms: []Alarm{alarm("temperature", 110, 120), alarm("current", 1000, 1001)}, found: 1, false: 1, right: 2, delay: 10},
	} {
		t.Run(name, func(t *testing.T) {
			var tally Tally
			tally.Judge([]Event{drift}, c.alarms, twoDays, DefaultTolerance)
			require.Equal(t, c.found, tally.Found[telemetry.AnomalyDrift])
			require.Equal(t, 1-c.found, tally.Missed[telemetry.AnomalyDrift])
			require.Equal(t, c.false, tally.False)
			require.Equal(t, c.aside, tally.Aside)
			require.Equal(t, 2, tally.Days)
			require.Equal(t, c.right, tally.Right)
			require.Equal(t, time.Duration(c.delay)*time.Minute, tally.Delay(telemetry.AnomalyDrift, 0.5))
		})
	}
}

// TestAnEventOfTheWholeDeviceIsFoundByAnySensor and an event over midnight counts on both days.
func TestAnEventOfTheWholeDeviceIsFoundByAnySensor(t *testing.T) {
	silence := Event{Device: "d", Kind: "silence", Onset: at(1430), End: at(1450)}
	var tally Tally
	tally.Judge([]Event{silence}, []Alarm{alarm("current", 1451, 1452)}, twoDays, DefaultTolerance)
	require.Equal(t, 1, tally.Found["silence"])
	require.Equal(t, 2, tally.Right)
}

// TestAnAlarmThatHoldsFromTheBeginningIsFalse even if a fault begins with the span.
func TestAnAlarmThatHoldsFromTheBeginningIsFalse(t *testing.T) {
	spike := Event{Device: "d", Sensor: "current", Kind: telemetry.AnomalySpike, Onset: at(0), End: at(1)}
	var tally Tally
	tally.Judge([]Event{spike}, []Alarm{alarm("current", -1, 5)}, twoDays, DefaultTolerance)
	require.Equal(t, 1, tally.Missed[telemetry.AnomalySpike])
	require.Equal(t, 1, tally.False)
	require.Equal(t, 1, tally.Right)
}

// TestFiguresByHand has 3 found, 1 missed, 2 false on 10 device-days of which 7 are right.
func TestFiguresByHand(t *testing.T) {
	tally := Tally{
		Found:  map[telemetry.AnomalyKind]int{telemetry.AnomalySpike: 2, telemetry.AnomalyDrift: 1},
		Missed: map[telemetry.AnomalyKind]int{telemetry.AnomalyDrift: 1},
		Delays: []Delay{{telemetry.AnomalySpike, 30 * time.Second}, {telemetry.AnomalyDrift, time.Hour}, {telemetry.AnomalySpike, 10 * time.Second}},
		False:  2, Days: 10, Right: 7,
	}
	require.InDelta(t, 3.0/5, tally.Precision(), 1e-12)
	require.InDelta(t, 3.0/4, tally.Recall(), 1e-12)
	require.InDelta(t, 2.0/3, tally.F1(), 1e-12)
	require.InDelta(t, 0.7, tally.Accuracy(), 1e-12)
	require.InDelta(t, 0.2, tally.FalsePerDay(), 1e-12)
	require.InDelta(t, 0.5, tally.RecallOf(telemetry.AnomalyDrift), 1e-12)
	require.Equal(t, 30*time.Second, tally.Delay(telemetry.AnomalySpike, 0.9))
	require.Equal(t, time.Duration(0), tally.Delay(telemetry.AnomalyStuck, 0.5))

	var none Tally
	require.Zero(t, none.Precision()+none.Recall()+none.F1()+none.Accuracy()+none.FalsePerDay())

	none.Add(&tally)
	none.Add(&tally)
	require.Equal(t, 4, none.Found[telemetry.AnomalySpike])
	require.InDelta(t, tally.F1(), none.F1(), 1e-12)
	require.Len(t, none.Delays, 6)
}

func TestMedianOfDelaysIsTheMiddleOne(t *testing.T) {
	var tally Tally
	for _, s := range []time.Duration{50 * time.Second, 10 * time.Second, 40 * time.Second, 20 * time.Second, 30 * time.Second} {
		tally.Delays = append(tally.Delays, Delay{telemetry.AnomalyStuck, s})
	}
	require.Equal(t, 30*time.Second, tally.Delay(telemetry.AnomalyStuck, 0.5))
	require.Equal(t, 50*time.Second, tally.Delay(telemetry.AnomalyStuck, 0.9))
	tally.Delays = tally.Delays[:4] // 10, 20, 40, 50
	require.Equal(t, 20*time.Second, tally.Delay(telemetry.AnomalyStuck, 0.5), "the lower of two middle ones")
}

// TestConfidenceOfTwoSeeds: a resample has both seeds or one of them twice, so that the ends of the
// interval are the seeds' own figures.
func TestConfidenceOfTwoSeeds(t *testing.T) {
	seeds := []Tally{{Days: 10, Right: 5}, {Days: 10, Right: 9}}
	require.Equal(t, Estimate{Value: 0.7, Low: 0.5, High: 0.9}, Confidence(seeds, (*Tally).Accuracy))
	require.Equal(t, Estimate{Value: 0.5, Low: 0.5, High: 0.5}, Confidence(seeds[:1], (*Tally).Accuracy))
}

func TestRuleBeginsAndEndsAlarms(t *testing.T) {
	type verdict = detect.Verdict
	for name, c := range map[string]struct {
		rule     Rule
		verdicts []verdict // one a minute
		begins   []int
		ends     []int
	}{
		"a score begins, a low state ends":    {Rule{On: 0.5, Off: 0.35}, []verdict{{Score: 0.4}, {Score: 0.5}, {State: 0.1}}, []int{1}, []int{2}},
		"a state between the limits holds":    {Rule{On: 0.5, Off: 0.35}, []verdict{{Score: 0.6}, {State: 0.4}, {State: 0.35}, {State: 0.34}}, []int{0}, []int{3}},
		"without news nothing begins":         {Rule{On: 0.5, Off: 0.35}, []verdict{{State: 0.9}, {State: 0.9}}, nil, nil},
		"nothing begins while it learns":      {Rule{On: 0.5, Off: 0.35}, []verdict{{Score: 0.9, Learning: true}, {State: 0.9}}, nil, nil},
		"between the limits nothing begins":   {Rule{On: 0.5, Off: 0.35}, []verdict{{State: 0.45}, {State: 0.49}}, nil, nil},
		"a new score holds it":                {Rule{On: 0.5, Off: 0.35}, []verdict{{Score: 0.9}, {Score: 0.9}, {}}, []int{0}, []int{2}},
		"it must last for the on-delay":       {Rule{On: 0.5, Off: 0.35, OnDelay: 2 * time.Minute}, []verdict{{Score: 1}, {State: 1}, {}, {Score: 1}, {State: 1}, {State: 1}}, []int{5}, nil},
		"it must be over for the off-delay":   {Rule{On: 0.5, Off: 0.35, OffDelay: 2 * time.Minute}, []verdict{{Score: 1}, {}, {}, {State: 1}, {}, {}, {}, {}}, []int{0}, []int{6}},
		"it can begin again after its end":    {Rule{On: 0.5, Off: 0.35}, []verdict{{Score: 1}, {}, {Score: 1}, {}}, []int{0, 2}, []int{1, 3}},
		"the ordinary rule joins an hour's":   {DefaultRule(), []verdict{{Score: 1}, {}, {}, {Score: 1}, {}, {}, {}, {}, {}, {}}, []int{0}, []int{9}},
		"the ordinary rule takes one verdict": {DefaultRule(), []verdict{{}, {Score: 0.5}}, []int{1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var l latch
			var begins, ends []int
			for k := range c.verdicts {
				b, e := c.rule.step(&l, at(int64(k)), &c.verdicts[k])
				if b {
					begins = append(begins, k)
				}
				if e {
					ends = append(ends, k)
				}
			}
			require.Equal(t, c.begins, begins)
			require.Equal(t, c.ends, ends)
		})
	}
}
