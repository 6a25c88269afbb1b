package detect

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// jointRig is a device with sensors whose values are made up by hand, read every so many ms.
type jointRig struct {
	judge *JointJudge
	rng   *rand.Rand
	at    int64
	every int64
}

func newJointRig(settle time.Duration, every int64) *jointRig {
	return &jointRig{
		judge: NewJointJudge(Settings{Settle: settle}), rng: rand.New(rand.NewPCG(3, 4)), at: 1_700_000_000_000, every: every,
	}
}

// run reads n times and returns how many readings were unusual, and the first of them or -1.
func (r *jointRig) run(n int, values func(i int) []float64) (count, first int) {
	first = -1
	for i := range n {
		r.at += r.every
		if _, unusual := r.judge.Row(r.at, values(i)); unusual {
			if count++; first < 0 {
				first = i
			}
		}
	}
	return count, first
}

func (r *jointRig) noise(sigma float64) float64 { return sigma * r.rng.NormFloat64() }

// steady returns four sensors that do nothing but their noise.
func (r *jointRig) steady(int) []float64 {
	return []float64{20 + r.noise(0.3), 1013 + r.noise(1), 5 + r.noise(0.1), 230 + r.noise(3)}
}

// machine returns current, vibration and temperature of a machine whose load steps every five
// minutes between levels up to *top, and the humidity of its room.
func (r *jointRig) machine(top *int) func(i int) []float64 {
	load, heat := 0.0, 0.0
	return func(i int) []float64 {
		if i%30 == 0 {
			load = float64(r.rng.IntN(*top+1)) / 4
		}
		heat += (load - heat) / 9
		return []float64{
			0.2 + 4*load + r.noise(0.05), 0.3 + 2*load + r.noise(0.05), 21 + 8*heat + r.noise(0.2), 50 - 9*heat + r.noise(0.5),
		}
	}
}

func TestJointNeedsNoTrainingByHand(t *testing.T) {
	r := newJointRig(24*time.Hour, 1000)
	r.run(int(jointDefaults().Learn), r.steady)
	assert.True(t, r.judge.joint.verdict(&r.judge.params).Learning)
	r.run(50, r.steady)
	assert.False(t, r.judge.joint.verdict(&r.judge.params).Learning)
	r.run(1500, r.steady)
	count, _ := r.run(5000, r.steady)
	assert.Zero(t, count)
}

func TestJointStateIsUnusualAsLongAsItLasts(t *testing.T) {
	r := newJointRig(24*time.Hour, 1000)
	r.run(600, r.steady)
	shifted := func(i int) []float64 {
		v := r.steady(i)
		v[2] -= 0.5
		return v
	}
	count, first := r.run(1100, shifted)
	require.InDelta(t, 5, first, 10)
	assert.Equal(t, 1100-first, count, "readings of the state in one piece")
	reason, ok := r.judge.joint.reason(&r.judge.params)
	require.True(t, ok)
	assert.Equal(t, 2, reason.Sensor)
	assert.Equal(t, -1, reason.With, "its level, not a relation")
	assert.Less(t, reason.Share, -0.8)
	assert.InDelta(t, 5, reason.Expected, 0.15)
	assert.InDelta(t, 4.5, reason.Value, 0.15)

	count, _ = r.run(400, r.steady)
	assert.InDelta(t, jointDefaults().Hold, count, 20, "it ends when the sensor has returned")
}

func TestJointStateBecomesUsual(t *testing.T) {
	for _, c := range []struct {
		name          string
		known, settle int
		usual         int // readings after which the state is usual
	}{
		{"after the settling time", 1500, 900, 900},
		{"after twice the time that the device was known", 500, 86_400, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newJointRig(time.Duration(c.settle)*time.Second, 1000)
			r.run(c.known, r.steady)
			shifted := func(i int) []float64 {
				v := r.steady(i)
				v[0] += 3
				return v
			}
			count, _ := r.run(c.usual-20, shifted)
			assert.InDelta(t, c.usual-20, count, 10)
			r.run(60, shifted)
			count, _ = r.run(300, shifted)
			assert.Zero(t, count)
		})
	}
}

func TestJointLoadStepsAreUsual(t *testing.T) {
	r := newJointRig(24*time.Hour, 10_000)
	top := 3
	machine := r.machine(&top)
	r.run(4000, machine)
	count, _ := r.run(4000, machine)
	assert.Zero(t, count)
	top = 5
	count, _ = r.run(2000, machine)
	assert.Zero(t, count, "a load that was never seen, by which the sensors move as before")
}

func TestJointVerdictDependsOnThePastAlone(t *testing.T) {
	r := newJointRig(24*time.Hour, 1000)
	rows := make([][]float64, 1200)
	for i := range rows {
		rows[i] = r.steady(i)
		if i > 700 && i < 900 {
			rows[i][1] += 4
		}
	}
	judge := func(rows [][]float64, encode int) []float64 {
		j, scores := NewJointJudge(Defaults()), []float64{}
		for i, v := range rows {
			if i == encode {
				data, err := json.Marshal(&j.joint)
				require.NoError(t, err)
				j.joint = joint{}
				require.NoError(t, json.Unmarshal(data, &j.joint))
			}
			s, _ := j.Row(int64(i+1)*1000, v)
			scores = append(scores, s)
		}
		return scores
	}
	all := judge(rows, -1)
	require.Greater(t, slices.Max(all), 0.5)
	for _, n := range []int{200, 380, 705, 800, 1000} {
		assert.Equal(t, all[:n], judge(rows[:n], -1))
		assert.Equal(t, all, judge(rows, n), "a state that was written and read goes on as before")
	}
}

func TestJointIgnoresOldReadings(t *testing.T) {
	r := newJointRig(24*time.Hour, 1000)
	r.run(500, r.steady)
	before, err := json.Marshal(&r.judge.joint)
	require.NoError(t, err)
	r.judge.Row(r.at, []float64{1e6, 1e6, 1e6, 1e6})
	r.judge.Row(r.at-60_000, []float64{1e6, 1e6, 1e6, 1e6})
	after, err := json.Marshal(&r.judge.joint)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}

// TestJointCopesWithSensors holds that no kind of sensor makes a device unusual by itself, or
// breaks the measure.
func TestJointCopesWithSensors(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name string
		make func(r *jointRig, i int, v []float64) []float64
	}{
		{"missing now and then", func(r *jointRig, _ int, v []float64) []float64 {
			v[r.rng.IntN(len(v))] = nan
			return v
		}},
		{"missing from some reading on", func(_ *jointRig, i int, v []float64) []float64 {
			if i > 2500 {
				v[1] = nan
			}
			return v
		}},
		{"never there", func(_ *jointRig, _ int, v []float64) []float64 { return append(v, nan) }},
		{"comes late", func(r *jointRig, i int, v []float64) []float64 {
			if i > 2500 {
				v = append(v, 7+r.noise(1))
			}
			return v
		}},
		{"constant", func(_ *jointRig, _ int, v []float64) []float64 { return append(v, 0, 5) }},
		{"constant, then another constant", func(_ *jointRig, i int, v []float64) []float64 {
			return append(v, float64(min(1, i/3000)))
		}},
		{"collinear", func(_ *jointRig, _ int, v []float64) []float64 { return append(v, 2*v[0], -3*v[0]+1) }},
		{"huge and tiny", func(r *jointRig, _ int, v []float64) []float64 {
			return append(v, 1e300*(1+r.noise(1e-9)), r.noise(1e-300), 1e50*r.noise(1), r.noise(1e-70))
		}},
		{"a counter", func(_ *jointRig, i int, v []float64) []float64 { return append(v, float64(i)*0.25) }},
		{"more than are looked at", func(r *jointRig, _ int, v []float64) []float64 {
			for len(v) < 24 {
				v = append(v, r.noise(1))
			}
			return v
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newJointRig(24*time.Hour, 1000)
			r.run(2000, func(i int) []float64 { return c.make(r, i, r.steady(i)) })
			count, first := r.run(3000, func(i int) []float64 { return c.make(r, i+2000, r.steady(i)) })
			assert.Zero(t, count, "first %d", first)
			s, _ := r.judge.Row(r.at+1000, r.steady(0))
			assert.False(t, math.IsNaN(s))
			_, err := json.Marshal(&r.judge.joint) // it would refuse NaN
			assert.NoError(t, err)
		})
	}
}

func TestJointTakesAnyInterval(t *testing.T) {
	r := newJointRig(24*time.Hour, 0)
	total := 0
	for i := range 5000 {
		r.at += 1000 + int64(r.rng.IntN(20_000))
		if i%700 == 699 {
			r.at += 6 * 3_600_000
		}
		if n, _ := r.run(1, r.steady); i > 2000 {
			total += n
		}
		r.at++
	}
	assert.Zero(t, total)
	_, first := r.run(40, func(i int) []float64 {
		r.at += 5000
		v := r.steady(i)
		v[3] += 25
		return v
	})
	assert.GreaterOrEqual(t, first, 0)
}

func TestJointFitsItsBudget(t *testing.T) {
	for _, n := range []int{2, 8, maxJoint} {
		var j joint
		j.grow(n)
		size := n*int(unsafe.Sizeof(jointSensor{})) + len(j.Cov)*8 + int(unsafe.Sizeof(j))
		assert.LessOrEqual(t, size/n, 1300, "bytes a sensor of %d", n)
		t.Log(n, size/n)
	}
}

func BenchmarkJoint(b *testing.B) {
	for _, n := range []int{2, 5, 8, maxJoint} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := newJointRig(24*time.Hour, 1000)
			rows := make([][]float64, 4096)
			for i := range rows {
				load := r.noise(1)
				for range n {
					rows[i] = append(rows[i], load+r.noise(1))
				}
			}
			r.run(len(rows), func(i int) []float64 { return rows[i] })
			b.ReportAllocs()
			at, i := r.at, 0
			for b.Loop() {
				at += 1000
				r.judge.Row(at, rows[i%len(rows)])
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i*n), "ns/value")
		})
	}
}
