package gateway

import "time"

const (
	// A hub that was silent for awayFor is away: nobody waits for the newest readings there,
	// so they wait lingerAway for others. What piles up then lies in fewer and larger packs,
	// which is what draining it costs.
	awayFor    = 2 * time.Second
	lingerAway = 50 * time.Millisecond
	// leftBehind is how many packs a bridge leaves at the gateway of those it has; one that
	// is told to leave more (BRIDGE_TRIM_MARGIN) prolongs a lull a little.
	leftBehind = 128
)

// lull knows whether readings may wait longer for others: while the hub is away, and
// after that until what has piled up is gone, for what is stored meanwhile competes with
// it for the disk and for the bridge. The newest packs go ahead to the screen anyway.
type lull struct {
	silent time.Time // since when the hub has been silent, zero while it is heard
	mark   uint64    // the newest pack when it was heard again
	until  time.Time // when the backlog is gone at the latest: it drains faster than it grew
}

// look takes whether the hub listens, and the sequences of the oldest and the newest pack.
func (l *lull) look(now time.Time, listening bool, first, last uint64) bool {
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
	return first+leftBehind <= l.mark && now.Before(l.until)
}
