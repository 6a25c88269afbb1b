package web

import (
	"context"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/portal/internal/series"
)

// sampleMeans takes the means of the newest values of all devices, by building, until ctx ends.
func (p *Portal) sampleMeans(ctx context.Context) error {
	for lifecycle.Pause(ctx, series.Step*time.Millisecond) {
		p.sample()
	}
	return nil
}

func (p *Portal) sample() {
	means := make(map[series.Of]series.Mean)
	p.model.EachLiveValue(func(building, sensor string, v float64) {
		of := series.Of{Building: building, Sensor: sensor}
		m := means[of]
		m.Add(v)
		means[of] = m
	})
	p.series.Sample(p.model.Now(), means)
}
