package web

import (
	"context"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/portal/internal/series"
)

// sampleMeans takes the means of the newest values of all devices, by building, until ctx ends.
func (p *Portal) sampleMeans(ctx context.Context) error {
	values := make(series.Values)
	for lifecycle.Pause(ctx, untilStep(p.model.Now())) {
		p.sample(values)
	}
	return nil
}

// untilStep is how long it is until the next whole step: there every portal takes its samples.
func untilStep(now int64) time.Duration {
	return time.Duration(series.Step-now%series.Step) * time.Millisecond
}

func (p *Portal) sample(values series.Values) {
	p.model.EachLiveValue(func(building, sensor string, v float64) {
		values.Add(series.Of{Building: building, Sensor: sensor}, v)
	})
	p.series.Sample(p.model.Now(), values)
}
