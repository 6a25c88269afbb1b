package processor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// shedBehind is how old the readings are that the record path processes when the live stage
	// makes room for it, in ms. A slow plant's are that old because a transaction gathers them
	// (BRIDGE_COMMIT_MAX): that does no harm, since the stage sheds nothing at a low rate.
	shedBehind = 250
	// shedIdle is how long ago something must have been processed, in ms, for that to count.
	shedIdle = 1_000
	// stallTimeout is how long work may wait before the program is not ready.
	stallTimeout = 30 * time.Second
	// behindMS is the age of the readings being processed from which the partition is
	// catching up. A reading then proves that its device was alive at that time, not now,
	// and silent devices get the benefit of the doubt.
	behindMS = 10_000
	// settleMS is how long after the start missing data raises no alarm.
	settleMS = 5_000
)

var errNoSession = errors.New("not a member of the consumer group, or still restoring its partitions")

// Ready returns nil while the group has assigned partitions (or there are more members
// than partitions) and each makes progress: what was read is committed, and what arrives
// is read.
func (p *Processor) Ready() error {
	if err := p.cfg.Refusal(); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	s := p.session.Load()
	if s == nil {
		return errNoSession
	}
	now := time.Now().UnixMilli()
	for _, t := range s.order {
		if err := errors.Join(t.pending.stalled(now), t.progress.stalled(now)); err != nil {
			return fmt.Errorf("partition %d: %w", t.partition, err)
		}
	}
	return nil
}

// behind reports whether the record path processes readings that gateways received a while
// ago.
func (p *Processor) behind(now int64) bool {
	s := p.session.Load()
	if s == nil {
		return false
	}
	for _, t := range s.order {
		received := t.progress.received.Load()
		if received != 0 && now-received > shedBehind && now-t.progress.moved.Load() < shedIdle {
			return true
		}
	}
	return false
}

func (p *pending) stalled(now int64) error {
	for _, since := range []int64{p.inFlight.Load(), p.waiting.Load()} {
		if since != 0 && now-since > stallTimeout.Milliseconds() {
			return fmt.Errorf("nothing committed for %s", age(now-since))
		}
	}
	return nil
}

// progress is how far a task has read its partition. Times are ms by the clock.
type progress struct {
	// Owned by the task's goroutine.
	started   int64
	processed int64 // when something was processed last, 0: never
	written   int64 // when the newest record processed was written to Kafka
	newest    int64 // when the gateway received the newest record of the chunk at hand

	// Read by anyone.
	next  atomic.Int64 // offset to continue from, negative while unknown
	high  atomic.Int64 // the partition's high-water mark
	grew  atomic.Int64 // when high last grew
	moved atomic.Int64 // when next last moved
	// received is when gateways received what was processed last.
	received atomic.Int64
}

func newProgress(now int64) *progress {
	p := &progress{started: now}
	p.next.Store(-1)
	p.moved.Store(now)
	return p
}

// advance records that everything before the offset next is processed.
func (p *progress) advance(next, now int64) {
	p.next.Store(next)
	p.moved.Store(now)
	p.processed = now
	p.received.Store(p.newest)
	p.newest = 0
}

// grow records the partition's high-water mark.
func (p *progress) grow(high, now int64) {
	if high > p.high.Load() {
		p.high.Store(high)
		p.grew.Store(now)
	}
}

// stalled returns an error while nothing is read although the partition grows. Transaction
// markers have offsets and are never delivered, so a lag that stands still is no stall.
func (p *progress) stalled(now int64) error {
	if moved := p.moved.Load(); p.lag() > 0 && p.grew.Load()-moved > stallTimeout.Milliseconds() {
		return fmt.Errorf("nothing read for %s with a lag of %d offsets", age(now-moved), p.lag())
	}
	return nil
}

// lag returns how many offsets are unread. A single one at the end is the marker of the
// transaction that wrote the newest readings.
func (p *progress) lag() int64 {
	next := p.next.Load()
	if next < 0 {
		return 0 // unknown before the first record
	}
	if d := p.high.Load() - next; d > 1 {
		return d
	}
	return 0
}

// isBehind reports whether the readings being processed are older than the clock: then
// the clock does not tell which data is missing.
func (p *progress) isBehind(now int64) bool {
	if p.processed == 0 { // there may be much to read
		return now-p.started < settleMS || p.lag() > 0 && now-p.started < behindMS
	}
	return now-p.processed < 2*tickEvery.Milliseconds() && now-p.written > behindMS
}

func age(ms int64) time.Duration {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second)
}
