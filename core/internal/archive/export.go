package archive

import (
	"context"
	"maps"
	"slices"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// Export calls f with the readings of a query that was checked: device by device in the order of
// their ids, day by day in the order of time. It holds one device's day in memory. An error of f
// ends it.
func (a *Archive) Export(ctx context.Context, q *history.ExportQuery, f func(device string, b *samples.Block) error) error {
	days := a.between(q.From/dayMS, q.To/dayMS)
	devices := slices.Sorted(slices.Values(q.Devices))
	if q.Devices == nil {
		names := make(map[string]bool)
		for _, d := range days {
			if err := a.names(ctx, d, names); err != nil {
				return err
			}
		}
		devices = slices.Sorted(maps.Keys(names))
	}
	want := func(f samples.Field) bool { return q.Parameters == nil || slices.Contains(q.Parameters, f.Name) }
	for i, id := range devices {
		for k, d := range days {
			if q.Progress != nil {
				q.Progress(i*len(days)+k, len(devices)*len(days))
			}
			b, err := a.block(ctx, d, id, q.From, q.To, want)
			if err != nil {
				return err
			}
			if b.Len() > 0 {
				if err := f(id, b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Status returns what the archive holds; the caller adds how far it is behind.
func (a *Archive) Status() history.Status {
	s := history.Status{Bytes: a.size()}
	days := a.all()
	if s.Days = len(days); s.Days > 0 {
		s.Begins = days[0].start()
	}
	for _, h := range a.allHeads() {
		s.Newest = max(s.Newest, h.newest())
	}
	s.Damaged = a.setAside.Load()
	return s
}
