package gateway

import "time"

const (
	// After awayFor without the hub, packs stay open for lingerAway: no one needs the
	// newest readings at once, and a backlog of fewer, larger packs drains faster.
	awayFor    = 2 * time.Second
	lingerAway = 50 * time.Millisecond
	// trimMargin is how many bridged packs stay in the stream by default; a larger
	// BRIDGE_TRIM_MARGIN prolongs a lull a little.
	trimMargin = 128
)

// lull decides when packs may stay open longer: while the hub is away, and then until the
// backlog is drained, since new packs compete with it for the disk and the bridge. The
// live path shows the newest packs first anyway.
type lull struct {
	silent time.Time // when the hub was lost, zero while it is connected
	mark   uint64    // the newest pack when it came back
	until  time.Time // latest end of the backlog: it drains faster than it grew
}

// update returns whether there is a lull, given whether the hub listens and the sequences
// of the oldest and the newest pack.
func (l *lull) update(now time.Time, listening bool, first, last uint64) bool {
	if !listening {
		if l.silent.IsZero() {
			l.silent = now
		}
		return now.Sub(l.silent) >= awayFor || l.draining(now, first)
	}
	if !l.silent.IsZero() {
		if away := now.Sub(l.silent); away >= awayFor {
			l.mark, l.until = last, now.Add(away)
		}
		l.silent = time.Time{}
	}
	return l.draining(now, first)
}

func (l *lull) draining(now time.Time, first uint64) bool {
	return first+trimMargin <= l.mark && now.Before(l.until)
}
