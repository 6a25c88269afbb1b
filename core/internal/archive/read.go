package archive

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"industrial-iot-monitor/core/internal/samples"
)

func (a *Archive) decoder() (*samples.Decoder, error) {
	if d, ok := a.decoders.Get().(*samples.Decoder); ok {
		return d, nil
	}
	return samples.NewDecoder()
}

// chunk is a row of chunks or courses.
type chunk struct {
	layout int64
	data   []byte
}

// layoutsOf reads the layouts of a file.
func layoutsOf(ctx context.Context, q queryer) (map[int64][]samples.Field, error) {
	layouts := make(map[int64][]samples.Field)
	err := each(ctx, q, func(scan func(...any) error) error {
		var id int64
		var text []byte
		if err := scan(&id, &text); err != nil {
			return err
		}
		var fields []samples.Field
		if err := json.Unmarshal(text, &fields); err != nil {
			return fmt.Errorf("%w: layout %d: %w", samples.ErrDamaged, id, err)
		}
		layouts[id] = fields
		return nil
	}, `select id, fields from layouts`)
	return layouts, err
}

// layoutIDs gives lists of fields their rows in the layouts of a file. It is for one transaction.
type layoutIDs struct {
	ctx context.Context //nolint:containedctx // that of the transaction, for its life
	tx  *sql.Tx
	ids map[string]int64 // by their text
}

func newLayoutIDs(ctx context.Context, tx *sql.Tx) *layoutIDs {
	return &layoutIDs{ctx, tx, make(map[string]int64)}
}

// of returns the id of a list of fields.
func (l *layoutIDs) of(fields []samples.Field) (int64, error) {
	text, err := json.Marshal(fields)
	if err != nil {
		return 0, err
	}
	if id, ok := l.ids[string(text)]; ok {
		return id, nil
	}
	var id int64
	err = l.tx.QueryRowContext(l.ctx, `insert into layouts (fields) values (?) on conflict (fields) do update set fields = fields returning id`, string(text)).Scan(&id)
	if err == nil {
		l.ids[string(text)] = id
	}
	return id, err
}

// layouts are those of an open file that were read. A row never changes.
type layouts struct {
	mu sync.Mutex
	by map[int64][]samples.Field
}

func (l *layouts) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by = nil
}

// of returns layouts with those of chunks, from the file if one is not known. The caller does not change
// them.
func (l *layouts) of(ctx context.Context, q queryer, list []chunk) (map[int64][]samples.Field, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(list, func(c chunk) bool { return l.by[c.layout] == nil }) {
		return l.by, nil
	}
	by, err := layoutsOf(ctx, q)
	if err == nil {
		l.by = by
	}
	return by, err
}

// decodeInto decodes chunks and merges them into b.
func (a *Archive) decodeInto(b *samples.Block, list []chunk, layouts map[int64][]samples.Field, want func(samples.Field) bool) error {
	dec, err := a.decoder()
	if err != nil {
		return err
	}
	defer a.decoders.Put(dec)
	var part samples.Block
	for _, c := range list {
		fields, ok := layouts[c.layout]
		if !ok {
			return fmt.Errorf("%w: no layout %d", samples.ErrDamaged, c.layout)
		}
		if err := dec.Decode(c.data, fields, want, &part); err != nil {
			return err
		}
		b.Merge(&part)
	}
	return nil
}

// read merges the readings of a device in this file into b, those from one time to another and perhaps
// more.
func (a *Archive) read(ctx context.Context, d *day, device string, from, to int64, want func(samples.Field) bool, b *samples.Block) error {
	return a.use(ctx, d, func() error {
		list, err := chunksOf(ctx, d.db, `select layout, data from chunks where device = (select id from devices where name = ?) and start <= ? and (stop is null or stop >= ?) order by start`, device, to, from)
		if err != nil || len(list) == 0 {
			return err
		}
		layouts, err := d.layouts.of(ctx, d.db, list)
		if err != nil {
			return err
		}
		return a.decodeInto(b, list, layouts, want)
	})
}

func chunksOf(ctx context.Context, q queryer, query string, args ...any) (list []chunk, err error) {
	err = each(ctx, q, func(scan func(...any) error) error {
		var c chunk
		if err := scan(&c.layout, &c.data); err != nil {
			return err
		}
		list = append(list, c)
		return nil
	}, query, args...)
	return list, err
}

// use calls f while a day's file is open. A file that was removed has nothing.
func (a *Archive) use(ctx context.Context, d *day, f func() error) error {
	err := d.acquire(ctx, a.now().UnixMilli())
	if err == nil {
		err = f()
		d.release()
	}
	switch {
	case err == nil, errors.Is(err, errGone):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return a.failed(d, fmt.Errorf("reading %s: %w", d.path, err))
	}
}

// block returns the readings of a device and a day from one time to another, both inclusive, from its
// file and from memory, sorted.
func (a *Archive) block(ctx context.Context, d *day, device string, from, to int64, want func(samples.Field) bool) (*samples.Block, error) {
	b := new(samples.Block)
	// Memory first: what a flush moves in between is then seen twice and counts once.
	id := blockID{device, d.number}
	for _, h := range a.allHeads() {
		h.collect(id, want, b)
	}
	if err := a.read(ctx, d, device, from, to, want, b); err != nil {
		return nil, err
	}
	b.Sort()
	part := b.Between(from, to)
	return &part, nil
}

// rows returns how many readings of a device a day has, those read twice included, without chunks that
// begin after a time.
func (a *Archive) rows(ctx context.Context, d *day, device string, to int64) (n int, err error) {
	for _, h := range a.allHeads() {
		n += h.rows(blockID{device, d.number})
	}
	err = a.use(ctx, d, func() error {
		var stored int
		err := d.db.QueryRowContext(ctx, `select coalesce(sum(rows), 0) from chunks where device = (select id from devices where name = ?) and start <= ?`, device, to).Scan(&stored)
		n += stored
		return err
	})
	return n, err
}

// names adds the devices with readings of a day to a set.
func (a *Archive) names(ctx context.Context, d *day, into map[string]bool) error {
	for _, h := range a.allHeads() {
		h.names(d.number, into)
	}
	return a.use(ctx, d, func() error {
		return each(ctx, d.db, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			into[name] = true
			return err
		}, `select name from devices`)
	})
}
