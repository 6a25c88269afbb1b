package archive

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// entries returns what Entries must say of a log: readings that are kept, whatever became of them.
func (l log) entries() map[entryID]Entry {
	out := make(map[entryID]Entry)
	for i := range l {
		r := &l[i]
		for _, s := range r.Sensors {
			if s.Kind == telemetry.Text {
				continue
			}
			id := entryID{r.Device, s.Name, s.Unit}
			day := r.At / dayMS * dayMS
			e, known := out[id]
			if !known {
				e = Entry{Device: r.Device, Building: r.Building, Sensor: s.Name, Unit: s.Unit, From: day, To: day + dayMS - 1}
			}
			e.From, e.To = min(e.From, day), max(e.To, day+dayMS-1)
			out[id] = e
		}
	}
	return out
}

// listed returns all entries, and checks that each has the values of a log's model.
func listed(tb testing.TB, a *Archive, model map[value]telemetry.Sensor) map[entryID]Entry {
	tb.Helper()
	list, err := a.Entries(tb.Context(), "", "")
	require.NoError(tb, err)
	out, n := make(map[entryID]Entry), 0
	for i := range list {
		e := &list[i]
		out[entryID{e.Device, e.Sensor, e.Unit}] = *e
		last := int64(-1)
		for from := int64(0); from < telemetry.MaxTimestamp; {
			times, values, next, err := a.Values(tb.Context(), e, from, telemetry.MaxTimestamp-1)
			require.NoError(tb, err)
			require.Greater(tb, next, from)
			for k, at := range times {
				require.Greater(tb, at, last, "in the order of time")
				last = at
				require.InDelta(tb, model[value{e.Device, at, e.Sensor}].Number, values[k], 0)
				n++
			}
			if from = next; len(times) == 0 {
				break
			}
		}
	}
	require.Len(tb, list, len(out))
	want := 0
	for _, s := range model {
		if s.Kind != telemetry.Text {
			want++
		}
	}
	require.Equal(tb, want, n, "every value once")
	return out
}

// TestEntriesAreThoseOfTheReadings: whatever a process that ends at any time, repeats, flushes and
// compacts, the catalogue has the sensors of the log, and each sensor its values.
func TestEntriesAreThoseOfTheReadings(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 2))
		c := &clock{day0 + 3*dayMS}
		o := options(t.TempDir(), c)
		l := makeLog(r, 300+r.IntN(300))
		for done := 0; done < len(l); {
			a := open(t, o)
			h := head(t, a, 3)
			for range 1 + r.IntN(5) {
				done = min(len(l), max(done, int(h.Next()))+r.IntN(100))
				l.read(t, h, done)
				switch r.IntN(5) {
				case 0, 1:
					require.NoError(t, h.Flush(t.Context()))
				case 2: // as in a crash: days are written, the catalogue is not
					for number, ids := range h.byDay() {
						_, err := h.flushDay(t.Context(), number, ids)
						require.NoError(t, err)
					}
				case 3:
					a.Tidy(t.Context())
				}
				if r.IntN(3) == 0 {
					require.Equal(t, l[:done].entries(), listed(t, a, l[:done].model()), "seed %d, %d records", seed, done)
				}
			}
			require.NoError(t, a.Close())
		}
		a := open(t, o)
		h := head(t, a, 3)
		l.read(t, h, len(l))
		require.NoError(t, h.Flush(t.Context()))
		c.ms += 3 * dayMS
		a.Tidy(t.Context())
		require.Equal(t, l.entries(), listed(t, a, l.model()), "seed %d", seed)
		require.NoError(t, a.Close())
	}
}

// TestValuesOfAWindow: both of its ends count, wherever chunks end.
func TestValuesOfAWindow(t *testing.T) {
	c := &clock{noon}
	a := open(t, options(t.TempDir(), c))
	h := head(t, a, 0)
	const n = 21
	for i := range int64(n) {
		put(t, h, "d1", noon+i*1000, number("temperature", float64(i)))
		if i%7 == 6 {
			require.NoError(t, h.Flush(t.Context()))
		}
	}
	for range 2 {
		list, err := a.Entries(t.Context(), "temperature", "d1")
		require.NoError(t, err)
		require.Len(t, list, 1)
		for from := range int64(n) {
			for to := from; to < n; to++ {
				times, values, _, err := a.Values(t.Context(), &list[0], noon+from*1000, noon+to*1000)
				require.NoError(t, err)
				require.Len(t, times, int(to-from+1))
				require.InDelta(t, from, values[0], 0)
				require.InDelta(t, to, values[to-from], 0)
			}
		}
		require.NoError(t, h.Flush(t.Context()))
		c.ms += 2 * dayMS
		a.Tidy(t.Context())
	}
}

// TestEntriesWhileReadingsCome: an answer has every reading that was there when it was asked for, whatever is
// written meanwhile.
func TestEntriesWhileReadingsCome(t *testing.T) {
	a := open(t, options(t.TempDir(), &clock{noon}))
	h := head(t, a, 0)
	const devices, rounds = 20, 50
	var there atomic.Int64 // readings of each device
	done := make(chan error, 1)
	go func() {
		for i := range int64(rounds) {
			for d := range devices {
				r := Reading{Device: fmt.Sprintf("d%d", d), Building: "A", At: noon + i*1000, Sensors: telemetry.Sensors{number("temperature", float64(i))}}
				if err := h.Append(h.Next(), &r); err != nil {
					done <- err
					return
				}
			}
			there.Store(i + 1)
			if i%3 == 0 {
				if err := h.Flush(t.Context()); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	for n := int64(0); n < rounds; {
		n = there.Load()
		list, err := a.Entries(t.Context(), "temperature", "")
		require.NoError(t, err)
		if n == 0 {
			continue
		}
		require.Len(t, list, devices)
		times, _, _, err := a.Values(t.Context(), &list[n%devices], noon, noon+dayMS/2-1)
		require.NoError(t, err)
		require.GreaterOrEqual(t, int64(len(times)), n)
		for i, at := range times {
			require.Equal(t, noon+int64(i)*1000, at)
		}
	}
	require.NoError(t, <-done)
}

// TestCatalogueOfAnOlderVersion: one with a row for each sensor of a device.
func TestCatalogueOfAnOlderVersion(t *testing.T) {
	o := options(t.TempDir(), &clock{noon})
	a := open(t, o)
	h := head(t, a, 0)
	put(t, h, "d1", noon-dayMS, number("temperature", 1), number("humidity", 1))
	put(t, h, "d1", noon, number("temperature", 1))
	require.NoError(t, h.Flush(t.Context()))
	want, err := a.Entries(t.Context(), "", "")
	require.NoError(t, err)
	_, err = a.catalogue.db.ExecContext(t.Context(), `
		create table fields (device text not null, name text not null, unit text not null, first integer not null, last integer not null, primary key (device, name, unit)) without rowid, strict;
		insert into fields values ('d1', 'temperature', '°C', 1, 2);
		create index fields_by_name on fields (name);
		delete from sensors`)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	a = open(t, o)
	got, err := a.Entries(t.Context(), "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// rowsOfSensors returns how many rows the catalogue needs for the sensors of all devices.
func rowsOfSensors(tb testing.TB, a *Archive) (n int) {
	tb.Helper()
	require.NoError(tb, a.catalogue.db.QueryRowContext(tb.Context(), `select count(*) from sensors`).Scan(&n))
	return n
}

// TestSensorsThatCameTogetherAreOneRow: the first flush of many devices, and the first of a day, write as
// many rows as there are devices.
func TestSensorsThatCameTogetherAreOneRow(t *testing.T) {
	c := &clock{noon}
	o := options(t.TempDir(), c)
	o.Retention = 3 * dayMS * 1_000_000
	a := open(t, o)
	h := head(t, a, 0)
	temperature, humidity, late := number("temperature", 1), number("humidity", 2), number("late", 3)
	for range 3 {
		put(t, h, "d1", c.ms, temperature, humidity)
		put(t, h, "d2", c.ms, humidity, temperature)
		require.NoError(t, h.Flush(t.Context()))
		require.Equal(t, 2, rowsOfSensors(t, a))
		c.ms += dayMS
	}
	put(t, h, "d1", c.ms, temperature, humidity, late)
	require.NoError(t, h.Flush(t.Context()))
	require.Equal(t, 3, rowsOfSensors(t, a), "a sensor that came later has days of its own")

	c.ms += 3 * dayMS
	put(t, h, "d1", c.ms, temperature)
	require.NoError(t, h.Flush(t.Context()))
	require.Equal(t, 4, rowsOfSensors(t, a))
	a.Tidy(t.Context())
	require.Equal(t, 3, rowsOfSensors(t, a), "retention takes the device that has nothing left")
	list, err := a.Entries(t.Context(), "", "")
	require.NoError(t, err)
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Device + " " + e.Sensor
	}
	require.Equal(t, []string{"d1 humidity", "d1 late", "d1 temperature"}, names)
}

func TestPlaceIsThatOfTheNewestReading(t *testing.T) {
	o := options(t.TempDir(), &clock{noon})
	a := open(t, o)
	h := head(t, a, 0)
	add := func(r Reading) {
		r.Device, r.Sensors = "d1", telemetry.Sensors{number("temperature", 1)}
		require.NoError(t, h.Append(h.Next(), &r))
	}
	place := func() string {
		list, err := a.Entries(t.Context(), "temperature", "d1")
		require.NoError(t, err)
		require.Len(t, list, 1)
		return fmt.Sprintf("%s %d %s %s", list[0].Building, list[0].Floor, list[0].Room, list[0].Model)
	}
	add(Reading{At: noon, Building: "A", Floor: 2, Room: "201", Model: "TH-1"})
	require.Equal(t, "A 2 201 TH-1", place())
	require.NoError(t, h.Flush(t.Context()))
	require.Equal(t, "A 2 201 TH-1", place(), "in the catalogue")
	add(Reading{At: noon + 1, Building: "B", Floor: -1, Room: "x", Model: "TH-2"})
	require.Equal(t, "B -1 x TH-2", place(), "in memory")
	require.NoError(t, h.Flush(t.Context()))
	require.NoError(t, a.Close())
	a = open(t, o)
	require.Equal(t, "B -1 x TH-2", place(), "without a head")
}

func TestEntriesAreNarrowed(t *testing.T) {
	a := open(t, options(t.TempDir(), &clock{noon}))
	h := head(t, a, 0)
	put(t, h, "d1", noon, number("temperature", 1), number("humidity", 2))
	put(t, h, "d2", noon, number("temperature", 1), telemetry.Sensor{Name: "temperature", Number: 300, Unit: "K"})
	count := func(sensor, device string) int {
		list, err := a.Entries(t.Context(), sensor, device)
		require.NoError(t, err)
		return len(list)
	}
	for range 2 {
		require.Equal(t, 4, count("", ""))
		require.Equal(t, 3, count("temperature", ""))
		require.Equal(t, 2, count("temperature", "d2"))
		require.Equal(t, 0, count("humidity", "d2"))
		require.Equal(t, 0, count("", "d3"))
		require.NoError(t, h.Flush(t.Context()))
	}
}

// TestEntriesOpenNoDay: a question about sensors does not read the days, and days that are gone take
// their sensors with them.
func TestEntriesOpenNoDay(t *testing.T) {
	c := &clock{noon + dayMS}
	o := options(t.TempDir(), c)
	o.Retention = 3 * dayMS * 1_000_000
	a := open(t, o)
	h := head(t, a, 0)
	put(t, h, "d1", noon, number("temperature", 1))
	put(t, h, "d1", noon+dayMS, number("humidity", 1))
	require.NoError(t, h.Flush(t.Context()))
	_, err := a.Entries(t.Context(), "", "")
	require.NoError(t, err)
	require.NoError(t, a.Close())
	a = open(t, o)
	list, err := a.Entries(t.Context(), "", "")
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, d := range a.all() {
		require.Nil(t, d.db, d.path)
	}
	c.ms = noon + 4*dayMS
	a.Tidy(t.Context())
	list, err = a.Entries(t.Context(), "", "")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "humidity", list[0].Sensor)
}

// TestFilesOfOlderVersions: files without the times at which chunks end, a catalogue without sensors.
func TestFilesOfOlderVersions(t *testing.T) {
	c := &clock{day0 + 3*dayMS}
	o := options(t.TempDir(), c)
	l := makeLog(rand.New(rand.NewPCG(9, 9)), 500)
	a := open(t, o)
	h := head(t, a, 3)
	l.read(t, h, len(l)-100)
	require.NoError(t, h.Flush(t.Context()))
	require.NoError(t, a.Close())
	days, err := filepath.Glob(filepath.Join(o.Dir, "20*.db"))
	require.NoError(t, err)
	require.NotEmpty(t, days)
	old := func(path string, statements ...string) {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		for _, s := range statements {
			_, err := db.ExecContext(t.Context(), s)
			require.NoError(t, err)
		}
		require.NoError(t, db.Close())
	}
	for _, path := range days {
		old(path, "drop index chunks_of_device", "alter table chunks drop column stop", "create index chunks_of_device on chunks (device, start)")
	}
	old(filepath.Join(o.Dir, catalogueName), "drop table sensors", "drop table layouts", "drop table listed", "alter table devices drop column floor",
		"alter table devices drop column room", "alter table devices drop column model")
	for range 2 {
		a = open(t, o)
		h = head(t, a, 3)
		require.Equal(t, l[:h.Next()].entries(), listed(t, a, l[:h.Next()].model()))
		l.read(t, h, len(l))
		require.Equal(t, l.entries(), listed(t, a, l.model()))
		require.NoError(t, h.Flush(t.Context()))
		c.ms += 3 * dayMS
		a.Tidy(t.Context())
		require.Equal(t, l.model(), contents(t, a))
		require.Equal(t, l.entries(), listed(t, a, l.model()))
		require.NoError(t, a.Close())
	}
}
