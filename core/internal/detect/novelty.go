package detect

import "math"

// noveltySet holds what the novelty measure was tuned by. There is one set for all streams.
type noveltySet struct {
	warm             uint32  // values before any is judged
	settle           float64 // s: until a stream is this old its scores are lowered in proportion
	forget           float64 // s: time constant by which what was extreme draws back to the middle
	half             float64 // exceedance, in ranges, that is worth a score of 0.5
	level            int     // values in the mean of the newest
	floor            float64 // of the ratio of roughness, so that perfect calm is a number
	rhythm           float64 // the daily rhythm must take away this share of the deviation to be believed
	day              float64 // s in an hour's bin after which the oldest days are forgotten
	week             float64 // s, the same for the bins of the week
	prior            float64 // s that an hour of the day counts as in an hour of the week
	hold             float64 // values for which a score is told only if it is well above the one told last
	decay            float64 // values in which the score told last fades after that
	beyond           float64 // how far above the faded score a new one must be
	cap, rough, mean float64
	surprise         float64 // exceedance of the first other value after a constant start
}

func defaultNovelty() noveltySet {
	return noveltySet{
		warm: 20, settle: 0, forget: 1.5e6, half: 0.065, level: 20, floor: 0.3, rhythm: 0.4,
		day: 15000, week: 3000, prior: 900, hold: 20, decay: 50, beyond: 1.5, cap: 2e-4, rough: 1. / 2000, mean: 1. / 1000,
	}
}

const (
	recent  = 60 // values that are kept
	hours   = 24
	weekly  = 7 * hours
	hourMS  = 3600 * 1000
	longest = 3600 // s: a longer gap counts as this
)

// novelty measures how far a value, or the course that it completes, is beyond everything that its
// stream has shown: the value, the mean of the newest ones, how calm they are, and what is left of
// the value when the rhythm of days and weeks is taken away. Each is compared with its own extremes
// (record); the farthest counts. It needs no scale and no distribution. The zero value knows nothing.
//
// All fields are plain, so that they can be encoded.
type novelty struct {
	N                          uint32
	First                      int64   // ms: time of the first value
	At                         int64   // ms: time of the newest
	Origin                     float64 // the first value: the others are kept as distances from it
	Recent                     [recent]float32
	Moves                      float64 // sum of the steps between Recent's values
	Rough                      float64 // mean step, over Forget
	Mean                       float64 // over days
	Spread                     float64 // mean distance from Mean, and what is left of it without the rhythm
	Left                       float64
	Day                        [hours]float32
	DaySeen                    [hours]float32 // s
	Week                       [weekly]float32
	WeekSeen                   [weekly]float32
	Value, Level, Calm, Rhythm record
	Told                       float64 // exceedance that was told last
	Since                      uint32  // values since then
}

// record is the range of a feature. It grows at once and shrinks slowly.
type record struct {
	N         uint32
	Low, High float64
}

// step returns how far x is beyond the range, in ranges; sign is −1 below it. It then widens the range.
func (r *record) step(x, shrink float64, set *noveltySet) (excess float64) {
	r.N++
	if r.N == 1 {
		r.Low, r.High = x, x
		return 0
	}
	if width := r.High - r.Low; r.N > set.warm {
		over := max(x-r.High, r.Low-x, 0)
		if width > 0 {
			excess = over / width
		} else if over > 0 {
			excess = set.surprise
		}
		if r.Low-x > 0 {
			excess = -excess
		}
	}
	draw := (r.High - r.Low) / 2 * shrink
	r.High, r.Low = max(r.High-draw, x), min(r.Low+draw, x)
	return excess
}

// step learns a value and returns its score, 0 to 1. at is in ms and after that of the value before.
func (n *novelty) step(set *noveltySet, at int64, value float64) float64 {
	if n.N == 0 {
		n.First, n.At, n.Origin = at, at, value
	}
	dt := min(float64(at-n.At)/1000, longest)
	n.At = at
	x := value - n.Origin
	level, rough := n.window(set, x)
	n.N++
	shrink := min(dt/set.forget, set.cap)
	top := math.Abs(n.Value.step(x, shrink, set))
	if n.N >= uint32(set.level) {
		top = max(top, math.Abs(n.Level.step(level, shrink, set)))
	}
	if dt > 0 {
		n.Rough += max(1/float64(n.N-1), min(set.rough, dt/604800)) * (rough.step - n.Rough)
	}
	if n.N > recent && n.Rough > 0 {
		top = max(top, -n.Calm.step(math.Log(rough.mean/n.Rough+set.floor), shrink, set))
	}
	if left, ok := n.season(set, at, dt, x); ok {
		top = max(top, math.Abs(n.Rhythm.step(left, shrink, set)))
	}
	if set.settle > 0 {
		top *= min(1, float64(at-n.First)/1000/set.settle)
	}
	top = n.news(set, top)
	return top / (top + set.half)
}

type roughness struct{ step, mean float64 }

// window puts x into Recent; it returns the mean of the newest values and how rough they are.
func (n *novelty) window(set *noveltySet, x float64) (level float64, r roughness) {
	i := int(n.N % recent)
	at := func(back int) float64 { return float64(n.Recent[(i-back+2*recent)%recent]) }
	if n.N >= recent {
		n.Moves -= math.Abs(at(-1) - at(0))
	}
	last := at(1)
	n.Recent[i] = float32(x)
	if n.N > 0 {
		r.step = math.Abs(at(0) - last)
		n.Moves += r.step
	}
	for k := range set.level {
		level += at(k)
	}
	r.mean = max(n.Moves, 0) / (recent - 1)
	return level / float64(set.level), r
}

// season returns what is left of x without the rhythm of days and weeks, if there is one, and learns x.
func (n *novelty) season(set *noveltySet, at int64, dt, x float64) (left float64, ok bool) {
	h := int(at / hourMS % weekly)
	d := h % hours
	n.Mean += max(1/float64(n.N), min(set.mean, dt/300e3)) * (x - n.Mean)
	usual := n.Mean
	if w := float64(n.DaySeen[d]); w > 0 {
		usual = (usual*300 + float64(n.Day[d])*w) / (300 + w)
	}
	if w := float64(n.WeekSeen[h]); w > 0 {
		usual = (usual*set.prior + float64(n.Week[h])*w) / (set.prior + w)
	}
	left = x - usual
	rate := min(set.mean, dt/300e3)
	n.Left += rate * (math.Abs(left) - n.Left)
	n.Spread += rate * (math.Abs(x-n.Mean) - n.Spread)
	learn(&n.Day[d], &n.DaySeen[d], x, dt, set.day)
	learn(&n.Week[h], &n.WeekSeen[h], x, dt, set.week)
	return left, n.Left < (1-set.rhythm)*n.Spread
}

// learn moves a bin's mean towards x by the share that dt has of the time seen, memory at most.
func learn(mean, seen *float32, x, dt, memory float64) {
	if dt <= 0 {
		return
	}
	w := min(float64(*seen)+dt, max(memory, dt))
	*seen = float32(w)
	*mean += float32(dt / w * (x - float64(*mean)))
}

// news lowers to 0 what is not well above what was told a short time before.
func (n *novelty) news(set *noveltySet, top float64) float64 {
	n.Since++
	told := n.Told
	if over := float64(n.Since) - set.hold; over > 0 {
		told *= math.Exp(-over / set.decay)
	}
	if top > told {
		n.Told, n.Since = top, 0
	}
	if top <= told*set.beyond {
		return 0
	}
	return top
}
