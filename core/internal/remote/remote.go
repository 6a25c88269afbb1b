// Package remote keeps the readings of devices in a time-series engine elsewhere, VictoriaMetrics or
// InfluxDB 1.x: it writes the line protocol and puts questions in the engine's own language, so that
// the answers are those of package archive (docs/adr/0026). It keeps nothing itself and knows nothing
// of Kafka but partitions and offsets. Append works in memory; Flush and all questions wait for the
// engine.
package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// Engines that can keep readings.
const (
	VictoriaMetrics = "victoriametrics"
	InfluxDB        = "influxdb"
)

// Options of a Keeper.
type Options struct {
	Engine   string // VictoriaMetrics or InfluxDB
	URL      string // where readings are written, and asked for unless ReadURL is set
	ReadURL  string // of VictoriaMetrics: that of vmselect
	Log      *slog.Logger
	Registry prometheus.Registerer
	// BatchBytes bounds the lines of a partition that wait to be written; 0 means 1 MB.
	BatchBytes int
	// FlushEvery is how long a reading waits at most; 0 means a second.
	FlushEvery time.Duration
}

// engine is what differs between engines. Times are in ms, ranges inclusive.
type engine interface {
	// check returns why the engine cannot keep readings.
	check(ctx context.Context) error
	// writer returns a writer with a connection of its own.
	writer() *writer
	// clocks returns the newest known offset of the clock of each device of a partition.
	clocks(ctx context.Context, partition int32) (map[string]int64, error)
	// count returns how many values the fullest series of a device has.
	count(ctx context.Context, device string, from, to int64) (int64, error)
	// readings returns a device's series value by value.
	readings(ctx context.Context, device string, from, to int64) ([]course, error)
	// steps adds the values of a device up in steps that begin at multiples of step.
	steps(ctx context.Context, device string, from, to, step int64, add func(f samples.Field, at int64, t tally)) error
	// means adds up, in steps as of steps, the devices of a building: n is how many have values, sum is
	// that of their means.
	means(ctx context.Context, building string, from, to, step int64, add func(f samples.Field, at int64, t tally)) error
	// devices returns the devices that may have readings in a range.
	devices(ctx context.Context, from, to int64) ([]string, error)
	// begins returns the time of the oldest reading of a device, 0 if there is none.
	begins(ctx context.Context, device string) (int64, error)
	// founded returns the time of the oldest reading of a building, to the day, 0 if there is none.
	founded(ctx context.Context, building string) (int64, error)
	// oldest returns the time of the oldest reading, to the day, 0 if there is none.
	oldest(ctx context.Context) (int64, error)
	close()
}

// Keeper is safe for concurrent use; each of its heads is for one goroutine.
type Keeper struct {
	o       Options
	id      string
	engine  engine
	metrics *metrics

	mu     sync.Mutex
	newest int64
	began  map[string]begin // of devices by id, and of buildings
}

// begin is when the oldest reading of a device or a building was taken, and when that was asked.
type begin struct {
	at    int64
	asked time.Time
}

// beginsFor is how long a begin is remembered: only the engine's retention moves it on.
const beginsFor = 10 * time.Minute

// New returns a Keeper. It does not connect.
func New(o Options) (*Keeper, error) {
	if o.BatchBytes == 0 {
		o.BatchBytes = 1 << 20
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = time.Second
	}
	k := &Keeper{o: o, metrics: newMetrics(o.Registry), began: make(map[string]begin)}
	conn, err := newConn(o.URL)
	if err != nil {
		return nil, err
	}
	k.id = conn.name()
	switch o.Engine {
	case VictoriaMetrics:
		read := conn
		if o.ReadURL != "" {
			if read, err = newConn(o.ReadURL); err != nil {
				return nil, err
			}
		}
		k.engine = &victoria{to: conn, from: read}
	case InfluxDB:
		if conn.base.Query().Get("db") == "" {
			return nil, errNoDatabase
		}
		k.engine = &influx{conn}
	default:
		return nil, fmt.Errorf("%q: %w", o.Engine, errEngine)
	}
	return k, nil
}

var (
	errEngine     = errors.New("want " + VictoriaMetrics + " or " + InfluxDB)
	errNoDatabase = errors.New("names no database: want a URL such as http://127.0.0.1:8086?db=plant")
)

// ID names the engine and the place in it, without a password.
func (k *Keeper) ID() string { return k.id }

// Check returns why the engine cannot keep readings.
func (k *Keeper) Check(ctx context.Context) error { return k.engine.check(ctx) }

// Close closes idle connections.
func (k *Keeper) Close() error {
	k.engine.close()
	return nil
}

// Begins returns when the oldest reading of a device was taken that is kept, in ms, 0: none is.
func (k *Keeper) Begins(ctx context.Context, device string) (int64, error) {
	return k.remember(device, func() (int64, error) { return k.engine.begins(ctx, device) })
}

// remember asks for a begin that is not known or was asked too long ago.
func (k *Keeper) remember(of string, ask func() (int64, error)) (int64, error) {
	k.mu.Lock()
	b, ok := k.began[of]
	k.mu.Unlock()
	if ok && time.Since(b.asked) < beginsFor {
		return b.at, nil
	}
	at, err := ask()
	if err != nil || at == 0 {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.began[of] = begin{at, time.Now()}
	return at, nil
}

// wrote notes the time of a reading.
func (k *Keeper) wrote(device string, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.newest = max(k.newest, at)
	if b, ok := k.began[device]; ok && at < b.at {
		delete(k.began, device)
	}
}

// Status returns what is known of the engine: no sizes.
func (k *Keeper) Status(ctx context.Context) (history.Status, error) {
	oldest, err := k.engine.oldest(ctx)
	if err != nil {
		return history.Status{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := history.Status{Begins: oldest / dayMS * dayMS, Newest: k.newest}
	if oldest != 0 {
		s.Days = int(max(0, k.newest-s.Begins)/dayMS) + 1
	}
	return s, nil
}

const dayMS = 86_400_000

// Export calls f with the readings of a query that was checked: device by device in the order of
// their ids, day by day in the order of time. It holds one device's day in memory. An error of f
// ends it.
func (k *Keeper) Export(ctx context.Context, q *history.ExportQuery, f func(device string, b *samples.Block) error) error {
	devices := slices.Clone(q.Devices)
	if q.Devices == nil {
		var err error
		if devices, err = k.engine.devices(ctx, q.From, q.To); err != nil {
			return err
		}
	}
	slices.Sort(devices)
	want := func(f samples.Field) bool { return q.Parameters == nil || slices.Contains(q.Parameters, f.Name) }
	first, days := q.From/dayMS, int(q.To/dayMS-q.From/dayMS+1)
	for i, id := range devices {
		for day := first; day <= q.To/dayMS; day++ {
			if q.Progress != nil {
				q.Progress(i*days+int(day-first), len(devices)*days)
			}
			list, err := k.engine.readings(ctx, id, max(q.From, day*dayMS), min(q.To, (day+1)*dayMS-1))
			if err != nil {
				return err
			}
			if len(list) == 0 {
				continue
			}
			part := assemble(list).Pick(want)
			if err := f(id, &part); err != nil {
				return err
			}
		}
	}
	return nil
}
