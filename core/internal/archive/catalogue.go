package archive

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const catalogueSchema = `
create table if not exists positions (partition integer primary key, next integer not null) strict;
create table if not exists devices (name text primary key, partition integer not null, building text not null, clock integer not null, begins integer not null, held text not null,
	floor integer not null default 0, room text not null default '', model text not null default '') without rowid, strict;
create index if not exists devices_of_partition on devices (partition);
create table if not exists files (day integer not null, partition integer not null, next integer not null, primary key (day, partition)) without rowid, strict;
create table if not exists lost (day integer primary key) strict;
create table if not exists removed (day integer primary key) strict;
` + entriesSchema

// catalogue is the file with what belongs to no single day: the position of each partition, what is
// known of devices and which sensors they have had, the positions that files of days must have at least, so that one which lost its
// newest pages is found, the days whose files were damaged, and the newest day that was removed for its size.
type catalogue struct {
	identity

	mu sync.Mutex // one writer
	db *sql.DB
}

// identity is the id of an archive, in a file of its own: it outlives a damaged catalogue. The file
// is locked while the archive is open.
type identity struct {
	id   string
	lock *os.File
}

const (
	catalogueName = "catalogue.db"
	idName        = "id"
)

// ErrInUse is returned by Open for a directory that another process has open.
var ErrInUse = errors.New("another process keeps its history in this directory")

// openCatalogue opens the catalogue. A damaged one is set aside: files of days know their own
// positions, so reading all of Kafka again adds what they lack.
func openCatalogue(ctx context.Context, log *slog.Logger, dir string) (*catalogue, error) {
	who, err := identify(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, catalogueName)
	db, err := tryCatalogue(ctx, path)
	if isDamage(err) {
		aside, moved := setAside(path, time.Now())
		log.Error("the catalogue of the history is damaged and was set aside; it is made again from Kafka", "file", aside, "err", err)
		if moved != nil {
			return nil, errors.Join(moved, who.lock.Close())
		}
		db, err = tryCatalogue(ctx, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), who.lock.Close())
	}
	return &catalogue{identity: who, db: db}, nil
}

// identify locks a directory, so that one process at a time works in it, and returns the id of its
// archive, which is new in a new one. The lock ends with the process.
func identify(dir string) (who identity, err error) {
	f, err := os.OpenFile(filepath.Join(dir, idName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return who, fmt.Errorf("locking the history: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return who, fmt.Errorf("%s: %w", dir, ErrInUse)
		}
		return who, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	text, err := io.ReadAll(f)
	if err == nil && len(text) == 0 {
		text = []byte(rand.Text())
		if _, err = f.Write(text); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return who, errors.Join(fmt.Errorf("reading %s: %w", f.Name(), err), f.Close())
	}
	return identity{string(text), f}, nil
}

func tryCatalogue(ctx context.Context, path string) (*sql.DB, error) {
	db, err := openDB(path, safe)
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, catalogueSchema)
	for _, name := range []string{"floor integer not null default 0", "room text not null default ''", "model text not null default ''"} {
		if err == nil {
			err = addColumn(ctx, db, "devices", name)
		}
	}
	if err == nil {
		err = replaceFields(ctx, db)
	}
	if err != nil {
		_ = db.Close() // the first error says why
		return nil, err
	}
	return db, nil
}

// device is what the catalogue has of a device.
type device struct {
	known
	held   holding
	fields []field
}

// load returns the position of a partition and its devices.
func (c *catalogue) load(ctx context.Context, partition int32) (next int64, devices []device, err error) {
	err = c.db.QueryRowContext(ctx, `select next from positions where partition = ?`, partition).Scan(&next)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, nil, err
	}
	err = each(ctx, c.db, func(scan func(...any) error) error {
		var d device
		var held []byte
		if err := scan(&d.id, &d.building, &d.floor, &d.room, &d.model, &d.clock, &d.begins, &held); err != nil {
			return err
		}
		if err := json.Unmarshal(held, &d.held); err != nil {
			return fmt.Errorf("device %s: %w", d.id, err)
		}
		devices = append(devices, d)
		return nil
	}, `select name, building, floor, room, model, clock, begins, held from devices where partition = ?`, partition)
	if err == nil {
		err = c.loadFields(ctx, partition, devices)
	}
	return next, devices, err
}

// promises returns the positions that the files of days must have at least, by day and partition.
func (c *catalogue) promises(ctx context.Context) (map[int64]map[int32]int64, error) {
	out := make(map[int64]map[int32]int64)
	err := each(ctx, c.db, func(scan func(...any) error) error {
		var number, next int64
		var p int32
		if err := scan(&number, &p, &next); err != nil {
			return err
		}
		if out[number] == nil {
			out[number] = make(map[int32]int64)
		}
		out[number][p] = next
		return nil
	}, `select day, partition, next from files`)
	return out, err
}

// forget drops the promises of a day whose file is gone; lost notes that it must come back.
func (c *catalogue) forget(ctx context.Context, number int64, lost bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `delete from files where day = ?`, number)
		if err == nil && lost {
			_, err = tx.ExecContext(ctx, `insert into lost (day) values (?) on conflict do nothing`, number)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `delete from listed where day = ?`, number)
		}
		return err
	})
}

// giveUp notes that a day is removed for its size: neither it nor an earlier one comes back with late
// readings, of which it would have a few.
func (c *catalogue) giveUp(ctx context.Context, number int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `delete from removed where day < ?`, number)
		if err == nil {
			_, err = tx.ExecContext(ctx, `insert into removed (day) values (?) on conflict do nothing`, number)
		}
		return err
	})
}

// givenUp returns the newest day that was removed for its size, -1: none was.
func (c *catalogue) givenUp(ctx context.Context) (number int64, err error) {
	err = c.db.QueryRowContext(ctx, `select coalesce(max(day), -1) from removed`).Scan(&number)
	return number, err
}

// prune drops the sensors whose newest value is of an earlier day than the given one.
func (c *catalogue) prune(ctx context.Context, number int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.db.ExecContext(ctx, `delete from sensors where last < ?`, number)
	return err
}

// advance writes the position of a partition, also for the files of the given days, and its devices
// that had a reading.
func (c *catalogue) advance(ctx context.Context, partition int32, next int64, days []int64, devices []device) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		for _, number := range days {
			if _, err := tx.ExecContext(ctx, `insert into files (day, partition, next) values (?, ?, ?) on conflict do update set next = excluded.next`, number, partition, next); err != nil {
				return err
			}
		}
		put, err := tx.PrepareContext(ctx, `insert into devices (name, partition, building, floor, room, model, clock, begins, held) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (name) do update set
			partition = excluded.partition, building = excluded.building, floor = excluded.floor, room = excluded.room, model = excluded.model, clock = excluded.clock,
			begins = min(begins, excluded.begins), held = excluded.held`)
		if err != nil {
			return err
		}
		defer func() { _ = put.Close() }() // nothing to flush
		for i := range devices {
			d := &devices[i]
			held, err := json.Marshal(d.held)
			if err != nil {
				return err
			}
			if _, err := put.ExecContext(ctx, d.id, partition, d.building, d.floor, d.room, d.model, d.clock, d.begins, string(held)); err != nil {
				return err
			}
		}
		if err := putFields(ctx, tx, devices); err != nil {
			return err
		}
		return move(ctx, tx, partition, next)
	})
}

func move(ctx context.Context, tx *sql.Tx, partition int32, next int64) error {
	_, err := tx.ExecContext(ctx, `insert into positions (partition, next) values (?, ?) on conflict (partition) do update set next = excluded.next`, partition, next)
	return err
}

// begins returns when the oldest reading of a device was taken, in ms, 0 if it is unknown.
func (c *catalogue) begins(ctx context.Context, device string) (at int64, err error) {
	err = c.db.QueryRowContext(ctx, `select begins from devices where name = ?`, device).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return at, err
}

// lost returns the oldest day whose file is gone.
func (c *catalogue) lost(ctx context.Context) (number int64, some bool, err error) {
	var oldest sql.NullInt64
	err = c.db.QueryRowContext(ctx, `select min(day) from lost`).Scan(&oldest)
	return oldest.Int64, oldest.Valid, err
}

// rewind moves partitions back to the given offsets, unless they are there already, and forgets
// the days that are lost: reading on from there brings them back.
func (c *catalogue) rewind(ctx context.Context, to map[int32]int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		for p, offset := range to {
			if _, err := tx.ExecContext(ctx, `update positions set next = min(next, ?) where partition = ?`, offset, p); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `delete from lost`)
		return err
	})
}

func (c *catalogue) close() error { return errors.Join(c.db.Close(), c.lock.Close()) }
