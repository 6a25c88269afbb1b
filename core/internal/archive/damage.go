package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite"

	"industrial-iot-monitor/core/internal/samples"
)

// Primary result codes of SQLite, https://www.sqlite.org/rescode.html.
const (
	sqliteCorrupt = 11
	sqliteNotADB  = 26
)

// isDamage reports whether an error says that a file is not what was written.
func isDamage(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		code := e.Code() & 0xff
		return code == sqliteCorrupt || code == sqliteNotADB
	}
	return errors.Is(err, samples.ErrDamaged) || errors.Is(err, errIncomplete)
}

// errIncomplete reports a file that lacks what was written into it.
var errIncomplete = errors.New("the file lacks readings that were written into it")

// setAside renames a database file and its journal, and returns the new name.
func setAside(path string, at time.Time) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", path, at.UTC().Format("20060102T150405.000"))
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return aside, fmt.Errorf("setting a damaged file aside: %w", err)
	}
	for _, journal := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+journal, aside+journal); err != nil && !errors.Is(err, os.ErrNotExist) {
			return aside, fmt.Errorf("setting a damaged file aside: %w", err)
		}
	}
	return aside, nil
}

// ErrRebuild reports that a damaged file was set aside: read on from the positions of new heads.
var ErrRebuild = errors.New("a damaged file of the history was set aside")

// failed returns the error of using a day's file. A damaged file is set aside, which Rebuild tells.
func (a *Archive) failed(d *day, cause error) error {
	if !isDamage(cause) {
		return cause
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone != nil {
		return fmt.Errorf("%w: %w", ErrRebuild, cause) // another one was first
	}
	// The note comes first: a crash in between repeats what Kafka still has.
	ctx := context.WithoutCancel(a.life)
	if err := a.catalogue.forget(ctx, d.number, true); err != nil {
		return errors.Join(cause, err)
	}
	_ = d.shut() // it is damaged
	aside, err := setAside(d.path, a.now())
	if err != nil {
		return errors.Join(cause, err)
	}
	d.gone = ErrRebuild
	a.forget(d)
	a.metrics.damaged.Inc()
	a.setAside.Add(1)
	a.log.Error("a file of the history is damaged and was set aside; its day is read from Kafka again, as far as Kafka reaches", "file", aside, "err", cause)
	select {
	case a.rebuild <- struct{}{}:
	default:
	}
	return fmt.Errorf("%w: %w", ErrRebuild, cause)
}

// forget takes a day whose file is gone off the list.
func (a *Archive) forget(d *day) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.days[d.number] == d {
		delete(a.days, d.number)
	}
}

// Lost returns the start of the oldest day, in ms, whose readings must be read from Kafka again.
func (a *Archive) Lost(ctx context.Context) (at int64, some bool, err error) {
	number, some, err := a.catalogue.lost(ctx)
	return number * dayMS, some, err
}

// Rewind moves partitions back to offsets, so that heads made afterwards read the lost days again.
func (a *Archive) Rewind(ctx context.Context, to map[int32]int64) error {
	return a.catalogue.rewind(ctx, to)
}
