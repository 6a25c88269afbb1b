// Package store is the portal's database: the audit trail, the security audit and every alarm, as far back as Kafka had
// them when the store was made, and longer; what operators keep; and every device that was ever seen. It
// is a SQLite file of one portal, or a PostgreSQL that several share. The package feed writes into it what
// it reads from Kafka, and the position in Kafka in the same transaction, so each record is in it once.
//
// A Store is safe for concurrent use. Without a database it returns ErrUnavailable, and Run
// connects again. All methods but Up block on the database.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/lifecycle"
)

const (
	// connectEvery is the pause between attempts to open the database.
	connectEvery = 2 * time.Second
	// checkEvery is how often an open database is asked whether it is still there.
	checkEvery = 5 * time.Second
	// closePause is the time between two looks whether all connections are closed.
	closePause = 10 * time.Millisecond
	// checkWithin is how long it may take to answer that.
	checkWithin = 3 * time.Second
	// connectWithin bounds an attempt to open it, migrations included.
	connectWithin = 10 * time.Minute
)

var (
	// ErrUnavailable is wrapped by errors of a database that is away, broken or not opened yet.
	ErrUnavailable = errors.New("the portal's database gives no answer")
	// ErrRefused is wrapped by errors of a database that does not take a record for what is in it.
	ErrRefused = errors.New("the database refuses the record")
	// ErrSlow is wrapped by errors of a question that took too long.
	ErrSlow = errors.New("the database took too long")
)

// Options of a Store. One of Path and URL is set; the others are required.
type Options struct {
	Path     string // of a SQLite file, made if it is missing
	URL      string // of a PostgreSQL database: postgres://user:password@host:5432/name
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Retention is how long entries of the audit trail, records of the security audit and alarms that are over are kept; 0: for ever.
	// What operators keep and the registry of devices are never deleted.
	Retention time.Duration
}

// Store is the database.
type Store struct {
	dialect   dialect
	log       *slog.Logger
	metrics   *metrics
	retention time.Duration

	mu      sync.RWMutex
	db      *sql.DB // nil until it was opened
	down    error   // why it gives no answer, nil: it does
	damaged bool    // what is in it is not what was written
	months  map[int64]bool
	prints  map[string]int64 // of the registry's devices, see Registered; nil: not read yet
}

var errOptions = errors.New("store: one of Path and URL, Log and Registry are required")

// New returns a store; Run opens the database. The error names what is wrong with o.URL.
func New(o Options) (*Store, error) {
	if (o.Path == "") == (o.URL == "") || o.Log == nil || o.Registry == nil {
		return nil, errOptions
	}
	s := &Store{log: o.Log.With("component", "store"), retention: o.Retention, down: errNotYet, months: make(map[int64]bool)}
	if o.Path != "" {
		s.dialect = sqlite{path: o.Path}
	} else {
		d, err := newPostgres(o.URL)
		if err != nil {
			return nil, err
		}
		s.dialect = d
	}
	var err error
	s.metrics, err = newMetrics(o.Registry, s)
	return s, err
}

var errNotYet = errors.New("it is not open yet")

// Where names the database, without a password.
func (s *Store) Where() string { return s.dialect.where() }

// Run opens the database, brings its tables to this version and watches it until ctx ends. It keeps
// trying while the database is away.
func (s *Store) Run(ctx context.Context) error {
	var trimming sync.WaitGroup
	defer s.close()
	defer trimming.Wait()
	trimming.Go(func() { s.trimEver(ctx) })
	for ctx.Err() == nil {
		s.replaceDamaged(ctx)
		look := s.check
		if s.opened() == nil {
			look = s.open
		}
		if err := look(ctx); ctx.Err() == nil {
			s.note(err)
		}
		wait := checkEvery
		if s.Up() != nil {
			wait = connectEvery
		}
		lifecycle.Pause(ctx, wait)
	}
	return nil
}

// Up returns nil while the database answers, else why it does not, wrapping ErrUnavailable.
func (s *Store) Up() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.down == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, s.down)
}

func (s *Store) opened() *sql.DB {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.db
}

func (s *Store) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	db, err := s.dialect.open(ctx)
	if err != nil {
		s.suspect(nil, err)
		return err
	}
	s.mu.Lock()
	s.db = db
	s.mu.Unlock()
	return nil
}

// suspect notes that an error of the database says that it is damaged.
func (s *Store) suspect(db *sql.DB, err error) {
	if !s.dialect.damaged(err) {
		return
	}
	s.mu.Lock()
	s.damaged = s.damaged || s.db == db // not one that was replaced meanwhile
	s.mu.Unlock()
}

// replaceDamaged sets a damaged database aside. An empty one takes its place, and gets what Kafka
// still has.
func (s *Store) replaceDamaged(ctx context.Context) {
	s.mu.Lock()
	db, damaged := s.db, s.damaged
	if damaged {
		s.db, s.down, s.damaged, s.prints = nil, errDamaged, false, nil
	}
	s.mu.Unlock()
	if !damaged {
		return
	}
	if db != nil {
		_ = db.Close() // it is damaged
		// A connection that is closed later would delete the journal of the new database, which has the same name.
		for db.Stats().OpenConnections > 0 {
			if !lifecycle.Pause(ctx, closePause) {
				return
			}
		}
	}
	aside, err := s.dialect.setAside(time.Now())
	if err != nil {
		s.log.Error("the database is damaged and could not be set aside", "database", s.Where(), "err", err)
		return
	}
	s.metrics.damaged.Inc()
	s.log.Error("the database is damaged: it was set aside, and a new one is filled with what Kafka still has", "database", s.Where(), "aside", aside)
}

var errDamaged = errors.New("it is damaged")

func (s *Store) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	var one int
	db := s.opened()
	err := db.QueryRowContext(ctx, "select 1 from topics limit 1").Scan(&one)
	s.suspect(db, err)
	return err
}

// note records whether the database answers. It logs changes only.
func (s *Store) note(err error) {
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	s.mu.Lock()
	before := s.down
	s.down = err
	if before != nil {
		s.prints = nil // it may be restored from a backup
	}
	s.mu.Unlock()
	switch {
	case err != nil && (before == nil || errors.Is(before, errNotYet)):
		s.log.Error("the database gives no answer, retrying; live values do not need it", "database", s.Where(), "err", err)
	case err == nil && before != nil:
		s.log.Info("the database answers", "database", s.Where())
	}
}

func (s *Store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return
	}
	if err := s.db.Close(); err != nil {
		s.log.Warn("closing the database failed", "err", err)
	}
	s.db, s.down = nil, errEnded
}

var errEnded = errors.New("the portal is stopping")

// use returns the database for one call.
func (s *Store) use() (*sql.DB, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, s.down)
	}
	return s.db, nil
}

// explain wraps an error of the database by what it means.
func (s *Store) explain(ctx context.Context, db *sql.DB, what string, err error) error {
	s.suspect(db, err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrStartOver):
		return fmt.Errorf("%s: %w", what, err)
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: %w", what, ErrSlow, err)
	case s.dialect.refused(err):
		return fmt.Errorf("%s: %w: %w", what, ErrRefused, err)
	default:
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	}
}
