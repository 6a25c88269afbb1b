package people

import (
	"sync"
	"time"
)

const (
	// freeTries are wrong passwords without a delay.
	freeTries = 5
	// firstDelay doubles with each further wrong password.
	firstDelay = time.Second
	// longestDelay is short enough that nobody is locked out: at most 2,880 tries a day.
	longestDelay = 30 * time.Second
	// forgetAfter is how long a wrong password counts.
	forgetAfter = 15 * time.Minute
	// mostThrottled bounds the names and addresses of which wrong passwords are counted.
	mostThrottled = 10_000
)

// throttle delays those who try passwords. It counts by name and by address: one attacker tries many
// names from one address, another one name from many addresses.
type throttle struct {
	now func() time.Time

	mu    sync.Mutex
	tries map[string]*tries
}

// tries are the wrong passwords of a name or an address.
type tries struct {
	count int
	last  time.Time
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, tries: make(map[string]*tries)}
}

func (t *tries) wait(now time.Time) time.Duration {
	if t == nil || t.count < freeTries {
		return 0
	}
	delay := longestDelay
	if doubled := t.count - freeTries; doubled < 10 {
		delay = min(longestDelay, firstDelay<<doubled)
	}
	return max(0, t.last.Add(delay).Sub(now))
}

// begin counts an attempt as a wrong one, so that many at once are no way around the delay, and returns 0; or it
// returns how long to wait before the attempt. A person who was there before does not wait for what
// others try with their name.
func (t *throttle) begin(key, place string, known bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	name, address := t.get("name "+key, now), t.get("from "+place, now)
	wait := address.wait(now)
	if !known {
		wait = max(wait, name.wait(now))
	}
	if wait > 0 {
		return wait
	}
	t.add("name "+key, now)
	t.add("from "+place, now)
	return 0
}

// right takes an attempt back that was right. What else was tried from the address still counts: an
// attacker may know one password.
func (t *throttle) right(key, place string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tries, "name "+key)
	t.undo("from " + place)
}

// dropped takes an attempt back that was not judged.
func (t *throttle) dropped(key, place string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo("name " + key)
	t.undo("from " + place)
}

func (t *throttle) undo(what string) {
	if e := t.tries[what]; e != nil {
		if e.count--; e.count <= 0 {
			delete(t.tries, what)
		}
	}
}

func (t *throttle) get(what string, now time.Time) *tries {
	e := t.tries[what]
	if e != nil && now.Sub(e.last) >= forgetAfter {
		delete(t.tries, what)
		return nil
	}
	return e
}

func (t *throttle) add(what string, now time.Time) {
	e := t.tries[what]
	if e == nil {
		if len(t.tries) >= mostThrottled {
			t.evict()
		}
		e = &tries{}
		t.tries[what] = e
	}
	e.count, e.last = e.count+1, now
}

// evict forgets who has the fewest wrong passwords, of those the oldest. There is one for each hash at
// most, which takes far longer.
func (t *throttle) evict() {
	var least string
	var found *tries
	for what, e := range t.tries {
		if found == nil || e.count < found.count || e.count == found.count && e.last.Before(found.last) {
			least, found = what, e
		}
	}
	delete(t.tries, least)
}
