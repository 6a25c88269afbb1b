package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
)

// Device is a device of the registry, which has every device that was ever seen.
type Device struct {
	ID, Name, Description    string
	Tags                     []string
	Building, Room           string
	Floor                    int
	Model, Firmware, Gateway string
	FirstSeen, SeenAt        int64 // ms; SeenAt is right to a day
	DescribedAt              int64 // ms, of Name, Description and Tags
	DescribedBy              string
	RemovedAt                int64 // ms, 0: it is there
	RemovedBy                string
	Place                    string // as operators wrote it
	ExpectedIntervalS        int64
}

// Print is a hash of what the portal sees of a device (FNV-1a). It changes with SeenAt once a day.
func (d *Device) Print() int64 {
	h := fnvOffset
	for _, s := range [...]string{d.Name, d.Description, d.Building, d.Room, d.Model, d.Firmware, d.Gateway, d.DescribedBy} {
		h = fnv(h, s)
	}
	for _, tag := range d.Tags {
		h = fnv(h, tag)
	}
	for _, n := range [...]int64{int64(d.Floor), d.DescribedAt, d.SeenAt / dayMS, int64(len(d.Tags))} {
		h = (h ^ uint64(n)) * fnvPrime
	}
	return int64(h)
}

// The constants of FNV-1a with 64 bits (Fowler, Noll and Vo). The hash is in the database: it stays as it is.
const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

// fnv adds a text and its end to a hash.
func fnv(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return (h ^ 0xff) * fnvPrime // no byte of UTF-8
}

// seenColumns are those of what the portal sees of a device, deviceColumns all that a row is made of.
var (
	seenColumns = []string{
		"name", "description", "tags", "building", "floor", "room", "model", "firmware", "gateway", "described_at", "described_by", "words", "print",
	}
	deviceColumns = append(append([]string{"id", "first_seen", "seen_at", "removed_by"}, seenColumns...), "place", "expected_interval_s")
)

// row returns the values of deviceColumns but those of operators' facts.
func (d *Device) row(hash int64) []any {
	tags, err := json.Marshal(d.Tags)
	if err != nil || d.Tags == nil {
		tags = []byte("[]")
	}
	words := strings.ToLower(strings.Join(append([]string{d.ID, d.Name, d.Description, d.Building, d.Room, d.Model, d.Gateway}, d.Tags...), "\n"))
	return []any{
		clean(d.ID), d.FirstSeen, d.SeenAt, "", clean(d.Name), clean(d.Description), clean(string(tags)), text(d.Building), d.Floor, clean(d.Room), clean(d.Model),
		clean(d.Firmware), clean(d.Gateway), d.DescribedAt, clean(d.DescribedBy), clean(words), hash,
	}
}

// Registered reports whether the registry has a device as it is, as far as this portal knows.
func (s *Store) Registered(d *Device) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	hash, known := s.prints[d.ID]
	return known && hash == d.Print()
}

// LoadRegistry reads what the registry has, so that Registered knows. It does nothing if that is known.
func (s *Store) LoadRegistry(ctx context.Context) error {
	db, err := s.use()
	if err != nil {
		return err
	}
	s.mu.RLock()
	known := s.prints != nil
	s.mu.RUnlock()
	if known {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	prints := make(map[string]int64)
	q := question{columns: "id, print", table: "devices", where: where{parts: []string{"removed_at is null"}}, order: "id"}
	err = s.rows(ctx, db, &q, Page{Limit: 1 << 31}, func(scan func(...any) error) error {
		var id string
		var hash int64
		err := scan(&id, &hash)
		prints[id] = hash
		return err
	})
	if err != nil {
		return s.explain(ctx, db, "reading the registry of devices", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == db {
		s.prints = prints
	}
	return nil
}

// Register writes devices as the portal sees them. One that was removed is there again if it was seen
// after that.
func (s *Store) Register(ctx context.Context, devices []Device) error {
	db, err := s.use()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	prints := make(map[string]int64, len(devices))
	var rows []any
	for i := range devices {
		d := &devices[i]
		if _, twice := prints[d.ID]; twice {
			continue
		}
		prints[d.ID] = d.Print()
		rows = append(append(rows, d.row(prints[d.ID])...), "", 0)
	}
	err = s.inTransaction(ctx, db, func(tx *sql.Tx) error {
		return s.insert(ctx, tx, "devices", deviceColumns, rows, "(id) do update set "+updates(seenColumns)+
			", first_seen = case when excluded.first_seen < devices.first_seen then excluded.first_seen else devices.first_seen end"+
			", seen_at = case when excluded.seen_at > devices.seen_at then excluded.seen_at else devices.seen_at end"+
			", removed_by = case when excluded.seen_at > devices.removed_at then '' else devices.removed_by end"+
			", removed_at = case when excluded.seen_at > devices.removed_at then null else devices.removed_at end")
	})
	if err != nil {
		return s.explain(ctx, db, fmt.Sprintf("registering %d devices", len(devices)), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != db || s.prints == nil {
		return nil // it is read again
	}
	maps.Copy(s.prints, prints)
	s.metrics.written.WithLabelValues("device").Add(float64(len(prints)))
	return nil
}

// inTransaction runs f in a transaction.
func (s *Store) inTransaction(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// removes reports whether an entry of the audit trail says that its device was removed.
func removes(e *audit.Entry) bool {
	return e.Outcome == telemetry.OutcomeForgotten ||
		e.Action == telemetry.ActionRemove && (e.Outcome == telemetry.OutcomeApplied || e.Outcome == telemetry.OutcomeNothing)
}

// recordLives writes into the registry what the audit trail says of devices: who named them, and when
// they were removed. The trail is kept for ever, so a new database knows of devices that are long gone.
func (s *Store) recordLives(ctx context.Context, tx *sql.Tx, records []Record) error {
	for i := range records {
		e := records[i].Entry
		if e == nil || e.DeviceID == "" {
			continue
		}
		d := Device{ID: e.DeviceID, Building: e.Building, FirstSeen: e.RecordedAt}
		row := func() []any { return append(d.row(0), "", 0) }
		switch {
		case removes(e):
			if err := s.insert(ctx, tx, "devices", deviceColumns, row(), "do nothing"); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, s.dialect.bind("update devices set removed_at = ?, removed_by = ? where id = ? and seen_at <= ? and (removed_at is null or removed_at < ?)"),
				e.RecordedAt, clean(e.By), clean(e.DeviceID), e.RecordedAt, e.RecordedAt)
			if err != nil {
				return err
			}
		case e.Action == telemetry.ActionDescribe && e.Outcome == telemetry.OutcomeApplied && e.Meta != nil:
			m := e.Meta
			d.Name, d.Description, d.Tags, d.DescribedAt, d.DescribedBy = m.Name, m.Description, m.Tags, m.At, m.By
			err := s.insert(ctx, tx, "devices", deviceColumns, row(), "(id) do update set "+
				updates([]string{"name", "description", "tags", "described_at", "described_by"})+" where excluded.described_at > devices.described_at")
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetPrints makes Registered false for devices whose rows others wrote.
func (s *Store) forgetPrints(records []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		if e := records[i].Entry; e != nil && (removes(e) || e.Action == telemetry.ActionDescribe) {
			delete(s.prints, e.DeviceID)
		}
	}
}

// RegistryQuery selects devices; the zero value selects all.
type RegistryQuery struct {
	Building, Text string // Text: lower case, in one of its texts
	Removed        *bool
	// From and To, in ms, are a range: devices that were there at some time in [From, To). 0: no bound.
	From, To int64
}

func (q *RegistryQuery) where() where {
	var w where
	w.is("building", q.Building)
	if q.Text != "" {
		w.add("(words like ? escape '!' or lower(place) like ? escape '!')", contains(q.Text), contains(q.Text))
	}
	if q.Removed != nil {
		w.add(map[bool]string{true: "removed_at is not null", false: "removed_at is null"}[*q.Removed])
	}
	if q.To != 0 {
		w.add("first_seen < ?", q.To)
	}
	if q.From != 0 {
		w.add("(removed_at is null or removed_at >= ?)", q.From)
	}
	return w
}

const deviceValues = "id, name, description, tags, coalesce(building, ''), floor, room, model, firmware, gateway, first_seen, seen_at, described_at, described_by, " +
	"coalesce(removed_at, 0), removed_by, place, expected_interval_s"

func readDevice(scan func(...any) error) (*Device, string, error) {
	var d Device
	var tags []byte
	err := scan(&d.ID, &d.Name, &d.Description, &tags, &d.Building, &d.Floor, &d.Room, &d.Model, &d.Firmware, &d.Gateway, &d.FirstSeen, &d.SeenAt, &d.DescribedAt,
		&d.DescribedBy, &d.RemovedAt, &d.RemovedBy, &d.Place, &d.ExpectedIntervalS)
	if err == nil {
		err = json.Unmarshal(tags, &d.Tags)
	}
	return &d, d.ID, err
}

func (q *RegistryQuery) question() question {
	return question{columns: deviceValues, table: "devices", where: q.where(), order: "id"}
}

// Devices returns a part of the registry, by id.
func (s *Store) Devices(ctx context.Context, q *RegistryQuery, p Page) (List[*Device], error) {
	return list(ctx, s, "reading the registry of devices", p, []question{q.question()}, readDevice)
}

// EachDevice calls f with every device that q selects, by id, until f fails.
func (s *Store) EachDevice(ctx context.Context, q *RegistryQuery, f func(*Device) error) error {
	all := q.question()
	return each(ctx, s, "reading the registry of devices", all, func(last string) where { return all.where.and("id > ?", last) }, readDevice, f)
}

// Device returns a device of the registry. It fails with ErrNoDocument.
func (s *Store) Device(ctx context.Context, id string) (*Device, error) {
	return one(ctx, s, "reading a device of the registry", readDevice, ErrNoDocument, "select "+deviceValues+" from devices where id = ?", clean(id))
}
