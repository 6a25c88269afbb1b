package notify

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	// longestAsked bounds the patience that a receiver may ask for.
	longestAsked = 10 * time.Minute
)

// patience is how long to wait before something is tried again: twice as long after each
// failure, and of that a random part, so that several cores do not come all at once.
type patience struct {
	failures int
	until    time.Time
}

// again notes a failure and returns how many there were in a row.
func (p *patience) again(now time.Time) int {
	pause := lastPause
	if p.failures < 10 {
		pause = min(firstPause<<p.failures, lastPause)
	}
	p.failures++
	p.until = now.Add(pause/2 + rand.N(pause/2+1))
	return p.failures
}

// retryAfter reads the Retry-After header: seconds or a date. Zero means none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.Atoi(text); err == nil && s > 0 {
		return min(time.Duration(min(s, 1<<20))*time.Second, longestAsked)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), longestAsked)
	}
	return 0
}
