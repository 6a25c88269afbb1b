package ingest

import "time"

const (
	// recentPacks is over how many packs their frequency is taken.
	recentPacks = 8
	// shortest is the share of Options.Linger that a pack stays open at least.
	shortest = 4
)

// pace knows when the newest packs were opened.
type pace struct {
	opened [recentPacks]time.Time
	n      int
}

func (p *pace) add(opened time.Time) {
	p.opened[p.n%recentPacks] = opened
	p.n++
}

// gap returns the mean time between the newest packs and one opened now, 0 while there are
// too few.
func (p *pace) gap(now time.Time) time.Duration {
	if p.n < recentPacks {
		return 0
	}
	return now.Sub(p.opened[p.n%recentPacks]) / recentPacks
}

// lingerFor returns how long a pack stays open if packs are a gap apart. Waiting saves a sync
// only where further messages come in that time: rare packs wait for a quarter of most, and
// the wait grows with their frequency until they are no further apart than most.
func lingerFor(most, gap time.Duration) time.Duration {
	if gap <= most {
		return most
	}
	return max(time.Duration(float64(most)*(float64(most)/float64(gap))), most/shortest)
}
