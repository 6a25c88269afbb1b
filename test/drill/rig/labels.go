package rig

import (
	"industrial-iot-monitor/sim/fleet"
	"industrial-iot-monitor/test/cluster"
)

// Labels returns the simulated faults of this site's devices that touch the time from..to
// (ms since 1970).
func (s *Scene) Labels(from, to int64) ([]fleet.Label, error) {
	var buildings []string
	for i := range s.Site.Gateways {
		buildings = append(buildings, cluster.Building(i))
	}
	n := s.Site.Load.devices()
	var out []fleet.Label
	for part := range protocols() {
		f, err := fleet.New(fleet.Options{
			Devices: n, First: part * n, Seed: 1, Variance: 0.1, Interval: s.Site.Load.Interval,
			Faults: float64(s.Site.Load.Excursions), Buildings: buildings,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, f.Labels(from, to)...)
	}
	return out, nil
}
