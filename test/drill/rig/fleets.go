package rig

import (
	"fmt"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/test/cluster"
)

// part is the devices of one simulator.
type part struct {
	name     string
	protocol string
	share    float64 // of the rate
	batch    int     // devices of a concentrator; 1: none
}

var parts = [...]part{
	{name: "nats", protocol: "nats", share: 0.45, batch: 1},
	{name: "mqtt", protocol: "mqtt", share: 0.45, batch: 1},
	{name: "batch", protocol: "nats", share: 0.1, batch: 20},
}

// repeatShare is the share of acknowledged messages that are sent again.
const repeatShare = 0.02

// clocks are the offsets of the clocks of each part's first devices: five hours slow, local
// time of UTC+8 taken for UTC, and a dead clock that starts in 2000.
func clocks() []time.Duration {
	return []time.Duration{-5 * time.Hour, 8 * time.Hour, -233_000 * time.Hour}
}

// fleets returns the devices of each part.
func (s *Site) fleets() ([]fleet.Options, error) {
	var buildings []string
	for i := range s.Gateways {
		buildings = append(buildings, cluster.Building(i))
	}
	first := 0
	var out []fleet.Options
	for _, p := range parts {
		n := max(len(clocks()), int(float64(s.Load.Rate)*s.Load.Interval.Seconds()*p.share))
		out = append(out, fleet.Options{
			Devices: n, First: first, Seed: 1, Variance: 0.1, Interval: s.Load.Interval,
			Faults: float64(s.Load.Excursions), Buildings: buildings, Mixed: true, Clocks: clocks(),
		})
		first += n
	}
	if first > fleet.MaxDevices {
		return nil, fmt.Errorf("%d devices; want at most %d", first, fleet.MaxDevices)
	}
	return out, nil
}

// offsets returns how far the clocks of devices are ahead, in ms; those of the others are right.
func (s *Site) offsets() (map[string]int64, error) {
	all, err := s.fleets()
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for _, f := range all {
		for i, offset := range f.Clocks {
			out[fleet.DeviceID(f.First+i)] = offset.Milliseconds()
		}
	}
	return out, nil
}

// Device returns a random device with a right clock.
func (r *Round) Device() string {
	for {
		if id := fleet.DeviceID(r.Rand.IntN(100)); r.ClockOffset(id) == 0 {
			return id
		}
	}
}

// Labels returns the simulated faults of this site's devices that touch the time from..to
// (ms since 1970).
func (s *Scene) Labels(from, to int64) ([]fleet.Label, error) {
	all, err := s.Site.fleets()
	if err != nil {
		return nil, err
	}
	var out []fleet.Label
	for _, o := range all {
		f, err := fleet.New(o)
		if err != nil {
			return nil, err
		}
		out = append(out, f.Labels(from, to)...)
	}
	return out, nil
}
