package state

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/meter"
)

// Stats are counts over the model at one moment.
type Stats struct {
	Time      int64 // ms
	Devices   Presences
	Active    [5]int // by Rank: alarms whose condition holds and that are not put aside
	Calling   [5]int // by Rank: alarms that need attention, see Alert.Calls
	Unseen    int    // of these, the unacknowledged ones
	Aside     int    // open alarms that are shelved, suppressed or out of service
	Kept      int    // alarms that Alerts can return, past ones included
	Received  meter.Recent
	Counts    Counts
	Buildings []Building // by name
	Gateways  int
	Silent    int // of these, the silent ones
}

// Presences counts devices.
type Presences struct{ Total, Online, Offline, Unknown int }

func (n *Presences) add(p telemetry.Presence) {
	n.Total++
	switch p {
	case telemetry.PresenceOnline:
		n.Online++
	case telemetry.PresenceOffline:
		n.Offline++
	default:
		n.Unknown++
	}
}

// Building is one building: its devices, its alarms that need attention and the means over the last
// minute by parameter.
type Building struct {
	Name    string
	Devices Presences
	Calling int
	Means   map[string]Mean
}

// meansOver is the time over which a building's means are taken, in ms.
const meansOver = 60_000

// Stats counts everything. It visits each device once and releases the lock every
// thousand devices, so that frames need not wait.
func (m *Model) Stats() Stats {
	now := m.Now()
	s := Stats{Time: now}
	buildings := make(map[string]*Building)
	m.Each(func(d *Device) { s.countDevice(buildings, d, now) })

	m.mu.RLock()
	defer m.mu.RUnlock()
	s.Kept, s.Received, s.Counts, s.Gateways = len(m.alerts.byID), m.received.Recent(now), m.counts, len(m.gateways)
	m.countActive(&s, buildings)
	for _, g := range m.gateways {
		if g.Silent(now) {
			s.Silent++
		}
	}
	for _, b := range buildings {
		b.Means = m.windows.means(b.Name, now-meansOver, now)
		s.Buildings = append(s.Buildings, *b)
	}
	slices.SortFunc(s.Buildings, func(a, b Building) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

func (s *Stats) countDevice(buildings map[string]*Building, d *Device, now int64) {
	presence := d.Presence(now)
	s.Devices.add(presence)
	b := buildings[d.location.Building]
	if b == nil {
		b = &Building{Name: d.location.Building}
		buildings[b.Name] = b
	}
	b.Devices.add(presence)
}

func (m *Model) countActive(s *Stats, buildings map[string]*Building) {
	for _, list := range m.alerts.byDevice {
		for _, a := range list {
			if a.Aside() {
				s.Aside++
				continue
			}
			s.Calling[Rank(a.Severity)]++
			if a.Active() {
				s.Active[Rank(a.Severity)]++
			}
			if a.Unseen() {
				s.Unseen++
			}
			if b := buildings[m.Place(a).Building]; b != nil {
				b.Calling++
			}
		}
	}
}

// Totals returns the totals since start alone, without counting devices.
func (m *Model) Totals() Counts {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.counts
}
