package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

const (
	// pastDays is how many days before today the history has readings of.
	pastDays = 6
	// pastReadings are those of a day, of eight devices.
	pastReadings = 20_000
	// pastStep is between two readings of a device.
	pastStep = 24 * time.Hour * 8 / pastReadings
)

var pastDevices = []string{"past_0", "past_1", "past_2", "past_3", "past_4", "past_5", "past_6", "past_7"}

// boundHistory gives the history some days, and then less room than they take.
func boundHistory(ctx context.Context, r *rig.Round) error {
	r.IgnoreInvalid(ofNoGateway)
	name := cluster.Numbered(cluster.Core, 0)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if err := writePast(ctx, r, today); err != nil {
		return err
	}
	client, err := history.NewClient(history.Options{URL: r.HistoryURL()})
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := rig.AwaitFor(ctx, "the history to have the days before today", catchUp, func() error { return hasPast(ctx, client, today) }); err != nil {
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
	// Today's file grows: without another start the next day would go while they are compared.
	if err := errors.Join(r.SetEnv(name, map[string]string{"HISTORY_MAX_BYTES": "0"}), r.Stop(name), restartHistory(ctx, r, name)); err != nil {
		return err
	}
	r.AtEnd(func(ctx context.Context) error {
		days, err := historyDays(r)
		if err != nil {
			return err
		}
		oldest, newest := days[0].start, days[len(days)-1].start
		want := int(newest.Sub(oldest)/(24*time.Hour)) + 1
		r.Check(len(days) == want && !newest.Before(today), "the history has %d days from %s to %s", len(days), oldest.Format(time.DateOnly), newest.Format(time.DateOnly))
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
	if len(days) < 2 { // on a slow machine today's file has grown into the room of all others
		return restartHistory(ctx, r, name)
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

// writePast writes readings of the days before today to device-data, with the time of the reading as that of
// the record.
func writePast(ctx context.Context, r *rig.Round, today time.Time) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers()...))
	if err != nil {
		return err
	}
	defer client.Close()
	for day := pastDays; day > 0; day-- {
		var records []*kgo.Record
		for at := today.AddDate(0, 0, -day); at.Before(today.AddDate(0, 0, 1-day)); at = at.Add(pastStep) {
			for _, device := range pastDevices {
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

// hasPast returns nil if the history has the newest readings of the past, and so all before them.
func hasPast(ctx context.Context, client *history.Client, today time.Time) error {
	answer, err := client.Series(ctx, &history.Query{Devices: pastDevices, From: today.Add(-pastStep).UnixMilli(), To: today.UnixMilli() - 1, Points: 2})
	if err != nil {
		return err
	}
	for _, s := range answer.Series {
		if len(s.Time) == 0 {
			return fmt.Errorf("%w: the last reading of %s is missing", errReads, s.DeviceID)
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
