package detect_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/telemetry"
)

// motor is a machine whose power and vibration follow its current, and whose speed does not.
func motor(rng *rand.Rand, t int64) []detect.Sample {
	load := float64(motorLoad(t))
	noise := func(of float64) float64 { return of * rng.NormFloat64() }
	return []detect.Sample{
		{Sensor: "current", Value: round(load+noise(0.02), 100)},
		{Sensor: "power", Value: round(0.21*load+noise(0.02), 1000)},
		{Sensor: "vibration", Value: round(0.3+0.6*load+noise(0.1), 100)},
		{Sensor: "speed", Value: round(2900+noise(5), 1)},
	}
}

// TestASensorThatNoLongerFollowsAnotherIsFound edits a machine from the third day on, within what each of its
// sensors does on its own.
func TestASensorThatNoLongerFollowsAnotherIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		edit   func(s []detect.Sample) []detect.Sample
		sensor string // that is unusual in the first reading; empty: none is for an hour
		with   string
	}{
		{"current flows, power is that of rest", func(s []detect.Sample) []detect.Sample {
			s[1].Value = 0.2
			return s
		}, "power", "current"},
		{"vibration is that of half of the load", func(s []detect.Sample) []detect.Sample {
			s[2].Value = 0.6
			return s
		}, "vibration", "current"},
		{"the machine is off", func(s []detect.Sample) []detect.Sample {
			s[0].Value, s[1].Value, s[2].Value = 0, 0, 0
			return s
		}, "", ""},
		{"the sensor that others follow says nothing", func(s []detect.Sample) []detect.Sample { return s[1:] }, "", ""},
		{"all is as usual", func(s []detect.Sample) []detect.Sample { return s }, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var d detect.Device
			set, rng := detect.Defaults(), rand.New(rand.NewPCG(5, 6))
			from := start + 2*day + hour
			for motorLoad(from) < 3 {
				from += 20 * 60_000
			}
			for at := start; at < from; at += step {
				for _, v := range d.Step(&set, at, motor(rng, at), nil) {
					require.Less(t, v.State, 0.5, "%d s after the start", (at-start)/1000)
				}
			}
			for at := from; at < from+hour; at += step {
				samples := c.edit(motor(rng, at))
				for i, v := range d.Step(&set, at, samples, nil) {
					if c.sensor == "" {
						require.NotEqual(t, telemetry.AnomalyCorrelation, v.Kind, "%s %d s later", samples[i].Sensor, (at-from)/1000)
					}
				}
				if c.sensor != "" {
					break
				}
			}
			if c.sensor == "" {
				return
			}
			a, ok := d.Describe(c.sensor)
			require.True(t, ok)
			require.Equal(t, telemetry.AnomalyCorrelation, a.Kind)
			require.Equal(t, c.with, a.With)
			require.Equal(t, from, a.Since)
			require.Less(t, a.Value, a.Low)
			require.Less(t, a.Low, a.Expected)
			require.Less(t, a.Expected, a.High)
		})
	}
}

// motorLoad is 1 to 4, another one every 20 minutes.
func motorLoad(t int64) int { return 1 + rand.New(rand.NewPCG(7, uint64(t/(20*60_000)))).IntN(4) }

// TestAMachineThatIsOffForDaysHasNoBonds has sensors of which no reading says how they move together.
func TestAMachineThatIsOffForDaysHasNoBonds(t *testing.T) {
	t.Parallel()
	var d detect.Device
	set := detect.Defaults()
	for at := start; at < start+2*day+hour; at += step {
		samples := []detect.Sample{{Sensor: "current"}, {Sensor: "power"}, {Sensor: "voltage", Value: 230 + float64(at/step%7)}}
		for _, v := range d.Step(&set, at, samples, nil) {
			require.Less(t, v.State, 0.5)
		}
	}
	data, err := d.Encode()
	require.NoError(t, err)
	_, err = detect.Decode(data)
	require.NoError(t, err)
}
