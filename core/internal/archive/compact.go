package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/durable"
)

const (
	newSuffix = ".new"
	// chunkRows is how many readings a chunk of a compacted file has at most.
	chunkRows = 1440
	// compactBatch is how many devices are written in one transaction of a new file.
	compactBatch = 500
)

// compact rewrites the file of a day that is over: every device's readings in the order of time, each
// once, in few chunks, with roll-ups. Readings that come meanwhile wait only for the last step.
func (a *Archive) compact(ctx context.Context, d *day) error {
	start, before := time.Now(), d.size()
	err := a.use(ctx, d, func() error { return a.rewrite(ctx, d) })
	if err == nil {
		err = a.replace(ctx, d)
	}
	if err != nil {
		_ = os.Remove(d.path + newSuffix)
		return err
	}
	a.metrics.compaction.Observe(time.Since(start).Seconds())
	a.log.Info("a day of the history was compacted", "file", d.path, "bytes_before", before, "bytes", d.size(), "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// fast is for a new file, which is synced before it takes the place of the old one.
const fast = "&_pragma=journal_mode(off)&_pragma=synchronous(off)"

// rewrite writes the new file from the chunks that there are.
func (a *Archive) rewrite(ctx context.Context, d *day) (err error) {
	path := d.path + newSuffix
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	to, err := openDB(path, fast)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := to.ExecContext(ctx, schema+meansSchema); err != nil {
		return err
	}
	layouts, err := layoutsOf(ctx, d.db)
	if err != nil {
		return err
	}
	c := compaction{a: a, from: d.db, layouts: layouts}
	if c.encoder, err = samples.NewEncoder(); err != nil {
		return err
	}
	if err := d.db.QueryRowContext(ctx, `select coalesce(max(id), 0) from chunks`).Scan(&c.last); err != nil {
		return err
	}
	names, err := c.names(ctx)
	if err != nil {
		return err
	}
	for len(names) > 0 {
		n := min(compactBatch, len(names))
		if err := inTx(ctx, to, func(tx *sql.Tx) error { return c.devices(ctx, tx, names[:n]) }); err != nil {
			return err
		}
		names = names[n:]
	}
	return inTx(ctx, to, func(tx *sql.Tx) error {
		w := &writer{ctx: ctx, tx: tx, layouts: newLayoutIDs(ctx, tx)}
		return errors.Join(w.meta(metaCompact, 1), w.meta(metaLoose, 0), w.meta(metaLast, c.last))
	})
}

// metaLast is the id of the newest chunk of the old file that the new one has.
const metaLast = "last"

// compaction writes the devices of one file into another.
type compaction struct {
	a       *Archive
	from    *sql.DB
	last    int64 // id of the newest chunk to write
	layouts map[int64][]samples.Field
	encoder *samples.Encoder
}

func (c *compaction) names(ctx context.Context) (names []string, err error) {
	err = each(ctx, c.from, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	}, `select name from devices order by name`)
	return names, err
}

func (c *compaction) devices(ctx context.Context, tx *sql.Tx, names []string) error {
	w, err := newWriter(ctx, tx, make(map[string]int64))
	if err != nil {
		return err
	}
	defer w.close()
	for _, name := range names {
		if err := c.device(ctx, w, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *compaction) device(ctx context.Context, w *writer, name string) error {
	list, err := chunksOf(ctx, c.from, `select layout, data from chunks where device = (select id from devices where name = ?) and id <= ? order by start`, name, c.last)
	if err != nil || len(list) == 0 {
		return err
	}
	b := new(samples.Block)
	if err := c.a.decodeInto(b, list, c.layouts, nil); err != nil {
		return err
	}
	b.Sort()
	for i := 0; i < b.Len(); i += chunkRows {
		part := b.Slice(i, min(i+chunkRows, b.Len()))
		p := piece{device: name, start: part.Times[0], stop: part.Times[part.Len()-1], rows: part.Len(), fields: part.Fields(), data: c.encoder.Append(nil, &part)}
		if err := w.chunk(&p); err != nil {
			return err
		}
	}
	for _, width := range widths {
		if course := rollUp(b, width); course != nil && len(course.Columns) > 0 {
			if err := w.rollUp(name, width, course, c.encoder); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) rollUp(device string, width int64, course *samples.Block, e *samples.Encoder) error {
	id, layout, err := w.ids(device, course.Fields())
	if err != nil {
		return err
	}
	_, err = w.course.ExecContext(w.ctx, id, width, layout, e.Append(nil, course))
	return err
}

// replace puts the new file in the place of the old one, with what was written meanwhile.
func (a *Archive) replace(ctx context.Context, d *day) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone != nil || d.db == nil {
		return fmt.Errorf("compacting %s: %w", d.path, errGone)
	}
	if err := a.copyRest(ctx, d); err != nil {
		return err
	}
	if err := durable.Sync(d.path + newSuffix); err != nil {
		return err
	}
	if err := d.shut(); err != nil { // moves its journal into it
		return err
	}
	return durable.Rename(d.path+newSuffix, d.path)
}

// copyRest adds the chunks and positions that the old file got since rewrite.
func (a *Archive) copyRest(ctx context.Context, d *day) (err error) {
	to, err := openDB(d.path+newSuffix, fast)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	layouts, err := layoutsOf(ctx, d.db)
	if err != nil {
		return err
	}
	return inTx(ctx, to, func(tx *sql.Tx) error {
		w, err := newWriter(ctx, tx, make(map[string]int64))
		if err != nil {
			return err
		}
		defer w.close()
		for p, next := range d.positions {
			if err := w.position(p, next); err != nil {
				return err
			}
		}
		// What the means got meanwhile is in their rows, so all of them are copied.
		c := compaction{a: a, from: d.db}
		if c.encoder, err = samples.NewEncoder(); err != nil {
			return err
		}
		if err := c.meansOfDay(ctx, w, d.number); err != nil {
			return err
		}
		rest := 0
		err = each(ctx, d.db, func(scan func(...any) error) error {
			var p piece
			var layout int64
			if err := scan(&p.device, &p.start, &p.stop, &p.rows, &layout, &p.data); err != nil {
				return err
			}
			p.fields = layouts[layout]
			rest++
			return w.chunk(&p)
		}, `select d.name, c.start, c.stop, c.rows, c.layout, c.data from chunks c join devices d on d.id = c.device where c.id > ?`, lastOf(ctx, tx))
		if err != nil {
			return err
		}
		return w.outdate(rest)
	})
}

func lastOf(ctx context.Context, tx *sql.Tx) (last int64) {
	_ = tx.QueryRowContext(ctx, `select value from meta where key = ?`, metaLast).Scan(&last) // rewrite wrote it; without, all are copied
	return last
}
