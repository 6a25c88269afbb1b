package dashboard

import (
	"encoding/json"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// tally are the counts of one building in a scan.
type tally struct {
	Devices  int                  `json:"devices"`
	Online   int                  `json:"online"`
	Offline  int                  `json:"offline"`
	Unknown  int                  `json:"unknown"`
	Alarms   int                  `json:"alarms"`
	Means    map[string]meanValue `json:"means"`
	Gateways []string             `json:"gateways"`
}

type meanValue struct {
	Mean  float64 `json:"mean"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Count int64   `json:"count"`
}

// tallies are counted while a building topic has subscribers.
type tallies struct {
	on bool
	by map[string]*tally
}

func (t *tallies) reset() { t.by = make(map[string]*tally) }

// add counts a device. It is called within a View.
func (t *tallies) add(d *state.Device, s cellState) {
	if !t.on {
		return
	}
	name := d.Location().Building
	v := t.by[name]
	if v == nil {
		v = &tally{Gateways: []string{}}
		t.by[name] = v
	}
	v.Devices++
	switch s {
	case stateOnline, stateStale:
		v.Online++
	case stateOffline:
		v.Offline++
	default:
		v.Unknown++
	}
	if g := d.Gateway(); g != "" && !slices.Contains(v.Gateways, g) {
		v.Gateways = append(v.Gateways, g)
	}
}

// buildingData returns a building as the last scan counted it, and whether it has devices.
func (p *Publisher) buildingData(name string) (data []byte, known bool) {
	v, known := p.tallies.by[name]
	if !known {
		v = &tally{Gateways: []string{}}
	}
	slices.Sort(v.Gateways)
	v.Alarms, v.Means = p.alarmsIn(name), make(map[string]meanValue)
	for param, m := range p.model.Means(name) {
		v.Means[param] = meanValue{Mean: m.Mean, Min: m.Min, Max: m.Max, Count: m.Count}
	}
	return p.encode(v), known
}

// alarmsIn counts the alarms of a building that need attention.
func (p *Publisher) alarmsIn(building string) int {
	n := 0
	p.model.View(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range p.open {
			place := a.Location.Building
			if d := p.model.Device(a.DeviceID); place == "" && d != nil {
				place = d.Location().Building
			}
			if place == building && a.Shelved == nil && a.Suppressed == nil && a.OutOfService == nil {
				n++
			}
		}
	})
	return n
}

// isOpen reports whether an alarm is not normal: its condition holds or it is unacknowledged.
func isOpen(a *state.Alert) bool {
	if a.State == "" { // a record from before there were states
		return a.Active()
	}
	return a.State != telemetry.AlarmNormal && !a.Historical
}

// encode returns v as JSON, or null after an error.
func (p *Publisher) encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		p.log.Error("encoding a message failed", "err", err)
		return []byte("null")
	}
	return data
}
