package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"industrial-iot-monitor/core/internal/samples"
)

const dayMS = 86_400_000

// dayFormat is the name of a day's file, without its ending.
const dayFormat = "2006-01-02"

// schema of a day's file. A chunk has readings of one device in the order of time, the first at start and
// the last at stop, which is null in files of versions that did not write it; two chunks of a device may
// overlap, and have the same reading twice, until the file is compacted. A course is
// the roll-up of a device's whole day. A position is the offset, by partition, before which this
// file has all that belongs to it.
const schema = `
create table if not exists meta (key text primary key, value any not null) without rowid, strict;
create table if not exists positions (partition integer primary key, next integer not null) strict;
create table if not exists devices (id integer primary key, name text not null unique) strict;
create table if not exists layouts (id integer primary key, fields text not null unique) strict;
create table if not exists chunks (id integer primary key, device integer not null, start integer not null, stop integer, rows integer not null, layout integer not null, data blob not null) strict;
create index if not exists chunks_of_device on chunks (device, start, stop);
create table if not exists courses (device integer not null, width integer not null, layout integer not null, data blob not null, primary key (device, width)) without rowid, strict;
`

// Keys of meta.
const (
	metaCompact = "compact" // 1: chunks are in order, and every device has its courses
	metaLoose   = "loose"   // chunks added since it was compacted
)

// day is the file of one UTC day. The zero value is not usable.
type day struct {
	number int64 // of days since 1970
	path   string

	// mu is held for reading while the file is used, for writing while it is opened, replaced or
	// removed. writing is held during a transaction.
	mu      sync.RWMutex
	writing sync.Mutex
	db      *sql.DB // nil while closed
	gone    error   // errGone after retention removed it, ErrRebuild after it was set aside

	compact   atomic.Bool  // known to be compact
	used      atomic.Int64 // ms by the clock, when it was last used
	wrote     atomic.Int64 // and written
	positions map[int32]int64
	promised  map[int32]int64  // the least positions that the file must have
	ids       map[string]int64 // of devices that were written since the file was opened
	layouts   layouts
}

func (d *day) start() int64 { return d.number * dayMS }

func dayPath(dir string, number int64) string {
	return filepath.Join(dir, time.UnixMilli(number*dayMS).UTC().Format(dayFormat)+".db")
}

var errGone = errors.New("the day's file was removed")

// openDB opens a database file. Readers do not wait for the writer.
func openDB(path, pragmas string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=page_size(8192)&_pragma=cache_size(-512)&_txlock=immediate"+pragmas)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(1)
	return db, nil
}

const safe = "&_pragma=journal_mode(wal)&_pragma=synchronous(full)"

// acquire opens the file if needed. The caller calls release when it no longer uses db.
func (d *day) acquire(ctx context.Context, now int64) (err error) {
	for {
		d.mu.RLock()
		if gone := d.gone; gone != nil {
			d.mu.RUnlock()
			return gone
		}
		if d.db != nil {
			d.used.Store(now)
			return nil
		}
		d.mu.RUnlock()
		d.mu.Lock()
		if d.db == nil && d.gone == nil {
			err = d.open(ctx)
		}
		d.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (d *day) release() { d.mu.RUnlock() }

// open opens the file and reads its positions. d.mu is held for writing.
func (d *day) open(ctx context.Context) error {
	_ = os.Remove(d.path + newSuffix) // of a compaction that did not finish
	db, err := openDB(d.path, safe)
	if err != nil {
		return fmt.Errorf("opening %s: %w", d.path, err)
	}
	positions, err := prepare(ctx, db)
	if err != nil {
		_ = db.Close() // the first error says why
		return fmt.Errorf("opening %s: %w", d.path, err)
	}
	for p, next := range d.promised {
		if positions[p] < next {
			_ = db.Close() // it is not what was written
			return fmt.Errorf("opening %s: %w: partition %d up to offset %d, want %d", d.path, errIncomplete, p, positions[p], next)
		}
	}
	d.db, d.positions, d.ids = db, positions, make(map[string]int64)
	d.layouts.clear() // a compacted file has others
	return nil
}

func prepare(ctx context.Context, db *sql.DB) (map[int32]int64, error) {
	_, err := db.ExecContext(ctx, schema+meansSchema)
	if err == nil {
		err = addColumn(ctx, db, "chunks", "stop integer")
	}
	if err != nil {
		return nil, err
	}
	positions := make(map[int32]int64)
	err = each(ctx, db, func(scan func(...any) error) error {
		var p int32
		var next int64
		if err := scan(&p, &next); err != nil {
			return err
		}
		positions[p] = next
		return nil
	}, `select partition, next from positions`)
	return positions, err
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls f for every row of a query.
func each(ctx context.Context, q queryer, f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says whether it was read
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// shut closes the file. d.mu is held for writing.
func (d *day) shut() error {
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db, d.ids = nil, nil
	return err
}

// piece is readings of one device, encoded.
type piece struct {
	device string
	start  int64
	stop   any // int64, or nil in a chunk of an older file
	rows   int
	fields []samples.Field
	data   []byte
}

// write lets fill write and moves the position of a partition, in one transaction. It does nothing
// if the file has what comes before that position.
func (d *day) write(ctx context.Context, partition int32, next, now int64, fill func(*writer) error) error {
	if err := d.acquire(ctx, now); err != nil {
		return err
	}
	defer d.release()
	d.writing.Lock()
	defer d.writing.Unlock()
	if d.positions[partition] >= next {
		return nil
	}
	err := inTx(ctx, d.db, func(tx *sql.Tx) error {
		w, err := newWriter(ctx, tx, d.ids)
		if err != nil {
			return err
		}
		defer w.close()
		if err := fill(w); err != nil {
			return err
		}
		return w.position(partition, next)
	})
	if err != nil {
		clear(d.ids) // those of new devices are void
		return fmt.Errorf("writing %s: %w", d.path, err)
	}
	d.positions[partition] = next
	d.compact.Store(false)
	d.wrote.Store(now)
	return nil
}

// position returns the offset of a partition before which the file has everything.
func (d *day) position(ctx context.Context, partition int32, now int64) (int64, error) {
	if err := d.acquire(ctx, now); err != nil {
		return 0, err
	}
	defer d.release()
	d.writing.Lock()
	defer d.writing.Unlock()
	return d.positions[partition], nil
}

// promise notes that the file has a position.
func (d *day) promise(partition int32, next int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.promised == nil {
		d.promised = make(map[int32]int64)
	}
	d.promised[partition] = next
}

func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // SQLite may have done it: the first error says why
		return err
	}
	return tx.Commit()
}

// writer writes rows of a day's file in a transaction.
type writer struct {
	ctx     context.Context //nolint:containedctx // that of the transaction, for its life
	tx      *sql.Tx
	device  *sql.Stmt
	insert  *sql.Stmt
	course  *sql.Stmt
	devices map[string]int64 // ids by name
	layouts *layoutIDs
	courses bool // the file has some
}

// newWriter returns a writer; devices are the ids that are known.
func newWriter(ctx context.Context, tx *sql.Tx, devices map[string]int64) (_ *writer, err error) {
	w := &writer{ctx: ctx, tx: tx, devices: devices, layouts: newLayoutIDs(ctx, tx)}
	if err := tx.QueryRowContext(ctx, `select exists (select 1 from courses)`).Scan(&w.courses); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&w.device, `insert into devices (name) values (?) on conflict (name) do update set name = name returning id`},
		{&w.insert, `insert into chunks (device, start, stop, rows, layout, data) values (?, ?, ?, ?, ?, ?)`},
		{&w.course, `insert or replace into courses (device, width, layout, data) values (?, ?, ?, ?)`},
	} {
		if *s.to, err = tx.PrepareContext(ctx, s.query); err != nil {
			return nil, err // the end of the transaction closes the others
		}
	}
	return w, nil
}

func (w *writer) close() {
	for _, s := range []*sql.Stmt{w.device, w.insert, w.course} {
		_ = s.Close() // nothing to flush
	}
}

// chunk adds a piece and drops the courses of its device, which lack it.
func (w *writer) chunk(p *piece) error {
	id, layout, err := w.ids(p.device, p.fields)
	if err != nil {
		return err
	}
	if _, err := w.insert.ExecContext(w.ctx, id, p.start, p.stop, p.rows, layout, p.data); err != nil {
		return err
	}
	if !w.courses {
		return nil
	}
	_, err = w.tx.ExecContext(w.ctx, `delete from courses where device = ?`, id)
	return err
}

func (w *writer) ids(device string, fields []samples.Field) (id, layout int64, err error) {
	id, ok := w.devices[device]
	if !ok {
		if err := w.device.QueryRowContext(w.ctx, device).Scan(&id); err != nil {
			return 0, 0, err
		}
		w.devices[device] = id
	}
	layout, err = w.layouts.of(fields)
	return id, layout, err
}

// outdate counts chunks that were added to a compacted file.
func (w *writer) outdate(n int) error {
	_, err := w.tx.ExecContext(w.ctx, `update meta set value = value + ? where key = ?`, n, metaLoose)
	return err
}

func (w *writer) position(partition int32, next int64) error {
	_, err := w.tx.ExecContext(w.ctx, `insert into positions (partition, next) values (?, ?) on conflict (partition) do update set next = excluded.next`, partition, next)
	return err
}

func (w *writer) meta(key string, value any) error {
	_, err := w.tx.ExecContext(w.ctx, `insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value`, key, value)
	return err
}
