package archive

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// entriesSchema is the part of the catalogue about sensors. A row of sensors has some of a device, which are
// those of its layout, and the days of their oldest and newest values; a device whose sensors came together
// has one row. A day is listed when the sensors in its file are there.
const entriesSchema = `
create table if not exists layouts (id integer primary key, fields text not null unique) strict;
create table if not exists sensors (device text not null, layout integer not null, first integer not null, last integer not null, primary key (device, layout)) without rowid, strict;
create index if not exists sensors_by_layout on sensors (layout);
create table if not exists listed (day integer primary key) strict;
`

// Entry is a sensor of a device in one unit, a number or a switch, that has values in the archive. Its
// place and model are those of the device's newest reading.
type Entry struct {
	Device, Building string
	Floor            int
	Room, Model      string
	Sensor, Unit     string
	From, To         int64 // ms; its values are in this range, which is one of whole days
}

// field is what the catalogue has of an entry.
type field struct {
	name, unit string
	span
	changed bool // since the catalogue was written
}

// span is a range of days.
type span struct{ first, last int64 }

// join makes s reach as far as other.
func (s *span) join(other span) { s.first, s.last = min(s.first, other.first), max(s.last, other.last) }

// fields are those of one device. They are for the goroutine of its partition.
type fields struct{ list []field }

// see notes that a reading of a day has sensors. It keeps no string of them.
func (f *fields) see(day int64, sensors telemetry.Sensors) {
	for i := range sensors {
		s := &sensors[i]
		if s.Kind == telemetry.Text {
			continue
		}
		k := f.find(s.Name, s.Unit, i)
		if k < 0 {
			f.list = append(f.list, field{name: strings.Clone(s.Name), unit: strings.Clone(s.Unit), span: span{day, day}, changed: true})
			continue
		}
		if x := &f.list[k]; day < x.first || day > x.last {
			x.join(span{day, day})
			x.changed = true
		}
	}
}

// find returns the index of a field, which is probably hint, -1 without one.
func (f *fields) find(name, unit string, hint int) int {
	is := func(x *field) bool { return x.name == name && x.unit == unit }
	if hint < len(f.list) && is(&f.list[hint]) {
		return hint
	}
	for i := range f.list {
		if is(&f.list[i]) {
			return i
		}
	}
	return -1
}

func (f *fields) changed() (out []field) {
	for _, x := range f.list {
		if x.changed {
			out = append(out, x)
		}
	}
	return out
}

// written notes that the catalogue has what changed.
func (f *fields) written() {
	for i := range f.list {
		f.list[i].changed = false
	}
}

// loadFields adds their fields to the devices of a partition.
func (c *catalogue) loadFields(ctx context.Context, partition int32, devices []device) error {
	layouts, err := layoutsOf(ctx, c.db)
	if err != nil {
		return err
	}
	at := make(map[string]*device, len(devices))
	for i := range devices {
		at[devices[i].id] = &devices[i]
	}
	return each(ctx, c.db, func(scan func(...any) error) error {
		var id string
		var layout int64
		var days span
		if err := scan(&id, &layout, &days.first, &days.last); err != nil {
			return err
		}
		d := at[id]
		if d == nil {
			return nil
		}
		f := fields{d.fields}
		for i, l := range layouts[layout] {
			if k := f.find(l.Name, l.Unit, i); k >= 0 {
				f.list[k].join(days)
			} else {
				f.list = append(f.list, field{name: l.Name, unit: l.Unit, span: days})
			}
		}
		d.fields = f.list
		return nil
	}, `select s.device, s.layout, s.first, s.last from sensors s join devices d on d.name = s.device where d.partition = ?`, partition)
}

func intern(same map[string]string, text string) string {
	if s, ok := same[text]; ok {
		return s
	}
	same[text] = text
	return text
}

const putSensors = `insert into sensors (device, layout, first, last) values (?, ?, ?, ?)
	on conflict do update set first = min(first, excluded.first), last = max(last, excluded.last)`

// putFields writes the fields of devices.
func putFields(ctx context.Context, tx *sql.Tx, devices []device) error {
	put, err := tx.PrepareContext(ctx, putSensors)
	if err != nil {
		return err
	}
	defer func() { _ = put.Close() }() // nothing to flush
	ids := newLayoutIDs(ctx, tx)
	for i := range devices {
		for days, layout := range byDays(devices[i].fields) {
			id, err := ids.of(layout)
			if err != nil {
				return err
			}
			if _, err := put.ExecContext(ctx, devices[i].id, id, days.first, days.last); err != nil {
				return err
			}
		}
	}
	return nil
}

// byDays returns the layout of the fields with the same days, in an order that does not depend on which
// came first.
func byDays(list []field) map[span][]samples.Field {
	out := make(map[span][]samples.Field, 1)
	for i := range list {
		f := &list[i]
		out[f.span] = append(out[f.span], samples.Field{Name: f.name, Unit: f.unit})
	}
	for _, layout := range out {
		slices.SortFunc(layout, func(x, y samples.Field) int {
			return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Unit, y.Unit))
		})
	}
	return out
}

// Entries returns the entries of a sensor, of a device, or of both, "" standing for all, ordered by device,
// sensor and unit. No file of a day is opened, but one whose sensors the catalogue does not have yet.
func (a *Archive) Entries(ctx context.Context, sensor, device string) ([]Entry, error) {
	if err := a.listDays(ctx); err != nil {
		return nil, err
	}
	all := make(map[entryID]Entry)
	for _, h := range a.allHeads() { // memory first: what a flush moves in between is then seen twice
		h.entries(sensor, device, all)
	}
	if err := a.catalogue.entries(ctx, sensor, device, all); err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	oldest := int64(0)
	if days := a.all(); len(days) > 0 {
		oldest = days[0].start()
	}
	out := make([]Entry, 0, len(all))
	for _, e := range all {
		if e.To >= oldest {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(x, y Entry) int {
		return cmp.Or(strings.Compare(x.Device, y.Device), strings.Compare(x.Sensor, y.Sensor), strings.Compare(x.Unit, y.Unit))
	})
	return out, nil
}

// entryID names an entry.
type entryID struct{ device, sensor, unit string }

// entry returns a field of a device as an entry.
func (k *known) entry(f *field) Entry {
	return Entry{
		Device: k.id, Building: k.building, Floor: k.floor, Room: k.room, Model: k.model, Sensor: f.name, Unit: f.unit,
		From: f.from(), To: f.to(),
	}
}

// from and to are a span in ms.
func (s span) from() int64 { return s.first * dayMS }
func (s span) to() int64   { return (s.last+1)*dayMS - 1 }

// entries adds what changed since the catalogue was written: fields, and places of devices.
func (h *Head) entries(sensor, device string, into map[entryID]Entry) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, d := range h.devices {
		if device != "" && d.id != device || !d.chains.moved {
			continue
		}
		for i := range d.fields.list {
			if f := &d.fields.list[i]; sensor == "" || f.name == sensor {
				into[entryID{d.id, f.name, f.unit}] = d.entry(f)
			}
		}
	}
}

func (c *catalogue) entries(ctx context.Context, sensor, device string, into map[entryID]Entry) error {
	layouts, err := layoutsOf(ctx, c.db)
	if err != nil {
		return err
	}
	var wanted []int64
	for id, layout := range layouts {
		if slices.ContainsFunc(layout, func(f samples.Field) bool { return sensor == "" || f.Name == sensor }) {
			wanted = append(wanted, id)
		}
	}
	list, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	same := make(map[string]string)
	return each(ctx, c.db, func(scan func(...any) error) error {
		var d known
		var layout int64
		var days span
		if err := scan(&d.id, &layout, &days.first, &days.last, &d.building, &d.floor, &d.room, &d.model); err != nil {
			return err
		}
		for _, s := range []*string{&d.id, &d.building, &d.room, &d.model} {
			*s = intern(same, *s)
		}
		for _, l := range layouts[layout] {
			if sensor != "" && l.Name != sensor {
				continue
			}
			f := field{name: l.Name, unit: l.Unit, span: days}
			id := entryID{d.id, f.name, f.unit}
			e, there := into[id] // from memory, whose place is newer, or from another row
			if !there {
				e = d.entry(&f)
			}
			e.From, e.To = min(e.From, f.from()), max(e.To, f.to())
			into[id] = e
		}
		return nil
	}, `select s.device, s.layout, s.first, s.last, coalesce(d.building, ''), coalesce(d.floor, 0), coalesce(d.room, ''), coalesce(d.model, '')
		from sensors s left join devices d on d.name = s.device where s.layout in (select value from json_each(?)) and (? = '' or s.device = ?)`, string(list), device, device)
}

// listDays brings the fields of every day into the catalogue that lacks them: those of a version that kept
// no fields, and of a time whose catalogue was damaged. Flushes keep those of a listed day.
func (a *Archive) listDays(ctx context.Context) error {
	a.listing.Lock()
	defer a.listing.Unlock()
	listed, err := a.catalogue.listed(ctx)
	if err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	for _, d := range a.all() {
		if listed[d.number] {
			continue
		}
		found, err := a.fieldsOf(ctx, d)
		if err == nil {
			err = a.catalogue.list(ctx, d.number, found)
		}
		if err != nil {
			return fmt.Errorf("listing the sensors of %s: %w", d.path, err)
		}
	}
	return nil
}

// fieldsOf returns the fields in a day's file by device.
func (a *Archive) fieldsOf(ctx context.Context, d *day) (out []device, err error) {
	err = a.use(ctx, d, func() error {
		return each(ctx, d.db, func(scan func(...any) error) error {
			var id string
			var text []byte
			if err := scan(&id, &text); err != nil {
				return err
			}
			var columns []samples.Field
			if err := json.Unmarshal(text, &columns); err != nil {
				return fmt.Errorf("%w: a layout of device %s: %w", samples.ErrDamaged, id, err)
			}
			x := device{known: known{id: id}}
			for _, c := range columns {
				if numeric(c) {
					x.fields = append(x.fields, field{name: c.Name, unit: c.Unit, span: span{d.number, d.number}})
				}
			}
			out = append(out, x)
			return nil
		}, `select d.name, l.fields from (select distinct device, layout from chunks) c join devices d on d.id = c.device join layouts l on l.id = c.layout`)
	})
	return out, err
}

func (c *catalogue) listed(ctx context.Context) (map[int64]bool, error) {
	out := make(map[int64]bool)
	err := each(ctx, c.db, func(scan func(...any) error) error {
		var number int64
		err := scan(&number)
		out[number] = true
		return err
	}, `select day from listed`)
	return out, err
}

// list writes the fields of a day.
func (c *catalogue) list(ctx context.Context, number int64, devices []device) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		if err := putFields(ctx, tx, devices); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `insert into listed (day) values (?) on conflict do nothing`, number)
		return err
	})
}

// replaceFields drops the table of an older version, with a row for each sensor of a device. All days are
// then listed again.
func replaceFields(ctx context.Context, db *sql.DB) error {
	var there bool
	err := db.QueryRowContext(ctx, `select exists (select 1 from sqlite_schema where name = 'fields')`).Scan(&there)
	if err != nil || !there {
		return err
	}
	return inTx(ctx, db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `drop table fields; delete from listed`)
		return err
	})
}

// addColumn adds a column to a table of an older version, which lacks it.
func addColumn(ctx context.Context, db *sql.DB, table, column string) error {
	name, _, _ := strings.Cut(column, " ")
	var there bool
	err := db.QueryRowContext(ctx, `select exists (select 1 from pragma_table_info(?) where name = ?)`, table, name).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = db.ExecContext(ctx, `alter table `+table+` add column `+column)
	return err
}
