package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/oracle"
)

// journal compares the records in alerts with the devices' simulated faults since it was
// made.
type journal struct {
	from   int64                     // ms
	offset func(device string) int64 // of its clock

	mu     sync.Mutex
	alarms *oracle.Alarms
}

func newJournal(r *rig.Round) *journal {
	return &journal{from: time.Now().UnixMilli(), offset: r.ClockOffset, alarms: oracle.NewAlarms()}
}

// observe notes a reading that arrived. Those of devices with wrong clocks are left out: core
// has to learn a clock before its readings raise alarms.
func (j *journal) observe(x oracle.Record) {
	if j.offset(x.Device) != 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.alarms.Reading(x.Device, x.Timestamp)
}

// check reads alerts until no more arrive, and compares. Readings are not observed any more.
func (j *journal) check(ctx context.Context, r *rig.Round) error {
	in, err := kafkatest.NewReader(r.Brokers(), r.Topics.Alerts)
	if err != nil {
		return err
	}
	defer in.Close()
	records := 0
	for before := -1; records != before; {
		before = records
		limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
		err := in.CatchUp(limit, func(rec *kgo.Record) error {
			records++
			var a telemetry.Alert
			if err := json.Unmarshal(rec.Value, &a); err != nil {
				return fmt.Errorf("alerts %d/%d: %w", rec.Partition, rec.Offset, err)
			}
			j.alarms.Alert(&a)
			return nil
		})
		cancel()
		if err != nil {
			return err
		}
		if err := rig.Sleep(ctx, 4*time.Second); err != nil {
			return err
		}
	}
	labels, err := r.Labels(j.from, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	v := j.alarms.Verdict(labels, j.from)
	r.Note("%s", &v)
	err = v.Err()
	r.Check(err == nil, "%v", err)
	return nil
}
