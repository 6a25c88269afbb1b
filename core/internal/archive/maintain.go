package archive

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
)

const (
	maintainEvery = time.Minute
	// settled is how long after its end a day counts as over: what came before midnight is written.
	settled = 15 * time.Minute
	// looseFor is how long readings that came late for a compacted file wait for others.
	looseFor = time.Hour
	// idleFor is how long an unused file stays open.
	idleFor = 5 * time.Minute
)

// Maintain removes, compacts and closes files at once, since the disk may be full, and as time passes,
// until ctx ends.
func (a *Archive) Maintain(ctx context.Context) error {
	for {
		a.Tidy(ctx)
		if !lifecycle.Pause(ctx, maintainEvery) {
			return nil
		}
	}
}

// Tidy does what Maintain does every minute. Failures are logged: the next time tries again.
func (a *Archive) Tidy(ctx context.Context) {
	if a.expire() > 0 {
		if days := a.all(); len(days) > 0 {
			a.complain("removing old sensors from the catalogue", days[0], a.catalogue.prune(ctx, days[0].number))
		}
	}
	for _, d := range a.between(0, a.now().Add(-settled).UnixMilli()/dayMS-1) {
		if ctx.Err() != nil {
			return
		}
		if due, err := a.dueForCompaction(ctx, d); err != nil || !due {
			a.complain("looking whether it is compact", d, err)
			continue
		}
		a.complain("compacting", d, a.compact(ctx, d))
	}
	a.closeIdle()
}

// complain logs that something failed that the next round tries again.
func (a *Archive) complain(what string, d *day, err error) {
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errGone) {
		a.log.Warn("upkeep of the history failed", "doing", what, "file", d.path, "err", err)
	}
}

// dueForCompaction reports whether a day that is over was not compacted since its last readings.
func (a *Archive) dueForCompaction(ctx context.Context, d *day) (due bool, err error) {
	if d.compact.Load() {
		return false, nil
	}
	err = a.use(ctx, d, func() error {
		var compact, loose int64
		err := d.db.QueryRowContext(ctx, `select value from meta where key = ?`, metaCompact).Scan(&compact)
		if errors.Is(err, sql.ErrNoRows) {
			due = true
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.db.QueryRowContext(ctx, `select value from meta where key = ?`, metaLoose).Scan(&loose); err != nil {
			return err
		}
		d.compact.Store(loose == 0)
		due = loose > 0 && a.now().UnixMilli()-d.wrote.Load() >= looseFor.Milliseconds()
		return nil
	})
	return due, err
}

// Why a day is removed.
const (
	byAge  = "age"
	bySize = "size"
)

// expire removes the files of days beyond the retention, by age and by size, and returns how many.
func (a *Archive) expire() (n int) {
	for _, d := range a.between(0, a.oldest()-1) {
		a.remove(d, byAge)
		n++
	}
	if a.o.MaxBytes == 0 {
		return n
	}
	total, today := a.size(), a.now().UnixMilli()/dayMS
	for _, d := range a.between(0, today-1) {
		if total <= a.o.MaxBytes {
			return n
		}
		total -= d.size()
		a.least.Store(d.number + 1)
		a.remove(d, bySize)
		n++
	}
	return n
}

// remove deletes the file of a day. The catalogue forgets it first, if the disk is not too full for that: a
// file that is missing there is brought back from Kafka.
func (a *Archive) remove(d *day, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone != nil {
		return
	}
	note := func() error {
		err := a.catalogue.forget(a.life, d.number, false)
		if err == nil && why == bySize {
			err = a.catalogue.giveUp(a.life, d.number)
		}
		return err
	}
	known := note()
	err := d.shut()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if e := os.Remove(d.path + suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		a.complain("removing", d, err)
		return
	}
	if known != nil { // now there is room
		known = note()
	}
	a.complain("removing from the catalogue", d, known)
	d.gone = errGone
	a.forget(d)
	a.metrics.expired.Inc()
	a.log.Info("a day of the history was removed", "file", d.path, "because_of", why)
}

// closeIdle closes files that were not used for a while.
func (a *Archive) closeIdle() {
	limit := a.now().Add(-idleFor).UnixMilli()
	for _, d := range a.all() {
		if d.used.Load() < limit {
			d.mu.Lock()
			a.complain("closing", d, d.shut())
			d.mu.Unlock()
		}
	}
}
