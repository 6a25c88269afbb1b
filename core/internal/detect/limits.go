package detect

// limits are the range that a quantity of a stream had on the days before. The day at hand does not
// count before it is over, so that what moves slowly is seen to move.
type limits struct {
	Low, High       float32 // of the days before
	Lowest, Highest float32 // of the day at hand
	Since           int64   // of the present excess, plant time in ms; 0: none
	Until           int64   // when the excess before ended
	Above           bool    // the side of the newest excess
	Bottom, Top     float32 // outermost values since the episode of the stream began; within Low, High: none
	Known           bool    // a day is over
	Begun           bool    // the day at hand has values
	Days            uint8   // over
	Upper           bool    // it was above the middle later than below
	Turns           float32 // how often it went from below the middle to above
}

// forget is by which part of itself a range shrinks in a day.
const forget = 0.03

func (l *limits) span() float32 { return l.High - l.Low }

// beyond returns how far x is outside, negative below; 0 inside.
func (l *limits) beyond(x float32) float32 {
	switch {
	case !l.Known:
		return 0
	case x > l.High:
		return x - l.High
	case x < l.Low:
		return x - l.Low
	default:
		return 0
	}
}

// part returns a part of the range, which is floor at least. It is more if the range was gone through a few
// times only, or is that of a few days: what wanders slowly, or is seldom, can go further than it did.
func (l *limits) part(of, floor float32) float32 {
	return of * max(l.span(), floor) * l.doubt()
}

func (l *limits) doubt() float32 {
	return (0.8 + 60/(l.Turns+15)) * (1 + 1/float32(max(l.Days, 1)))
}

// learn adds x to the day at hand.
func (l *limits) learn(x float32) {
	if !l.Begun {
		l.Lowest, l.Highest, l.Begun = x, x, true
		return
	}
	was := l.Highest - l.Lowest
	l.Lowest, l.Highest = min(l.Lowest, x), max(l.Highest, x)
	low, high := l.Low, l.High
	if !l.Known {
		low, high = l.Lowest, l.Highest
		l.grow(was, high-low)
	}
	switch part := (high - low) / 3; {
	case l.Upper && x < low+part:
		l.Upper = false
	case !l.Upper && x > high-part:
		l.Upper = true
		l.Turns++
	}
}

// grow takes away from Turns: those within a part of the range say less.
func (l *limits) grow(was, is float32) {
	if is > was {
		l.Turns *= was / is * was / is
	}
}

// widen makes x usual.
func (l *limits) widen(x float32) { l.Low, l.High = min(l.Low, x), max(l.High, x) }

// begin begins an episode.
func (l *limits) begin(at int64) {
	if l.Since != at {
		l.Bottom, l.Top = l.Low, l.High
	}
}

// accept makes usual what was outside in the newest episode.
func (l *limits) accept() {
	l.Low, l.High, l.Since = min(l.Low, l.Bottom), max(l.High, l.Top), 0
}

// day ends the day at hand: what it brought is usual from now on.
func (l *limits) day() {
	switch {
	case !l.Begun:
	case !l.Known || l.Days == 0:
		l.Low, l.High, l.Known = l.Lowest, l.Highest, true
	default:
		was := l.High - l.Low
		l.Low, l.High = min(l.Low+forget/2*was, l.Lowest), max(l.High-forget/2*was, l.Highest)
		l.grow(was, l.High-l.Low)
	}
	l.Begun = false
	l.Days = max(l.Days, l.Days+1)
}

// judge returns how far x is outside: 1 at limit. It learns x unless that is at least half of it.
// settled reports that this has lasted for settle ms: the caller makes it usual, and its time starts
// anew.
func (l *limits) judge(at int64, x, limit float32, settle int64) (e float32, settled bool) {
	if d := l.beyond(x); d != 0 && limit > 0 {
		e = d / limit
	}
	if -over < e && e < over {
		if l.Since != 0 {
			l.Since, l.Until = 0, at
		}
		l.learn(x)
		return e, false
	}
	if l.Since == 0 {
		l.Since = at
	}
	l.Bottom, l.Top = min(l.Bottom, x), max(l.Top, x)
	if at-l.Since < settle {
		return e, false
	}
	l.Since = 0
	return 0, true
}

// tell is judge for a quantity that is measured from nothing: what lasts widens the range.
func (l *limits) tell(at int64, x, limit float32, settle int64) float32 {
	e, settled := l.judge(at, x, limit, settle)
	if settled {
		l.widen(x)
	}
	return e
}

// ended reports whether there is no excess, and one ended less than ms ago.
func (l *limits) ended(at, ms int64) bool { return l.Since == 0 && l.Until != 0 && at-l.Until < ms }

// swung reports whether an excess begins on the other side than one that ended less than ms ago: it is
// over, and what x was measured from had followed it. It is for judge's e of the same time.
func (l *limits) swung(at int64, e float32, ms int64) bool {
	if l.Since == 0 {
		return false
	}
	swung := l.Since == at && l.Until != 0 && at-l.Until < ms && l.Above != (e > 0)
	if l.Since == at {
		l.Above = e > 0
	}
	return swung
}
