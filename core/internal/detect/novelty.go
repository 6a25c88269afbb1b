package detect

import "math"

// noveltySet is what the novelty measure can be tuned by. The product has one set for all streams:
// defaultNovelty. How it was chosen is in docs/detection-nab.md.
type noveltySet struct {
	Weight [noveltyParts]float64 // of each part's excess; 0 leaves it out
	Half   float64               // excess, in ranges, that has score 0.5

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

func defaultNovelty() noveltySet {
	return noveltySet{
		Weight: [noveltyParts]float64{partValue: 1, partLevel: 0.2, partCalm: 1, partRhythm: 1, partTrend: 0.5},
		Half:   0.06,
		Warm:   20, Settle: 86400, Memory: 7000,
		Level: 20, Widen: 0.05, Calm: 0.3, Rhythm: 0.4, Day: 15000, Week: 3000, Prior: 1800, Short: 40, Long: 400,
		Beyond: 1.75, Hold: 30, Fade: 50,
	}
}

// noveltyPart is what the measure compares with the past.
type noveltyPart uint8

const (
	partValue  noveltyPart = iota // the value
	partLevel                     // the mean of the newest values
	partCalm                      // the newest values' roughness, downwards alone
	partRhythm                    // the value without the rhythm of days and weeks
	partTrend                     // a short mean's distance from a long one
	noveltyParts
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

// novelty measures how far a value, or the course that it completes, is beyond everything that its
// stream has shown. Several parts are compared, each with its own range, and the farthest counts:
// there is no scale to set, no distribution to assume, and a stream that is wild by habit has wide
// ranges. A range grows at once and shrinks slowly. What has never moved has no range and no novelty.
//
// The zero value knows nothing. All fields have a fixed size and are exported, so that package
// encoding/binary can write and read them.
type novelty struct {
	N         uint32  // values seen
	First, At int64   // ms: of the first and the newest value
	Origin    float64 // the first value; all others are kept as distances from it

	Recent [recent]float32
	Sum    float64 // of the newest noveltySet.Level values
	Steps  float64 // sum of the distances between neighbours in Recent
	Rough  float64 // mean of such a distance, over a week

	Mean         float64
	Spread, Left float64 // mean distance from Mean, and from what is usual at the hour
	Day          [dayHours]float32
	Week         [hours]float32
	DaySeen      [dayHours]uint16 // s
	WeekSeen     [hours]uint16    // s

	Short, Long float64

	Ranges [noveltyParts]span
	Excess float64     // of the newest value, in ranges, before what was told is left out; negative: below
	Part   noveltyPart // that Excess is of

	Told  float64 // excess that was told last
	Since uint32  // values since then
}

// step learns a value and returns its score, 0 to 1. at is its time in ms, after that of the value before.
func (n *novelty) step(set *noveltySet, at int64, value float64) float64 {
	if n.N == 0 {
		n.First, n.At, n.Origin = at, at, value
	}
	dt := min(float64(at-n.At)/1000, longest)
	n.At = at
	x := max(-extreme, min(value-n.Origin, extreme))
	n.push(set, x)
	n.N++
	n.Excess, n.Part = 0, partValue
	n.compare(set, dt, at, x)
	excess := n.news(set, math.Abs(n.Excess))
	return excess / (excess + set.Half)
}

// compare compares all parts with their ranges.
func (n *novelty) compare(set *noveltySet, dt float64, at int64, x float64) {
	weight := min(dt/pace, 1)
	shrink := weight / set.Memory
	n.part(set, partValue, x, shrink)
	if n.N >= uint32(set.Level) {
		n.part(set, partLevel, n.Sum/float64(set.Level), shrink)
	}
	if ratio := n.roughness(weight); ratio >= 0 {
		n.part(set, partCalm, math.Log(ratio+set.Calm), shrink)
	}
	if left, ok := n.rhythm(set, at, dt, weight, x); ok {
		n.part(set, partRhythm, left, shrink)
	}
	if trend := n.trend(set, x); float64(n.N) > set.Long {
		n.part(set, partTrend, trend, shrink)
	}
}

// part compares one part; Excess and Part become its own if it is the farthest so far.
func (n *novelty) part(set *noveltySet, p noveltyPart, x, shrink float64) {
	age, settle, widen := float64(n.At-n.First)/1000, set.Settle, 1.0
	if p == partLevel {
		widen = set.Widen // a mean moves in small steps, and they are to add up
	}
	excess := n.Ranges[p].step(set.Warm, x, shrink, widen) * set.Weight[p]
	if p == partCalm {
		excess = min(excess, 0)
	}
	if p == partRhythm {
		settle *= 7 // the first weekend is unlike all days before it
	}
	if age < settle {
		excess *= age / settle
	}
	if math.Abs(excess) > math.Abs(n.Excess) {
		n.Excess, n.Part = excess, p
	}
}

// span is the range of a part's values.
type span struct {
	N         uint32
	Low, High float64
}

// step returns how far x is outside of the range, in its widths, negative below it. The range then
// goes to x, or a share of the way.
func (s *span) step(warm uint32, x, shrink, widen float64) (excess float64) {
	if s.N == 0 {
		s.Low, s.High = x, x
	}
	s.N++
	if width := s.High - s.Low; width > 0 {
		if s.N > warm {
			excess = (max(x-s.High, 0) - max(s.Low-x, 0)) / width
		}
		draw := width / 2 * shrink
		s.Low, s.High = s.Low+draw, s.High-draw
	}
	if s.N <= warm {
		widen = 1
	}
	s.Low -= widen * max(s.Low-x, 0)
	s.High += widen * max(x-s.High, 0)
	return excess
}

// push puts x in the place of the oldest value.
func (n *novelty) push(set *noveltySet, x float64) {
	i := int(n.N % recent)
	old := (i + recent - set.Level) % recent
	n.Sum += float64(float32(x))
	if n.N >= uint32(set.Level) {
		n.Sum -= float64(n.Recent[old])
	}
	if n.N >= recent {
		n.Steps -= n.distance((i + 1) % recent)
	}
	n.Recent[i] = float32(x)
	if n.N > 0 {
		n.Steps += n.distance(i)
	}
	if i == recent-1 {
		n.resum(set)
	}
}

// distance is that of a value in Recent from the one before it.
func (n *novelty) distance(i int) float64 {
	return math.Abs(float64(n.Recent[i]) - float64(n.Recent[(i+recent-1)%recent]))
}

// resum takes what rounding has left out of the sums. The newest value is Recent's last.
func (n *novelty) resum(set *noveltySet) {
	n.Sum, n.Steps = 0, 0
	for i := recent - set.Level; i < recent; i++ {
		n.Sum += float64(n.Recent[i])
	}
	for i := 1; i < recent; i++ {
		n.Steps += n.distance(i)
	}
}

// roughness is the mean distance between neighbours in Recent, as a ratio to what it is by habit;
// negative: it is not known.
func (n *novelty) roughness(weight float64) float64 {
	if n.N < 2 {
		return -1
	}
	n.Rough += max(1/float64(n.N-1), weight/2000) * (n.distance(int((n.N-1)%recent)) - n.Rough)
	if n.N <= recent || n.Rough <= 0 {
		return -1
	}
	return max(n.Steps, 0) / (recent - 1) / n.Rough
}

// rhythm returns how far x is from what is usual at this hour, and whether the hours explain enough
// of the stream's deviation to be believed.
func (n *novelty) rhythm(set *noveltySet, at int64, dt, weight, x float64) (left float64, ok bool) {
	hour := uint64(at) / hourMS % hours
	day := hour % dayHours
	n.Mean += max(1/float64(n.N), weight/1000) * (x - n.Mean)
	usual := blend(n.Mean, pace, n.Day[day], n.DaySeen[day])
	usual = blend(usual, set.Prior, n.Week[hour], n.WeekSeen[hour])
	left = x - usual
	n.Left += weight / 1000 * (math.Abs(left) - n.Left)
	n.Spread += weight / 1000 * (math.Abs(x-n.Mean) - n.Spread)
	remember(&n.Day[day], &n.DaySeen[day], x, dt, set.Day)
	remember(&n.Week[hour], &n.WeekSeen[hour], x, dt, set.Week)
	return left, n.Left < (1-set.Rhythm)*n.Spread
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

func (n *novelty) trend(set *noveltySet, x float64) float64 {
	n.Short += max(1/float64(n.N), 1/set.Short) * (x - n.Short)
	n.Long += max(1/float64(n.N), 1/set.Long) * (x - n.Long)
	return n.Short - n.Long
}

// news returns excess, or 0 if it is not well above what was told a short time before.
func (n *novelty) news(set *noveltySet, excess float64) float64 {
	n.Since++
	if excess == 0 {
		return 0
	}
	told := n.Told
	if over := float64(n.Since) - set.Hold; over > 0 {
		told *= math.Exp(-over / set.Fade)
	}
	if excess <= told*set.Beyond {
		return 0
	}
	n.Told, n.Since = excess, 0
	return excess
}
