package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/loadtest/bench/report"
)

const (
	// outageDevices send a reading with an alarm while Kafka is stopped.
	outageDevices = 20
	// outageSettle is how long after the stop the screens are measured: readings that were
	// on their way belong to neither side.
	outageSettle = 2 * time.Second
)

// outage is what a stop of Kafka has to be judged by in the end.
type outage struct{ before, dark Reception }

// outage measures the live latency before Kafka is stopped and while it is, and starts Kafka
// again. Some devices cross a limit meanwhile, and are back to normal after it.
func (t *trial) outage(ctx context.Context) (*outage, error) {
	devices, err := newCrowd(t.plant.nats, outageDevices)
	if err != nil {
		return nil, err
	}
	defer devices.close()
	if err := errors.Join(sleep(ctx, t.o.Warmup), devices.send(ctx, ordinaryTemperature)); err != nil {
		return nil, err
	}
	x := &outage{}
	t.startSamplers()
	if err := sleep(ctx, t.o.Duration); err != nil {
		return nil, err
	}
	x.before = t.some.stop()
	t.stopSamplers()
	if err := t.plant.stopKafka(); err != nil {
		return nil, err
	}
	if err := sleep(ctx, outageSettle); err != nil {
		return nil, err
	}
	t.some.start()
	if err := errors.Join(devices.send(ctx, hotTemperature), sleep(ctx, t.load.Length)); err != nil {
		return nil, err
	}
	x.dark = t.some.stop()
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := t.plant.startKafka(ready); err != nil {
		return nil, err
	}
	// A reading that waited longer than ALERT_MAX_DELAY raises nothing by itself: the next one
	// tells whether the incident has ended, and becomes a record of the past.
	return x, devices.send(ctx, ordinaryTemperature)
}

// judge stores what the screens received, and counts the alarms of the outage in the topic.
func (x *outage) judge(ctx context.Context, t *trial) error {
	t.found[report.DarkPushed] = x.dark.PerSecond
	ratio(t.found, report.DarkShare, 100*x.dark.PerSecond, x.before.PerSecond)
	if x.dark.Ages.Count > 0 {
		t.found.SetAges(report.Dark, x.dark.Ages.figures())
		ratio(t.found, report.DarkRatio, ms(x.dark.Ages.P99), ms(x.before.Ages.P99))
	} else {
		t.notes = append(t.notes, "the screens were dark while Kafka was stopped")
	}
	records, duplicates, err := t.countAlarms(ctx)
	if err != nil {
		return fmt.Errorf("counting the alarms of the outage: %w", err)
	}
	raised := records[telemetry.EventRaised]
	t.found[report.DarkAlarms] = float64(raised)
	t.found[report.AlarmsLost] = float64(max(0, outageDevices-raised))
	t.found[report.AlarmsDoubled] = float64(duplicates + max(0, raised-outageDevices))
	return nil
}
