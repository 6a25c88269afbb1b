// Package archive keeps the readings of devices for months: one SQLite file for each UTC day, in
// which the readings of a device are encoded in chunks (package samples), beside the position in
// Kafka up to which the file has them (docs/adr/0025). It knows nothing of Kafka but partitions
// and offsets, and nothing of HTTP. Append works in memory, but for the first reading of a day;
// Flush, Maintain and all questions read and write files.
package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	_ "modernc.org/sqlite" // the driver

	"industrial-iot-monitor/core/internal/samples"
)

// Options of an Archive.
type Options struct {
	Dir      string // required; is made if missing
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Retention is how long readings are kept, by their own time; 0: for ever.
	Retention time.Duration
	// MaxBytes bounds the files: beyond it the oldest days go; 0: no bound.
	MaxBytes int64
	// FlushEvery is how long a reading is in memory only; 0 means 5 minutes.
	FlushEvery time.Duration
	// HeadValues bounds the values in memory, about 9 bytes each; 0 means 4 million.
	HeadValues int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Archive is safe for concurrent use; each of its heads is for one goroutine.
type Archive struct {
	o         Options
	log       *slog.Logger
	now       func() time.Time
	metrics   *metrics
	catalogue *catalogue
	life      context.Context //nolint:containedctx // ends with Close: opening a file outlives the caller who needed it first
	end       context.CancelFunc
	decoders  sync.Pool
	setAside  atomic.Int64 // damaged files
	share     atomic.Int64 // values that each head may have
	least     atomic.Int64 // number of the first day that was not removed for its size
	rebuild   chan struct{}

	flushing chan struct{} // full during a flush, which alone uses encoder
	encoder  *samples.Encoder

	listing sync.Mutex // one listDays at a time

	mu    sync.RWMutex
	days  map[int64]*day
	heads map[int32]*Head
}

// Open opens the archive in a directory. The error says if another process has it open.
func Open(o Options) (*Archive, error) {
	if o.FlushEvery == 0 {
		o.FlushEvery = 5 * time.Minute
	}
	if o.HeadValues == 0 {
		o.HeadValues = 4_000_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the directory of the history: %w", err)
	}
	encoder, err := samples.NewEncoder()
	if err != nil {
		return nil, err
	}
	a := &Archive{
		o: o, log: o.Log, now: o.Now, encoder: encoder, rebuild: make(chan struct{}, 1), flushing: make(chan struct{}, 1),
		days: make(map[int64]*day), heads: make(map[int32]*Head),
	}
	a.life, a.end = context.WithCancel(context.Background())
	if a.catalogue, err = openCatalogue(a.life, a.log, o.Dir); err != nil {
		a.end()
		return nil, err
	}
	a.metrics = newMetrics(o.Registry, a)
	if err := a.findDays(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// findDays lists the files that are there, and those that are missing as lost.
func (a *Archive) findDays() error {
	entries, err := os.ReadDir(a.o.Dir)
	if err != nil {
		return fmt.Errorf("listing the history: %w", err)
	}
	promises, err := a.catalogue.promises(a.life)
	if err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	removed, err := a.catalogue.givenUp(a.life)
	if err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	a.least.Store(removed + 1)
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".db")
		if !ok {
			continue
		}
		if t, err := time.Parse(dayFormat, name); err == nil {
			number := t.UnixMilli() / dayMS
			a.days[number] = &day{number: number, path: filepath.Join(a.o.Dir, e.Name()), promised: promises[number]}
			delete(promises, number)
		}
	}
	for number := range promises {
		path := dayPath(a.o.Dir, number)
		a.log.Error("a file of the history is missing; its day is read from Kafka again, as far as Kafka reaches", "file", path)
		if err := a.catalogue.forget(a.life, number, true); err != nil {
			return fmt.Errorf("noting that %s is missing: %w", path, err)
		}
	}
	return nil
}

// ID identifies the archive.
func (a *Archive) ID() string { return a.catalogue.id }

// Rebuild receives when a damaged file was set aside: its readings must be read from Kafka again,
// from where Lost says.
func (a *Archive) Rebuild() <-chan struct{} { return a.rebuild }

// Head returns a new head of a partition, in the place of an older one, whose readings since its
// last flush are dropped. Its position is 0 for a partition that was never read. While a day is lost it
// returns ErrRebuild: Rewind first.
func (a *Archive) Head(ctx context.Context, partition int32) (*Head, error) {
	damages := a.setAside.Load() // before the position, which they make too high
	_, lost, err := a.catalogue.lost(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	if lost {
		return nil, ErrRebuild
	}
	next, devices, err := a.catalogue.load(ctx, partition)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	h := newHead(a, damages, partition, next, devices)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heads[partition] = h
	a.divide()
	return h, nil
}

// Drop forgets a head and its readings that are not in a file.
func (a *Archive) Drop(h *Head) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heads[h.partition] == h {
		delete(a.heads, h.partition)
		a.divide()
	}
}

// divide gives each head its share of the memory. a.mu is held.
func (a *Archive) divide() { a.share.Store(int64(a.o.HeadValues / max(len(a.heads), 1))) }

func (a *Archive) allHeads() []*Head {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]*Head, 0, len(a.heads))
	for _, h := range a.heads {
		out = append(out, h)
	}
	return out
}

var errNotKept = errors.New("readings of this day are not kept")

// ahead is how far in the future a reading may be, in days.
const ahead = 2

// dayFor returns the file of a day, which is made when it is used.
func (a *Archive) dayFor(number int64) (*day, error) {
	a.mu.RLock()
	d := a.days[number]
	a.mu.RUnlock()
	if d != nil {
		return d, nil
	}
	if number < a.oldest() || number > a.now().UnixMilli()/dayMS+ahead {
		return nil, errNotKept
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if d = a.days[number]; d == nil {
		d = &day{number: number, path: dayPath(a.o.Dir, number)}
		a.days[number] = d
	}
	return d, nil
}

// oldest returns the number of the oldest day that may be kept.
func (a *Archive) oldest() int64 {
	least := a.least.Load()
	if a.o.Retention == 0 {
		return least
	}
	return max(least, a.now().Add(-a.o.Retention).UnixMilli()/dayMS)
}

// between returns the files of a range of days, oldest first.
func (a *Archive) between(first, last int64) []*day {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []*day
	for n, d := range a.days {
		if n >= first && n <= last {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(x, y *day) int { return int(x.number - y.number) })
	return out
}

// all returns the files of all days, oldest first.
func (a *Archive) all() []*day { return a.between(0, math.MaxInt64) }

// Close closes the files. What heads have is dropped.
func (a *Archive) Close() error {
	a.end()
	var errs []error
	for _, d := range a.all() {
		d.mu.Lock()
		errs = append(errs, d.shut())
		d.mu.Unlock()
	}
	return errors.Join(append(errs, a.catalogue.close())...)
}
