package processor

import "industrial-iot-monitor/internal/telemetry"

// compare gives the samples at hand the medians of their neighbours. moved: these are not those before.
func (s *detectStage) compare(x *detected, moved bool) {
	for i := range s.samples {
		sample := &s.samples[i]
		median, begins, ok := x.near.Median(i, sample.Sensor)
		if begins || moved {
			x.ForgetPeers(sample.Sensor)
		}
		sample.Peers, sample.HasPeers = median, ok
	}
}

// describe returns what the newest verdict on a sensor was about.
func (x *detected) describe(sensor string) (telemetry.Anomaly, bool) {
	a, ok := x.Describe(sensor)
	if a.Kind == telemetry.AnomalyPeers {
		a.Group = telemetry.PeersOfModel
		if x.near.InRoom(sensor) {
			a.Group = telemetry.PeersInRoom
		}
	}
	return a, ok
}

// settle makes hold what was restored. Call it before the first reading that the state does not know.
func (x *detected) settle() {
	if x.restored != nil {
		x.near.Restore(x.restored)
		x.restored = nil
	}
}
