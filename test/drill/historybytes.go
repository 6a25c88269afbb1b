package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

const (
	// pastDays is how many days before today the history has readings of.
	pastDays = 6
	// pastReadings are those of a day.
	pastReadings = 20_000
	pastDevices  = 8
	// nearly is how many records the history may be behind to count as up to date, under load.
	nearly = 5000
)

// boundHistory gives the history some days, and then less room than they take.
func boundHistory(ctx context.Context, r *rig.Round) error {
	r.IgnoreInvalid(ofNoGateway)
	name := cluster.Numbered(cluster.Core, 0)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if err := writePast(ctx, r, today); err != nil {
		return err
	}
	if _, err := rig.Await(ctx, "the history to have the days before today", func() error {
		days, err := historyDays(r)
		if err != nil {
			return err
		}
		if len(days) <= pastDays {
			return fmt.Errorf("%w: %d of %d days", errReads, len(days), pastDays+1)
		}
		lag, err := r.Metric(ctx, name, "core_history_lag_records")
		if err == nil && lag > nearly {
			err = fmt.Errorf("%w: %v records to go", errReads, lag)
		}
		return err
	}); err != nil {
		return err
	}
	for range r.Times {
		if err := r.Moment(ctx, time.Second, 3*time.Second); err != nil {
			return err
		}
		if err := r.Kill(name); err != nil {
			return err
		}
		r.Happened()
		if err := removeOldest(ctx, r, name); err != nil {
			return err
		}
	}
	if err := r.SetEnv(name, map[string]string{"HISTORY_MAX_BYTES": "0"}); err != nil {
		return err
	}
	r.AtEnd(func(ctx context.Context) error {
		days, err := historyDays(r)
		if err != nil {
			return err
		}
		oldest := days[0].start
		want := int(today.Sub(oldest)/(24*time.Hour)) + 1
		r.Check(len(days) == want, "the history has %d days since %s, want each of the %d", len(days), oldest.Format(time.DateOnly), want)
		r.Note("%d of %d days were removed", pastDays+1-len(days), pastDays+1)
		return compareHistory(ctx, r, oldest.UnixMilli())
	})
	return nil
}

// removeOldest starts core with too little room for the oldest day, and waits until that is gone.
func removeOldest(ctx context.Context, r *rig.Round, name string) error {
	days, err := historyDays(r)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, d := range days {
		total += d.bytes
	}
	limit := total - days[0].bytes/2
	if err := r.SetEnv(name, map[string]string{"HISTORY_MAX_BYTES": strconv.FormatInt(limit, 10)}); err != nil {
		return err
	}
	if err := restartHistory(ctx, r, name); err != nil {
		return err
	}
	took, err := rig.Await(ctx, "the oldest day to be removed", func() error {
		if _, err := os.Stat(days[0].path); err == nil {
			return fmt.Errorf("%s is there: %w", days[0].path, os.ErrExist)
		}
		return nil
	})
	if err == nil {
		r.Recovered("the oldest day is removed, after the history read again", took, 0)
	}
	return err
}

// writePast writes readings of the days before today to device-data, as a gateway that was offline does.
func writePast(ctx context.Context, r *rig.Round, today time.Time) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers()...))
	if err != nil {
		return err
	}
	defer client.Close()
	const step = 24 * time.Hour * pastDevices / pastReadings
	for day := pastDays; day > 0; day-- {
		var records []*kgo.Record
		for at := today.AddDate(0, 0, -day); at.Before(today.AddDate(0, 0, 1-day)); at = at.Add(step) {
			for n := range pastDevices {
				device := fmt.Sprintf("past_%d", n)
				text := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"past","floor":1,"room":"1"},"sensors":{"x":{"value":%.3f},"y":{"value":%.3f}}}`,
					device, at.UnixMilli(), r.Rand.NormFloat64(), r.Rand.NormFloat64())
				records = append(records, &kgo.Record{Topic: r.Topics.DeviceData, Key: []byte(device), Value: []byte(text), Timestamp: at})
			}
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return fmt.Errorf("writing readings of the past: %w", err)
		}
	}
	return nil
}

// historyDay is the file of a day of the history.
type historyDay struct {
	path  string
	start time.Time
	bytes int64
}

// historyDays returns the files of the history, oldest first.
func historyDays(r *rig.Round) ([]historyDay, error) {
	paths, err := filepath.Glob(filepath.Join(historyDir(r), "[0-9]*.db"))
	if err != nil {
		return nil, err
	}
	var out []historyDay
	for _, path := range paths {
		start, err := time.Parse(time.DateOnly+".db", filepath.Base(path))
		if err != nil {
			continue
		}
		d := historyDay{path: path, start: start}
		for _, suffix := range []string{"", "-wal"} {
			if info, err := os.Stat(path + suffix); err == nil {
				d.bytes += info.Size()
			}
		}
		out = append(out, d)
	}
	return out, nil
}
