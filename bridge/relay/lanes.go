package relay

import (
	"cmp"
	"slices"
	"time"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

// laneFigures measures this bridge's lanes for its reports. It is for one goroutine.
type laneFigures struct {
	roster   *roster.Roster
	progress *lane.Progress
	now      func() time.Time

	at        time.Time
	committed map[string]uint64 // readings by gateway, at the last call
}

// measure returns the figures of the lanes since the last call.
func (f *laneFigures) measure() []wire.LaneVitals {
	now := f.now()
	took := now.Sub(f.at).Seconds()
	before := f.committed
	f.at, f.committed = now, make(map[string]uint64)
	by := make(map[int32]*wire.LaneVitals)
	for _, n := range f.progress.Lanes() {
		by[n] = &wire.LaneVitals{Lane: n}
	}
	for _, gateway := range f.progress.Gateways() {
		pos, ok := f.progress.Position(gateway)
		v := by[pos.Lane]
		if !ok || v == nil {
			continue // it went in between
		}
		t := lane.Ledger(pos, f.roster.Heard(gateway), now).Total
		f.committed[gateway] = t.Committed
		if over := t.Committed + t.Damaged; t.Packed > over {
			v.Backlog += t.Packed - over
		}
		if was, known := before[gateway]; known && t.Committed > was && took > 0 {
			v.Rate += float64(t.Committed-was) / took
		}
	}
	out := make([]wire.LaneVitals, 0, len(by))
	for _, v := range by {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b wire.LaneVitals) int { return cmp.Compare(a.Lane, b.Lane) })
	return out
}
