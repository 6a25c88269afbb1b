// Package unusual knows which devices are unusual now, by the reports of all core instances. It is not
// for alarms, and keeps nothing of what was. It does no I/O and blocks only on its own lock.
package unusual

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// lateMS is the age in ms at which a report no longer counts: an instance sends one every two seconds.
	lateMS = 10_000
	// mostInstances bounds what strangers on the hub could fill memory with.
	mostInstances = 64
)

// report is the newest of an instance.
type report struct {
	wire.UnusualReport

	received int64
}

// Board has the newest report of each instance. The zero value is empty. It is safe for concurrent use.
type Board struct {
	mu      sync.Mutex
	reports map[string]report
}

// Add takes a report that came at a time, in ms, by the portal's clock.
func (b *Board) Add(r wire.UnusualReport, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(now)
	old, known := b.reports[r.Instance]
	if known && r.At < old.At || !known && len(b.reports) >= mostInstances {
		return
	}
	if b.reports == nil {
		b.reports = make(map[string]report)
	}
	b.reports[r.Instance] = report{r, now}
}

// drop forgets late reports. b.mu is held.
func (b *Board) drop(now int64) {
	for name, r := range b.reports {
		if now-r.received > lateMS {
			delete(b.reports, name)
		}
	}
}

// Top returns at most n devices, the most unusual first, and how many instances report. A device that two
// instances report, because it has just moved, is as in the newer report.
func (b *Board) Top(n int, now int64) (devices []telemetry.Unusual, instances int) {
	b.mu.Lock()
	b.drop(now)
	reports := make([]report, 0, len(b.reports))
	for _, r := range b.reports {
		reports = append(reports, r)
	}
	b.mu.Unlock()

	slices.SortFunc(reports, func(x, y report) int {
		return cmp.Or(cmp.Compare(y.received, x.received), strings.Compare(x.Instance, y.Instance))
	})
	seen := make(map[string]bool)
	for _, r := range reports {
		for i := range r.Devices {
			if d := &r.Devices[i]; !seen[d.DeviceID] {
				seen[d.DeviceID] = true
				devices = append(devices, *d)
			}
		}
	}
	slices.SortStableFunc(devices, func(x, y telemetry.Unusual) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.Since, y.Since), strings.Compare(x.DeviceID, y.DeviceID))
	})
	return devices[:min(n, len(devices))], len(reports)
}
