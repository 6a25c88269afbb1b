package ops

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
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

// Warnings returns the newest warnings that log has written with a number above after, oldest
// first; nil for a logger that is not from NewLogger.
func Warnings(log *slog.Logger, after uint64) []Warning {
	k, ok := log.Handler().(*keeper)
	if !ok {
		return nil
	}
	return k.kept.since(after)
}

// keep returns a logger for h that keeps its warnings.
func keep(h slog.Handler) *slog.Logger {
	return slog.New(&keeper{Handler: h, kept: &warnings{}})
}

// keeper keeps the newest warnings that pass through a handler.
type keeper struct {
	slog.Handler

	kept   *warnings
	group  string // names that qualify the keys, each with a dot
	detail string
}

func (k *keeper) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		k.kept.add(Warning{Time: r.Time, Level: r.Level, Message: r.Message, Detail: k.with(recordAttrs(r))})
	}
	return k.Handler.Handle(ctx, r)
}

func (k *keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &keeper{Handler: k.Handler.WithAttrs(attrs), kept: k.kept, group: k.group, detail: k.with(attrs)}
}

func (k *keeper) WithGroup(name string) slog.Handler {
	return &keeper{Handler: k.Handler.WithGroup(name), kept: k.kept, group: k.group + name + ".", detail: k.detail}
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
	list []Warning // oldest first
}

func (w *warnings) add(line Warning) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	line.Number = w.n
	if len(w.list) == keptWarnings {
		w.list = slices.Delete(w.list, 0, 1)
	}
	w.list = append(w.list, line)
}

func (w *warnings) since(after uint64) []Warning {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Warning
	for _, line := range w.list {
		if line.Number > after {
			out = append(out, line)
		}
	}
	return out
}
