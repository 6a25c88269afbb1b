package ops

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// keptWarnings is how many warnings a logger keeps.
const keptWarnings = 100

// Warning is a line of the log, of level warn or error.
type Warning struct {
	Number  uint64 // counts the warnings of the process, from 1
	Time    time.Time
	Level   slog.Level
	Message string
	Detail  string // its attributes as key=value pairs
}

// Warnings returns the newest warnings of the process with a number above after, oldest first,
// apart from those of the owners of other loggers: see Own. It returns nil for a logger that is
// not from NewLogger.
func Warnings(log *slog.Logger, after uint64) []Warning {
	k, ok := log.Handler().(*keeper)
	if !ok {
		return nil
	}
	return k.kept.since(after, k.owner)
}

// Own returns a logger like log for one of several programs in a process: its warnings are that
// program's alone. A logger that is not from NewLogger is returned as it is.
func Own(log *slog.Logger) *slog.Logger {
	k, ok := log.Handler().(*keeper)
	if !ok {
		return log
	}
	own := *k
	own.owner = new(owner)
	return slog.New(&own)
}

// owner tells programs that share a process apart by its address, so it must have a size.
type owner struct{ _ byte }

// keep returns a logger for h that keeps its warnings and has a level.
func keep(h slog.Handler, level *Level) *slog.Logger {
	return slog.New(&keeper{Handler: h, kept: &warnings{}, repeats: &repeats{places: map[place]*count{}}, level: level})
}

// keeper limits the lines that pass to a handler, and keeps the newest warnings of them.
type keeper struct {
	slog.Handler

	kept    *warnings
	repeats *repeats
	level   *Level
	owner   *owner // nil: the process itself
	group   string // names that qualify the keys, each with a dot
	detail  string
}

// Handle adds the trace that ctx is in, if it is sampled.
func (k *keeper) Handle(ctx context.Context, r slog.Record) error {
	if !k.repeats.allow(&r) {
		return nil
	}
	if of := trace.SpanContextFromContext(ctx); of.IsSampled() {
		r = r.Clone() // the caller's may be used again
		r.AddAttrs(slog.String("trace_id", of.TraceID().String()), slog.String("span_id", of.SpanID().String()))
	}
	if r.Level >= slog.LevelWarn {
		k.kept.add(kept{Warning{Time: r.Time, Level: r.Level, Message: r.Message, Detail: k.with(recordAttrs(r))}, k.owner})
	}
	return k.Handler.Handle(ctx, r)
}

func (k *keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *k
	next.Handler, next.detail = k.Handler.WithAttrs(attrs), k.with(attrs)
	return &next
}

func (k *keeper) WithGroup(name string) slog.Handler {
	next := *k
	next.Handler, next.group = k.Handler.WithGroup(name), k.group+name+"."
	return &next
}

// with returns the detail with more attributes.
func (k *keeper) with(attrs []slog.Attr) string {
	var b strings.Builder
	b.WriteString(k.detail)
	for _, a := range attrs {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(k.group + a.Key + "=" + a.Value.Resolve().String())
	}
	return b.String()
}

func recordAttrs(r slog.Record) []slog.Attr {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	return attrs
}

// warnings is the newest warnings of a process.
type warnings struct {
	mu   sync.Mutex
	n    uint64
	list []kept // oldest first
}

// kept is a warning and whose it is.
type kept struct {
	Warning

	owner *owner
}

func (w *warnings) add(line kept) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	line.Number = w.n
	if len(w.list) == keptWarnings {
		w.list = slices.Delete(w.list, 0, 1)
	}
	w.list = append(w.list, line)
}

func (w *warnings) since(after uint64, of *owner) []Warning {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Warning
	for _, line := range w.list {
		if line.Number > after && (line.owner == nil || of == nil || line.owner == of) {
			out = append(out, line.Warning)
		}
	}
	return out
}
