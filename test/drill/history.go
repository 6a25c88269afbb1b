package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

// historyFaults break the historian and its files. It writes often here, so that it is hit in the
// middle of it.
func historyFaults() []rig.Fault {
	site := rig.Site{Env: "HISTORY_FLUSH=2s"}
	return []rig.Fault{
		{
			Name: "history-kill", Breaks: "the core that keeps the history is killed (kill -9), and restarted",
			Expects: "the history has each value in device-data once, and no other", Times: 50, Quick: 4, Site: site, Run: killHistory,
		},
		{
			Name: "history-damage", Breaks: "core is killed, and today's file of the history is overwritten",
			Expects: "the file is set aside and made again from Kafka; the history has each value once", Times: 3, Quick: 1, Site: site, Run: damageHistory,
		},
		{
			Name: "history-full", Breaks: "the disk of the history fills up, and is freed again",
			Expects: "core works on, what is not written waits in Kafka; the history has each value once", Times: 3, Quick: 1, Site: site, Possible: canMount, Run: fillHistoryDisk,
		},
	}
}

func killHistory(ctx context.Context, r *rig.Round) error {
	name := cluster.Numbered(cluster.Core, 0)
	for range r.Times {
		if err := r.Moment(ctx, time.Second, 4*time.Second); err != nil {
			return err
		}
		if err := r.Kill(name); err != nil {
			return err
		}
		r.Happened()
		if err := restart(ctx, r, name, "ready again", 0); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error { return compareHistory(ctx, r) })
	return nil
}

func damageHistory(ctx context.Context, r *rig.Round) error {
	name := cluster.Numbered(cluster.Core, 0)
	for range r.Times {
		if err := r.Moment(ctx, 3*time.Second, 5*time.Second); err != nil {
			return err
		}
		if err := r.Kill(name); err != nil {
			return err
		}
		today := filepath.Join(historyDir(r), time.Now().UTC().Format(time.DateOnly)+".db")
		if err := overwrite(today); err != nil {
			return err
		}
		r.Happened()
		if err := restart(ctx, r, name, "ready again", 0); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error {
		if err := compareHistory(ctx, r); err != nil {
			return err
		}
		aside, err := filepath.Glob(filepath.Join(historyDir(r), "*.damaged-*"))
		r.Check(err != nil || len(aside) > 0, "no damaged file was set aside")
		return err
	})
	return nil
}

// fillHistoryDisk moves the history to a small disk, fills it, frees it and moves the history home.
func fillHistoryDisk(ctx context.Context, r *rig.Round) (err error) {
	name := cluster.Numbered(cluster.Core, 0)
	home, small := r.Env(name, "CORE_DATA_DIR"), filepath.Join(r.Dir, "small")
	if err := os.MkdirAll(small, 0o750); err != nil {
		return err
	}
	if err := command(ctx, "mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", small); err != nil {
		return err
	}
	last := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, command(last, "umount", small)) }()
	moved := func(ctx context.Context, from, to string) error {
		return errors.Join(r.Stop(name), command(ctx, "cp", "-a", from+"/.", to), r.SetEnv(name, map[string]string{"CORE_DATA_DIR": to}), r.Start(ctx, name))
	}
	if err := moved(ctx, home, small); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home), os.MkdirAll(home, 0o750), moved(last, small, home)) }()
	for range r.Times {
		if err := r.Moment(ctx, 2*time.Second, 4*time.Second); err != nil {
			return err
		}
		filler := filepath.Join(small, "filler")
		if err := fill(filler); err != nil {
			return err
		}
		r.Happened()
		_, err := rig.Await(ctx, "the history to fall behind", func() error { return behind(ctx, r, name, 5000) })
		if err := errors.Join(err, os.Remove(filler)); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error { return compareHistory(ctx, r) })
	return nil
}

var errKeepsUp = errors.New("the history keeps up")

// behind returns nil if the history has not read that many records.
func behind(ctx context.Context, r *rig.Round, name string, records float64) error {
	lag, err := r.Metric(ctx, name, "core_history_lag_records")
	if err == nil && lag < records {
		err = errKeepsUp
	}
	return err
}

// historyDir is where the files of the history are.
func historyDir(r *rig.Round) string {
	return filepath.Join(r.Env(cluster.Numbered(cluster.Core, 0), "CORE_DATA_DIR"), "history")
}

// overwrite replaces the pages of a database behind the first one, and removes its journal, which may
// have them once more.
func overwrite(path string) error {
	if err := os.Remove(path + "-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	for at := int64(8192); err == nil && at < info.Size(); at += 8192 {
		_, err = f.WriteAt(make([]byte, 8192), at)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// measured is one value of a sensor.
type measured struct {
	value any
	unit  string
}

type moment struct {
	device string
	at     int64
}

// compareHistory compares the history with device-data, value by value. Devices with wrong clocks are
// left out: their readings are kept on plant time.
func compareHistory(ctx context.Context, r *rig.Round) error {
	var kept map[moment]map[string]measured
	_, err := rig.Await(ctx, "the history to be complete", func() error {
		records, readings, err := inKafka(ctx, r)
		if err != nil {
			return err
		}
		if kept, err = exported(ctx, r); err != nil {
			return err
		}
		if len(kept) != len(records) {
			return fmt.Errorf("the history has %d readings, device-data %d", len(kept), len(records))
		}
		return differs(records, kept, readings)
	})
	r.Check(err == nil, "%v", err)
	r.Note("%d readings compared, value by value", len(kept))
	return ctx.Err()
}

// differs returns the first difference. readings is how many records there are: one more than times
// means that a reading is in device-data twice.
func differs(records map[moment]telemetry.Sensors, kept map[moment]map[string]measured, readings int) error {
	if readings != len(records) {
		return fmt.Errorf("device-data has %d readings with %d times", readings, len(records))
	}
	for id, sensors := range records {
		got, ok := kept[id]
		if !ok {
			return fmt.Errorf("the history lacks %s at %d", id.device, id.at)
		}
		if len(got) != len(sensors) {
			return fmt.Errorf("the history has %d sensors of %s at %d, the device sent %d", len(got), id.device, id.at, len(sensors))
		}
		for i := range sensors {
			s := &sensors[i]
			m, ok := got[s.Name]
			if want := plain(s); !ok || m.unit == s.Unit && m.value != want {
				return fmt.Errorf("%s of %s at %d is %v %s in the history, the device sent %v %s", s.Name, id.device, id.at, m.value, m.unit, want, s.Unit)
			}
		}
	}
	return nil
}

// plain returns a value as JSON has it.
func plain(s *telemetry.Sensor) any {
	switch s.Kind {
	case telemetry.Text:
		return s.Text
	case telemetry.Bool:
		return s.Number != 0
	default:
		return s.Number
	}
}

// inKafka reads device-data.
func inKafka(ctx context.Context, r *rig.Round) (map[moment]telemetry.Sensors, int, error) {
	in, err := kafkatest.NewReader(r.Brokers(), r.Topics.DeviceData)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	out, n := make(map[moment]telemetry.Sensors), 0
	err = in.CatchUp(ctx, func(rec *kgo.Record) error {
		var reading telemetry.Reading
		if err := wire.DecodeReading(rec.Value, &reading, nil); err != nil {
			return fmt.Errorf("device-data %d/%d: %w", rec.Partition, rec.Offset, err)
		}
		if r.ClockOffset(reading.DeviceID) == 0 && len(reading.Sensors) > 0 {
			n++
			copied := reading.Clone()
			out[moment{copied.DeviceID, copied.Timestamp}] = copied.Sensors
		}
		return nil
	})
	return out, n, err
}

// exported reads the whole history.
func exported(ctx context.Context, r *rig.Round) (out map[moment]map[string]measured, err error) {
	c, err := history.NewClient(r.HistoryURL())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	now := time.Now()
	body, err := c.Export(ctx, &history.ExportQuery{Format: history.NDJSON, From: now.Add(-48 * time.Hour).UnixMilli(), To: now.Add(48 * time.Hour).UnixMilli()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	out = make(map[moment]map[string]measured)
	lines := json.NewDecoder(bufio.NewReaderSize(body, 1<<20))
	for {
		var line struct {
			DeviceID  string `json:"device_id"`
			Timestamp int64  `json:"timestamp"`
			Sensors   map[string]struct {
				Value any    `json:"value"`
				Unit  string `json:"unit"`
			} `json:"sensors"`
		}
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the export: %w", err)
		}
		if r.ClockOffset(line.DeviceID) != 0 {
			continue
		}
		id := moment{line.DeviceID, line.Timestamp}
		if out[id] != nil {
			return nil, fmt.Errorf("the history has %s at %d twice", id.device, id.at)
		}
		values := make(map[string]measured, len(line.Sensors))
		for name, s := range line.Sensors {
			values[name] = measured{s.Value, s.Unit}
		}
		out[id] = values
	}
}
