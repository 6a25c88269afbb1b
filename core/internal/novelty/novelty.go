// Package novelty ranks the values of one series by how far they are beyond all that it has shown. It is
// for series in files: at 0.5 it finds most of what is labelled in public ones, and gives false alarms that
// a plant would not bear, so core does not run it. Package detect says what is worth an alarm.
package novelty

import "math"

// params is what the measure can be tuned by. There is one set for all series: defaults. How it was
// chosen is in docs/detection-nab.md.
type params struct {
	Weight [parts]float64 // of each part's excess; 0 leaves it out
	Half   float64        // excess, in ranges, that has score 0.5

	Warm   uint32  // values that a part sees before it judges one
	Settle float64 // s: a younger stream's excess is lowered in proportion to its age; seven times that for the rhythm
	Memory float64 // values in which a range shrinks to 1/e, see pace

	Level       int     // values in the mean of the newest; at most recent
	Widen       float64 // the share of the way that the range of that mean goes to it at once
	Calm        float64 // added to the ratio of roughness, so that perfect calm has a logarithm
	Rhythm      float64 // the share of the deviation that a rhythm must explain to be believed
	Day, Week   float64 // s that are remembered of each hour of the day and of the week
	Prior       float64 // s that what is usual at an hour of the day counts in an hour of the week
	Short, Long float64 // values in the two means whose distance is the trend

	// A new score must be Beyond times as high as the one told last, which counts in full for Hold
	// values and then fades to 1/e in Fade.
	Beyond, Hold, Fade float64
}

func defaults() params {
	return params{
		Weight: [parts]float64{partValue: 1, partLevel: 0.2, partCalm: 1, partRhythm: 1, partTrend: 0.5},
		Half:   0.06,
		Warm:   20, Settle: 86400, Memory: 7000,
		Level: 20, Widen: 0.05, Calm: 0.3, Rhythm: 0.4, Day: 15000, Week: 3000, Prior: 1800, Short: 40, Long: 400,
		Beyond: 1.75, Hold: 30, Fade: 50,
	}
}

// part is what the measure compares with the past.
type part uint8

const (
	partValue  part = iota // the value
	partLevel              // the mean of the newest values
	partCalm               // the newest values' roughness, downwards alone
	partRhythm             // the value without the rhythm of days and weeks
	partTrend              // a short mean's distance from a long one
	parts
)

const (
	recent   = 60 // values that are kept
	dayHours = 24
	hours    = 7 * dayHours
	hourMS   = 3600 * 1000
	// pace is the time in s between values that memories are counted in. Faster values count less,
	// so that a day is a day, and slower ones no more, so that a memory holds enough of them.
	pace = 300
	// longest is the longest time in s that one value stands for.
	longest = 3600
	// extreme bounds values, so that sums and float32 stay finite.
	extreme = 1e30
)

// Measure measures how far a value, or the course that it completes, is beyond everything that its
// series has shown. Several parts are compared, each with its own range, and the farthest counts:
// there is no scale to set, no distribution to assume, and a series that is wild by habit has wide
// ranges. A range grows at once and shrinks slowly. What has never moved has no range and no novelty.
//
// The zero value knows nothing.
type Measure struct {
	count     uint32  // values seen
	first, at int64   // ms: of the first and the newest value
	origin    float64 // the first value; all others are kept as distances from it

	recent [recent]float32
	sum    float64 // of the newest params.Level values
	steps  float64 // sum of the distances between neighbours in recent
	rough  float64 // mean of such a distance, over a week

	mean         float64
	spread, left float64 // mean distance from mean, and from what is usual at the hour
	day          [dayHours]float32
	week         [hours]float32
	daySeen      [dayHours]uint16 // s
	weekSeen     [hours]uint16    // s

	short, long float64

	ranges   [parts]span
	excess   float64 // of the newest value, in ranges, before what was told is left out; negative: below
	farthest part    // that excess is of

	told  float64 // excess that was told last
	since uint32  // values since then
}

var product = defaults()

// Step learns a value taken at the time at (ms) and returns its score, 0 to 1: at 0.5 it is worth a look. One
// that is not newer than all before teaches nothing and has the score 0.
func (n *Measure) Step(at int64, value float64) float64 {
	if n.count > 0 && at <= n.at {
		return 0
	}
	return n.step(&product, at, value)
}

// step learns a value, which is newer than the one before.
func (n *Measure) step(set *params, at int64, value float64) float64 {
	if n.count == 0 {
		n.first, n.at, n.origin = at, at, value
	}
	dt := min(float64(at-n.at)/1000, longest)
	n.at = at
	x := max(-extreme, min(value-n.origin, extreme))
	n.push(set, x)
	n.count++
	n.excess, n.farthest = 0, partValue
	n.compare(set, dt, at, x)
	excess := n.news(set, math.Abs(n.excess))
	return excess / (excess + set.Half)
}

// compare compares all parts with their ranges.
func (n *Measure) compare(set *params, dt float64, at int64, x float64) {
	weight := min(dt/pace, 1)
	shrink := weight / set.Memory
	n.part(set, partValue, x, shrink)
	if n.count >= uint32(set.Level) {
		n.part(set, partLevel, n.sum/float64(set.Level), shrink)
	}
	if ratio := n.roughness(weight); ratio >= 0 {
		n.part(set, partCalm, math.Log(ratio+set.Calm), shrink)
	}
	if left, ok := n.rhythm(set, at, dt, weight, x); ok {
		n.part(set, partRhythm, left, shrink)
	}
	if trend := n.trend(set, x); float64(n.count) > set.Long {
		n.part(set, partTrend, trend, shrink)
	}
}

// part compares one part; excess and farthest become its own if it is the farthest so far.
func (n *Measure) part(set *params, p part, x, shrink float64) {
	age, settle, widen := float64(n.at-n.first)/1000, set.Settle, 1.0
	if p == partLevel {
		widen = set.Widen // a mean moves in small steps, and they are to add up
	}
	excess := n.ranges[p].step(set.Warm, x, shrink, widen) * set.Weight[p]
	if p == partCalm {
		excess = min(excess, 0)
	}
	if p == partRhythm {
		settle *= 7 // the first weekend is unlike all days before it
	}
	if age < settle {
		excess *= age / settle
	}
	if math.Abs(excess) > math.Abs(n.excess) {
		n.excess, n.farthest = excess, p
	}
}

// span is the range of a part's values.
type span struct {
	count     uint32
	low, high float64
}

// step returns how far x is outside of the range, in its widths, negative below it. The range then
// goes to x, or a share of the way.
func (s *span) step(warm uint32, x, shrink, widen float64) (excess float64) {
	if s.count == 0 {
		s.low, s.high = x, x
	}
	s.count++
	if width := s.high - s.low; width > 0 {
		if s.count > warm {
			excess = (max(x-s.high, 0) - max(s.low-x, 0)) / width
		}
		draw := width / 2 * shrink
		s.low, s.high = s.low+draw, s.high-draw
	}
	if s.count <= warm {
		widen = 1
	}
	s.low -= widen * max(s.low-x, 0)
	s.high += widen * max(x-s.high, 0)
	return excess
}

// push puts x in the place of the oldest value.
func (n *Measure) push(set *params, x float64) {
	i := int(n.count % recent)
	old := (i + recent - set.Level) % recent
	n.sum += float64(float32(x))
	if n.count >= uint32(set.Level) {
		n.sum -= float64(n.recent[old])
	}
	if n.count >= recent {
		n.steps -= n.distance((i + 1) % recent)
	}
	n.recent[i] = float32(x)
	if n.count > 0 {
		n.steps += n.distance(i)
	}
	if i == recent-1 {
		n.resum(set)
	}
}

// distance is that of a value in recent from the one before it.
func (n *Measure) distance(i int) float64 {
	return math.Abs(float64(n.recent[i]) - float64(n.recent[(i+recent-1)%recent]))
}

// resum takes what rounding has left out of the sums. The newest value is Recent's last.
func (n *Measure) resum(set *params) {
	n.sum, n.steps = 0, 0
	for i := recent - set.Level; i < recent; i++ {
		n.sum += float64(n.recent[i])
	}
	for i := 1; i < recent; i++ {
		n.steps += n.distance(i)
	}
}

// roughness is the mean distance between neighbours in recent, relative to its usual value;
// negative: it is not known.
func (n *Measure) roughness(weight float64) float64 {
	if n.count < 2 {
		return -1
	}
	n.rough += max(1/float64(n.count-1), weight/2000) * (n.distance(int((n.count-1)%recent)) - n.rough)
	if n.count <= recent || n.rough <= 0 {
		return -1
	}
	return max(n.steps, 0) / (recent - 1) / n.rough
}

// rhythm returns how far x is from what is usual at this hour, and whether the hours explain enough
// of the stream's deviation to be believed.
func (n *Measure) rhythm(set *params, at int64, dt, weight, x float64) (left float64, ok bool) {
	hour := uint64(at) / hourMS % hours
	day := hour % dayHours
	n.mean += max(1/float64(n.count), weight/1000) * (x - n.mean)
	usual := blend(n.mean, pace, n.day[day], n.daySeen[day])
	usual = blend(usual, set.Prior, n.week[hour], n.weekSeen[hour])
	left = x - usual
	n.left += weight / 1000 * (math.Abs(left) - n.left)
	n.spread += weight / 1000 * (math.Abs(x-n.mean) - n.spread)
	remember(&n.day[day], &n.daySeen[day], x, dt, set.Day)
	remember(&n.week[hour], &n.weekSeen[hour], x, dt, set.Week)
	return left, n.left < (1-set.Rhythm)*n.spread
}

// blend is the mean of what is known before, worth prior seconds, and of a bin's mean.
func blend(before, prior float64, mean float32, seen uint16) float64 {
	return (before*prior + float64(mean)*float64(seen)) / (prior + float64(seen))
}

// remember moves a bin's mean to x by the share of dt in the time that the bin remembers.
func remember(mean *float32, seen *uint16, x, dt, memory float64) {
	if dt = math.Ceil(dt); dt < 1 {
		return
	}
	total := max(min(float64(*seen)+dt, memory), dt)
	*seen = uint16(total)
	*mean += float32(dt / total * (x - float64(*mean)))
}

func (n *Measure) trend(set *params, x float64) float64 {
	n.short += max(1/float64(n.count), 1/set.Short) * (x - n.short)
	n.long += max(1/float64(n.count), 1/set.Long) * (x - n.long)
	return n.short - n.long
}

// news returns excess, or 0 if it is not well above what was told a short time before.
func (n *Measure) news(set *params, excess float64) float64 {
	n.since++
	if excess == 0 {
		return 0
	}
	told := n.told
	if over := float64(n.since) - set.Hold; over > 0 {
		told *= math.Exp(-over / set.Fade)
	}
	if excess <= told*set.Beyond {
		return 0
	}
	n.told, n.since = excess, 0
	return excess
}
