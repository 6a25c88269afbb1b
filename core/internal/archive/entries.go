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

// entriesSchema is the part of the catalogue about sensors. A field is a sensor of a device in one unit,
// with the days of its oldest and its newest value. A day is listed when all fields in its file are there.
const entriesSchema = `
create table if not exists fields (device text not null, name text not null, unit text not null, first integer not null, last integer not null, primary key (device, name, unit)) without rowid, strict;
create index if not exists fields_by_name on fields (name);
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
	name, unit  string
	first, last int64 // days
	changed     bool  // since the catalogue was written
}

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
			f.list = append(f.list, field{name: strings.Clone(s.Name), unit: strings.Clone(s.Unit), first: day, last: day, changed: true})
			continue
		}
		if x := &f.list[k]; day < x.first || day > x.last {
			x.first, x.last, x.changed = min(x.first, day), max(x.last, day), true
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
	at := make(map[string]*device, len(devices))
	for i := range devices {
		at[devices[i].id] = &devices[i]
	}
	same := make(map[string]string) // names and units are few
	return each(ctx, c.db, func(scan func(...any) error) error {
		var id string
		var f field
		if err := scan(&id, &f.name, &f.unit, &f.first, &f.last); err != nil {
			return err
		}
		f.name, f.unit = intern(same, f.name), intern(same, f.unit)
		if d := at[id]; d != nil {
			d.fields = append(d.fields, f)
		}
		return nil
	}, `select f.device, f.name, f.unit, f.first, f.last from fields f join devices d on d.name = f.device where d.partition = ?`, partition)
}

func intern(same map[string]string, text string) string {
	if s, ok := same[text]; ok {
		return s
	}
	same[text] = text
	return text
}

const putField = `insert into fields (device, name, unit, first, last) values (?, ?, ?, ?, ?)
	on conflict do update set first = min(first, excluded.first), last = max(last, excluded.last)`

// putFields writes the fields of devices.
func putFields(ctx context.Context, tx *sql.Tx, devices []device) error {
	put, err := tx.PrepareContext(ctx, putField)
	if err != nil {
		return err
	}
	defer func() { _ = put.Close() }() // nothing to flush
	for i := range devices {
		for _, f := range devices[i].fields {
			if _, err := put.ExecContext(ctx, devices[i].id, f.name, f.unit, f.first, f.last); err != nil {
				return err
			}
		}
	}
	return nil
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
		From: f.first * dayMS, To: (f.last+1)*dayMS - 1,
	}
}

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
	same := make(map[string]string)
	return each(ctx, c.db, func(scan func(...any) error) error {
		var d known
		var f field
		if err := scan(&d.id, &f.name, &f.unit, &f.first, &f.last, &d.building, &d.floor, &d.room, &d.model); err != nil {
			return err
		}
		for _, s := range []*string{&d.id, &d.building, &d.room, &d.model, &f.name, &f.unit} {
			*s = intern(same, *s)
		}
		id := entryID{d.id, f.name, f.unit}
		e, newer := into[id]
		if !newer {
			into[id] = d.entry(&f)
			return nil
		}
		e.From, e.To = min(e.From, f.first*dayMS), max(e.To, (f.last+1)*dayMS-1)
		into[id] = e
		return nil
	}, `select f.device, f.name, f.unit, f.first, f.last, coalesce(d.building, ''), coalesce(d.floor, 0), coalesce(d.room, ''), coalesce(d.model, '')
		from fields f left join devices d on d.name = f.device where (? = '' or f.name = ?) and (? = '' or f.device = ?)`, sensor, sensor, device, device)
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
					x.fields = append(x.fields, field{name: c.Name, unit: c.Unit, first: d.number, last: d.number})
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
