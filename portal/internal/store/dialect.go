package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// dialect is what SQLite and PostgreSQL do differently.
type dialect interface {
	where() string
	// open opens the database and brings its tables to this version.
	open(ctx context.Context) (*sql.DB, error)
	// bind returns a statement as the database wants it: with its ?, and with its ~, which keep a column
	// from being looked up by its index where the database chooses badly.
	bind(statement string) string
	// prepare makes room for entries of the audit trail that were recorded at that time, in ms.
	prepare(ctx context.Context, db *sql.DB, month time.Time) error
	// forUpdate ends a select of a row that nobody else may change until the transaction ends.
	forUpdate() string
	// loose is the table with the entries of the audit trail that are not deleted by whole months.
	loose() string
	// dropMonths deletes the months of the audit trail that ended by a time, in ms, and returns how many
	// entries they had.
	dropMonths(ctx context.Context, db *sql.DB, before int64) (int64, error)
	// refused reports whether the database refuses what is in a record; it would again.
	refused(err error) bool
	// damaged reports whether an error says that what is in the database is not what was written.
	damaged(err error) bool
	// setAside moves a damaged database out of the way and returns its new name.
	setAside(now time.Time) (string, error)
}

// migrate brings the tables to this version.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, dir string, o ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, "migrations/"+dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files, append(o, goose.WithTableName("migrations"))...)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	if has, err := p.GetDBVersion(ctx); err == nil && has > newest {
		return fmt.Errorf("%w: it has version %d of its tables, this portal knows %d", errNewer, has, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing its tables to version %d: %w", newest, err)
	}
	return nil
}

var errNewer = errors.New("a newer portal has used the database; use that one, or a copy of the database from before")

// ---- SQLite ----

type sqlite struct{ path string }

func (d sqlite) where() string { return d.path }

func (d sqlite) open(ctx context.Context) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let everybody read it
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, err
	}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: d.path}).EscapedPath(), RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	if err := migrate(ctx, db, goose.DialectSQLite3, "sqlite"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// bind makes ~ a +, which SQLite takes for an expression that no index has. It keeps no statistics that
// could tell a device, with few rows, from a person, with many.
func (d sqlite) bind(statement string) string { return strings.ReplaceAll(statement, "~", "+") }

func (d sqlite) prepare(context.Context, *sql.DB, time.Time) error { return nil }

// forUpdate needs nothing: a transaction of SQLite is the only one that writes.
func (d sqlite) forUpdate() string { return "" }

func (d sqlite) loose() string { return "audit" }

func (d sqlite) dropMonths(context.Context, *sql.DB, int64) (int64, error) { return 0, nil }

func (d sqlite) refused(err error) bool {
	var e *sqlitedriver.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	return false
}

func (d sqlite) damaged(err error) bool {
	var e *sqlitedriver.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

func (d sqlite) setAside(now time.Time) (string, error) {
	aside := d.path + ".damaged-" + now.UTC().Format("20060102T150405.000")
	if err := os.Rename(d.path, aside); err != nil {
		return "", err
	}
	for _, suffix := range []string{"-wal", "-shm"} { // or they would be taken for those of the new file
		if err := os.Rename(d.path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// ---- PostgreSQL ----

type postgres struct{ config *pgx.ConnConfig }

var errURL = errors.New("want postgres://user:password@host:5432/database")

// CheckURL returns an error that says what the address of a PostgreSQL database looks like, or nil.
func CheckURL(text string) error {
	_, err := newPostgres(text)
	return err
}

func newPostgres(text string) (postgres, error) {
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return postgres{}, errURL
	}
	c, err := pgx.ParseConfig(text)
	if err != nil {
		return postgres{}, errURL // its text may have the password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "portal"
	}
	return postgres{config: c}, nil
}

func (d postgres) where() string {
	return fmt.Sprintf("postgres://%s:%d/%s", d.config.Host, d.config.Port, d.config.Database)
}

func (d postgres) open(ctx context.Context) (*sql.DB, error) {
	db := stdlib.OpenDB(*d.config)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(4)
	db.SetConnMaxLifetime(time.Hour)
	// Several portals may start at once.
	locker, err := lock.NewPostgresSessionLocker()
	if err == nil {
		err = migrate(ctx, db, goose.DialectPostgres, "postgres", goose.WithSessionLocker(locker))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// bind drops ~: PostgreSQL's statistics are better than a fixed choice.
func (d postgres) bind(statement string) string {
	statement = strings.ReplaceAll(statement, "~", "")
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(statement, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		statement = after
	}
}

// partitionLock is the advisory lock of portals that make a partition.
const partitionLock = 0x696f7470

func (d postgres) prepare(ctx context.Context, db *sql.DB, month time.Time) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	if _, err := tx.ExecContext(ctx, "select pg_advisory_xact_lock($1)", partitionLock); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("create table if not exists audit_%s partition of audit for values from (%d) to (%d)",
		month.Format("2006_01"), month.UnixMilli(), month.AddDate(0, 1, 0).UnixMilli()))
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == checkViolation {
		return nil // the default partition has entries of that month, from after it was dropped: it takes the others too
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// checkViolation is the SQLSTATE of a row that does not fit (PostgreSQL, appendix A).
const checkViolation = "23514"

func (d postgres) forUpdate() string { return " for update" }

func (d postgres) loose() string { return "audit_other" }

// lockWithin bounds how long a partition waits for those who read it: those who come after wait behind
// it. If it is not enough, the next round tries again.
const lockWithin = "2s"

func (d postgres) dropMonths(ctx context.Context, db *sql.DB, before int64) (n int64, err error) {
	rows, err := db.QueryContext(ctx, "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'audit'::regclass order by 1")
	if err != nil {
		return 0, err
	}
	var months []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		month, err := time.Parse("audit_2006_01", name)
		if err == nil && month.AddDate(0, 1, 0).UnixMilli() <= before {
			months = append(months, name)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, name := range months {
		dropped, err := d.dropMonth(ctx, db, name)
		if err != nil {
			return n, err
		}
		n += dropped
	}
	return n, nil
}

func (d postgres) dropMonth(ctx context.Context, db *sql.DB, name string) (n int64, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()                                 // nothing, once it is committed
	err = tx.QueryRowContext(ctx, "select count(*) from "+name).Scan(&n) // before the lock
	if err != nil {
		return 0, err
	}
	if _, err = tx.ExecContext(ctx, "set local lock_timeout = '"+lockWithin+"'"); err != nil {
		return 0, err
	}
	if _, err = tx.ExecContext(ctx, "drop table if exists "+name); err != nil {
		return 0, err
	}
	return n, tx.Commit()
}

func (d postgres) refused(err error) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	// Classes of SQLSTATE (PostgreSQL, appendix A): data exception, integrity constraint violation,
	// program limit exceeded.
	switch e.Code[:2] {
	case "22", "23", "54":
		return true
	}
	return false
}

// damaged leaves a damaged PostgreSQL to the people who run it.
func (d postgres) damaged(error) bool { return false }

func (d postgres) setAside(time.Time) (string, error) { return "", errors.ErrUnsupported }
