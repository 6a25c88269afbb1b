package processor

import (
	"errors"
	"fmt"
	"time"
)

// patience is how long work may lie undone before the program is not ready.
const patience = 30 * time.Second

var errNoSession = errors.New("not a member of the consumer group, or still restoring its partitions")

// Ready returns nil while the group has assigned partitions (or there are more members
// than partitions) and each makes progress where there is work: what was read is
// committed, and what arrives is read.
func (p *Processor) Ready() error {
	s := p.session.Load()
	if s == nil {
		return errNoSession
	}
	now := time.Now().UnixMilli()
	for _, t := range s.order {
		if err := t.ready(now); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) ready(now int64) error {
	for _, since := range []int64{t.inFlight.Load(), t.waiting.Load()} {
		if since != 0 && now-since > patience.Milliseconds() {
			return fmt.Errorf("partition %d: nothing committed for %s", t.partition, age(now-since))
		}
	}
	// Markers of transactions count as offsets and never arrive, so a lag that
	// stands still is none. One that grows while nothing arrives is.
	if moved := t.moved.Load(); t.lag() > 0 && t.grew.Load()-moved > patience.Milliseconds() {
		return fmt.Errorf("partition %d: nothing read for %s while %d offsets wait", t.partition, age(now-moved), t.lag())
	}
	return nil
}

// lag returns how many offsets wait to be read. A last single one is the marker of the
// transaction that wrote the newest readings.
func (t *task) lag() int64 {
	next := t.next.Load()
	if next < 0 {
		return 0 // not known before the first record
	}
	if d := t.high.Load() - next; d > 1 {
		return d
	}
	return 0
}

func age(ms int64) time.Duration {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second)
}
