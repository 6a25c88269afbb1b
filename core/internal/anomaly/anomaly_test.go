package anomaly

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/telemetry"
)

const second, minute = int64(1000), int64(60_000)

// policyOf is a policy with one answer.
type policyOf Limits

func (p *policyOf) Limits(string) Limits { return Limits(*p) }

func ordinary() *policyOf {
	return &policyOf{AnomalyLimits: alarm.AnomalyLimits{Base: Base, OffDelay: 5 * minute, Grave: true}}
}

// play judges one sensor; each verdict is a second's.
func play(d *Device, p Policy, at *int64, verdicts ...detect.Verdict) (out []Change) {
	for _, v := range verdicts {
		*at += second
		out = d.Judge(&Input{At: *at, Samples: []detect.Sample{{Sensor: "co2"}}, Verdicts: []detect.Verdict{v}}, p, out)
	}
	return out
}

func repeat(v detect.Verdict, n int) []detect.Verdict {
	out := make([]detect.Verdict, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestASpikeIsOneAlarmThatClears(t *testing.T) {
	var d Device
	at := int64(0)
	require.Empty(t, play(&d, ordinary(), &at, repeat(detect.Verdict{Score: 0.39, State: 0.39}, 10)...))
	require.Empty(t, d.Sensors, "what is usual is not kept")
	require.Empty(t, play(&d, ordinary(), &at, detect.Verdict{Score: 1, State: 1, Learning: true}))
	got := play(&d, ordinary(), &at, detect.Verdict{Score: 0.5})
	require.Equal(t, []Change{{Step: Raise}}, got)
	require.Empty(t, play(&d, ordinary(), &at, repeat(detect.Verdict{}, 300)...))
	require.Empty(t, play(&d, ordinary(), &at, detect.Verdict{Score: 0.6}), "it is the same alarm")
	require.Empty(t, play(&d, ordinary(), &at, repeat(detect.Verdict{}, 300)...), "the off-delay starts again")
	require.Equal(t, []Change{{Step: Clear}}, play(&d, ordinary(), &at, detect.Verdict{}))
	require.Empty(t, d.Sensors)
}

func TestWhatLastsBecomesGrave(t *testing.T) {
	var d Device
	at := int64(0)
	lasts := detect.Verdict{State: 0.3} // more than half of the base
	require.Len(t, play(&d, ordinary(), &at, detect.Verdict{Score: 0.7, State: 0.7}), 1)
	require.Empty(t, play(&d, ordinary(), &at, repeat(lasts, 899)...))
	require.Equal(t, []Change{{Step: Escalate, Grave: true}}, play(&d, ordinary(), &at, lasts))
	require.Empty(t, play(&d, ordinary(), &at, repeat(lasts, 2000)...), "once")

	mild := ordinary()
	mild.Grave = false
	d, at = Device{}, 0
	require.Len(t, play(&d, mild, &at, detect.Verdict{Score: 0.7, State: 0.7}), 1)
	require.Empty(t, play(&d, mild, &at, repeat(lasts, 2000)...))
}

func TestTwoSensorsAtOnceAreGrave(t *testing.T) {
	var d Device
	in := Input{At: 1, Samples: []detect.Sample{{Sensor: "co2"}, {Sensor: "noise"}}, Verdicts: []detect.Verdict{{Score: 0.6, State: 0.6}, {}}}
	require.Equal(t, []Change{{Step: Raise}}, d.Judge(&in, ordinary(), nil))
	in.At, in.Verdicts = 2, []detect.Verdict{{State: 0.6}, {Score: 0.6, State: 0.6}}
	require.Equal(t, []Change{{Step: Escalate, Grave: true}, {Step: Raise, Index: 1, Grave: true}}, d.Judge(&in, ordinary(), nil))
}

func TestOnDelayWaitsForWhatLasts(t *testing.T) {
	p := ordinary()
	p.OnDelay = 3 * second
	var d Device
	at := int64(0)
	news, lasts := detect.Verdict{Score: 0.8, State: 0.8}, detect.Verdict{State: 0.6}
	require.Empty(t, play(&d, p, &at, news, lasts, lasts, detect.Verdict{}, lasts, lasts, lasts, lasts), "the state alone is no news")
	require.Empty(t, play(&d, p, &at, detect.Verdict{}, news, lasts, lasts))
	require.Equal(t, []Change{{Step: Raise}}, play(&d, p, &at, lasts))
}

func TestOldReadingsRaiseNothing(t *testing.T) {
	var d Device
	in := Input{At: 1, Samples: []detect.Sample{{Sensor: "co2"}}, Verdicts: []detect.Verdict{{Score: 0.9, State: 0.9}}, Learn: true}
	require.Empty(t, d.Judge(&in, ordinary(), nil))
	in.At, in.Learn, in.Verdicts = 2, false, []detect.Verdict{{State: 0.9}}
	require.Equal(t, []Change{{Step: Raise}}, d.Judge(&in, ordinary(), nil), "a fresh one shows that it still holds")
}

func TestARuleThatSwitchesOffEndsTheAlarm(t *testing.T) {
	var d Device
	at := int64(0)
	p := ordinary()
	require.Len(t, play(&d, p, &at, detect.Verdict{Score: 0.7, State: 0.7}), 1)
	p.Off = true
	require.Equal(t, []Change{{Step: Clear}}, play(&d, p, &at, detect.Verdict{State: 0.7}))
	require.Empty(t, play(&d, p, &at, detect.Verdict{Score: 1, State: 1}))
}

func TestFeedbackRaisesTheThresholdForAWhile(t *testing.T) {
	var d Device
	at := int64(0)
	require.Len(t, play(&d, ordinary(), &at, detect.Verdict{Score: 0.6, State: 0.6}), 1)
	d.Accept("co2", at)
	require.Empty(t, play(&d, ordinary(), &at, detect.Verdict{Score: 0.6, State: 0.6}), "0.625 is wanted now")
	require.Len(t, play(&d, ordinary(), &at, detect.Verdict{Score: 0.63, State: 0.6}), 1)
	d.Accept("co2", at)
	require.InDelta(t, 1.5625, d.Sensors[0].lift(at), 1e-6)
	require.InDelta(t, 1.28125, d.Sensors[0].lift(at+liftHalf), 1e-6)
	for range 20 {
		d.Accept("co2", at)
	}
	require.Len(t, play(&d, ordinary(), &at, detect.Verdict{Score: 0.96}), 1, "what is certain is told nevertheless")
	at += 400 * 24 * 60 * minute
	play(&d, ordinary(), &at, repeat(detect.Verdict{}, 302)...)
	require.Empty(t, d.Sensors, "forgotten in the end")
}

func TestUsualReadingsAllocateNothing(t *testing.T) {
	var d Device
	in := Input{Samples: make([]detect.Sample, 4), Verdicts: make([]detect.Verdict, 4)}
	p := ordinary()
	require.Zero(t, testing.AllocsPerRun(100, func() { d.Judge(&in, p, nil) }))
}

func TestBudgetRaisesTheThreshold(t *testing.T) {
	require.InDelta(t, 5, Allowed(0.05, 20, 1), 0, "the minimum of a building")
	require.InDelta(t, 1, Allowed(0.05, 20, 10), 0, "each partition may raise one")
	require.InDelta(t, 50, Allowed(0.05, 1000, 10), 0)
	require.InDelta(t, 0.5, Threshold(Base, 0), 0)
	require.InDelta(t, 0.625, Threshold(Base, 0.5), 0)
	require.InDelta(t, 1, Threshold(Base, 1), 0)
	var b Budget
	for i := range int64(4) {
		b.Add(1 + i*minute)
	}
	require.InDelta(t, 0.8, b.Pressure(4*minute, 5), 0)
	require.InDelta(t, 1, b.Pressure(4*minute, 2), 0)
	require.InDelta(t, 0.4, b.Pressure(dayMS+2*minute, 5), 0, "a day later they no longer count")
	b.Add(dayMS + 2*minute)
	require.Len(t, b.Raises, 3)
	for range 2 * maxRaises {
		b.Add(dayMS + 3*minute)
	}
	require.Len(t, b.Raises, maxRaises)
}

func TestSpentBudgetRaisesOnlyWhatIsCertain(t *testing.T) {
	var d Device
	at := int64(0)
	p := ordinary()
	p.Pressure = 0.9 // 0.905 is wanted
	require.Empty(t, play(&d, p, &at, detect.Verdict{Score: 0.9}))
	require.Len(t, play(&d, p, &at, detect.Verdict{Score: 0.91}), 1)
}

func TestWords(t *testing.T) {
	const monday = int64(1_700_488_920_000) // 2023-11-20 14:02 UTC
	for want, a := range map[string]telemetry.Anomaly{
		"4.1 σ above what is usual on Mondays at 14:00": {Kind: telemetry.AnomalySpike, Value: 30, Expected: 20, Sigma: 4.1, Seasonal: true, Since: monday},
		"3.5 °C below what is usual":                    {Kind: telemetry.AnomalyPattern, Value: 16.5, Expected: 20},
		"variance ×6 since 14:02":                       {Kind: telemetry.AnomalyNoise, Ratio: 6.001, Since: monday},
		"flat since 14:02":                              {Kind: telemetry.AnomalyStuck, Since: monday},
		"steps between two levels":                      {Kind: telemetry.AnomalyOscillation},
		"drifts 0.4 °C/h":                               {Kind: telemetry.AnomalyDrift, PerHour: 0.4},
		"differs from its room neighbours by 3 °C":      {Kind: telemetry.AnomalyPeers, Value: 18, Expected: 21},
		"differs from others of its model by 3 °C":      {Kind: telemetry.AnomalyPeers, Group: telemetry.PeersOfModel, Value: 18, Expected: 21},
		"no longer moves with humidity":                 {Kind: telemetry.AnomalyCorrelation, With: "humidity"},
		"30 % of values missing":                        {Kind: telemetry.AnomalyDropout, Missing: 0.3},
		"level moved from 20 to 24 °C":                  {Kind: telemetry.AnomalyLevel, Value: 24, Expected: 20},
		"is unusual: 1234 °C":                           {Kind: "new", Value: 1234.4},
	} {
		require.Equal(t, want, Words(a, "°C"))
	}
	require.Equal(t, "drifts 0.4/h", Words(telemetry.Anomaly{Kind: telemetry.AnomalyDrift, PerHour: 0.4}, ""))
}
