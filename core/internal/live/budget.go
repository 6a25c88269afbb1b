package live

// budgetRate is how many readings a second the live stage shows while the record path is
// behind: enough for what a plant of ordinary size sends, and a small part of what one core
// can do.
const budgetRate = 20_000

// budget shares out readings at budgetRate. A pack may overdraw it; the next ones then wait
// until that is made up for.
type budget struct {
	left float64
	at   int64 // ms by the clock
}

// take reports whether a pack of n readings may be shown at now, in ms by the clock. What is
// not fresh gets only what fresh packs leave.
func (b *budget) take(n int, fresh bool, now int64) bool {
	const perMS, most = budgetRate / 1000.0, budgetRate / 4.0
	b.left = min(b.left+float64(max(now-b.at, 0))*perMS, most)
	b.at = now
	if b.left <= 0 || !fresh && b.left < most/2 {
		return false
	}
	b.left -= float64(n)
	return true
}
