package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/sensors"
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
			Expects: "the history has each value in device-data once, and no other", Times: 50, Quick: 2, Site: site, Run: killHistory,
		},
		{
			Name: "history-damage", Breaks: "core is killed, and today's file of the history is overwritten",
			Expects: "the file is set aside and made again from Kafka; the history has each value once", Times: 3, Quick: 1, Site: site, Run: damageHistory,
		},
		{
			Name: "history-full", Breaks: "the disk of the history fills up, and is freed again",
			Expects: "core works on, what is not written waits in Kafka; the history has each value once", Times: 3, Quick: 1, Site: site, Possible: canMount, Run: fillHistoryDisk,
		},
		{
			Name: "history-bytes", Breaks: "core is killed (kill -9), and HISTORY_MAX_BYTES is less than the history has: its oldest day has to go",
			Expects: "the oldest days are gone and no other; the history has each value of the others once", Times: 4, Site: site, Run: boundHistory,
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
		if err := restartHistory(ctx, r, name); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error { return compareHistory(ctx, r, 0) })
	return nil
}

// restartHistory starts core and waits until the history reads: a kill before that, while it waits for
// its group to notice the last one, would hit nothing.
func restartHistory(ctx context.Context, r *rig.Round, name string) error {
	if err := restart(ctx, r, name, "ready again", 0); err != nil {
		return err
	}
	took, err := rig.Await(ctx, "the history to read again", func() error { return behind(ctx, r, name, 1) })
	if err == nil {
		r.Recovered("the history reads again, after core was ready", took, 0)
	}
	return err
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
		if err := restartHistory(ctx, r, name); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error {
		if err := compareHistory(ctx, r, 0); err != nil {
			return err
		}
		aside, err := filepath.Glob(filepath.Join(historyDir(r), "*.damaged-*"))
		r.Check(err != nil || len(aside) > 0, "no damaged file was set aside")
		return err
	})
	return nil
}

func fillHistoryDisk(ctx context.Context, r *rig.Round) error {
	return onSmallDisk(ctx, r, "256m", func(small string) error { return fillHistory(ctx, r, small) })
}

// fillHistory moves the history to a small disk, fills it, frees it and moves the history home.
func fillHistory(ctx context.Context, r *rig.Round, small string) (err error) {
	name := cluster.Numbered(cluster.Core, 0)
	home, last := r.Env(name, "CORE_DATA_DIR"), context.WithoutCancel(ctx)
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
	r.AtEnd(func(ctx context.Context) error { return compareHistory(ctx, r, 0) })
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

// moment is a reading of a device, kept small: all those of a drill are in memory at once, and programs
// that the drill starts inherit its peak in what the system reports of theirs.
type moment struct {
	device string
	at     int64
}

// content is what a reading has: its sensors, and the sum of the hashes of their names and values.
type content struct {
	sensors int
	sum     uint64
}

func (c *content) add(seed maphash.Seed, name string, value any) {
	c.sensors++
	c.sum += maphash.Comparable(seed, [2]any{name, value})
}

// comparison compares the history with device-data, value by value. Devices with wrong clocks are left
// out: their readings are kept on plant time. So are readings in device-data from before a time.
type comparison struct {
	r     *rig.Round
	from  int64 // ms
	seed  maphash.Seed
	names map[string]string // of devices, each once
}

// catchUp is how long the history may take for what Kafka gained while it was broken.
const catchUp = 10 * time.Minute

var errReads = errors.New("the history still reads")

// compareHistory checks that the history has what device-data has since a time in ms, and nothing else.
func compareHistory(ctx context.Context, r *rig.Round, from int64) error {
	name := cluster.Numbered(cluster.Core, 0)
	// First: a comparison of millions of readings takes longer than a wait for the last of them.
	_, err := rig.AwaitFor(ctx, "the history to catch up", catchUp, func() error {
		lag, err := r.Metric(ctx, name, "core_history_lag_records")
		if err == nil && lag > 0 {
			err = fmt.Errorf("%w: %v records to go", errReads, lag)
		}
		return err
	})
	if err != nil {
		r.Check(false, "%v", err)
		return ctx.Err()
	}
	c := comparison{r, from, maphash.MakeSeed(), make(map[string]string)}
	compared := 0
	_, err = rig.Await(ctx, "the history to be complete", func() error {
		records, readings, err := c.inKafka(ctx)
		if err != nil {
			return err
		}
		compared = len(records)
		if readings != compared {
			return fmt.Errorf("device-data has %d readings with %d times", readings, compared)
		}
		return c.differs(ctx, records)
	})
	r.Check(err == nil, "%v", err)
	r.Note("%d readings compared, value by value", compared)
	return ctx.Err()
}

func (c *comparison) moment(device string, at int64) moment {
	name, ok := c.names[device]
	if !ok {
		name = strings.Clone(device)
		c.names[name] = name
	}
	return moment{name, at}
}

// inKafka reads device-data, in the units of the plant, and returns how many readings it has.
func (c *comparison) inKafka(ctx context.Context) (map[moment]content, int, error) {
	in, err := kafkatest.NewReader(c.r.Brokers(), c.r.Topics.DeviceData)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	catalogue := sensors.Default()
	out, n := make(map[moment]content), 0
	var reading telemetry.Reading
	err = in.CatchUp(ctx, func(rec *kgo.Record) error {
		if err := wire.DecodeReading(rec.Value, &reading, nil); err != nil {
			return fmt.Errorf("device-data %d/%d: %w", rec.Partition, rec.Offset, err)
		}
		if c.r.ClockOffset(reading.DeviceID) != 0 || len(reading.Sensors) == 0 || reading.Timestamp < c.from {
			return nil
		}
		n++
		var has content
		for i := range reading.Sensors {
			s := &reading.Sensors[i]
			switch s.Kind {
			case telemetry.Text:
				has.add(c.seed, s.Name, strings.Clone(s.Text))
			case telemetry.Bool:
				has.add(c.seed, s.Name, s.Number != 0)
			default:
				v, known := catalogue.Convert(s.Name, s.Unit, s.Number)
				if !known {
					v = s.Number
				}
				has.add(c.seed, s.Name, v)
			}
		}
		out[c.moment(reading.DeviceID, reading.Timestamp)] = has
		return nil
	})
	return out, n, err
}

// differs reads the whole history and returns the first difference from the records.
func (c *comparison) differs(ctx context.Context, records map[moment]content) (err error) {
	client, err := history.NewClient(history.Options{URL: c.r.HistoryURL()})
	if err != nil {
		return err
	}
	defer client.Close()
	now := time.Now()
	body, err := client.Export(ctx, &history.ExportQuery{Format: history.NDJSON, From: now.AddDate(0, 0, -2*pastDays).UnixMilli(), To: now.Add(48 * time.Hour).UnixMilli()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	lines := json.NewDecoder(bufio.NewReaderSize(body, 64<<10))
	kept, last := 0, moment{}
	for {
		var line struct {
			DeviceID  string `json:"device_id"`
			Timestamp int64  `json:"timestamp"`
			Sensors   map[string]struct {
				Value any `json:"value"`
			} `json:"sensors"`
		}
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("reading the export: %w", err)
		}
		if c.r.ClockOffset(line.DeviceID) != 0 {
			continue
		}
		var has content
		for name, s := range line.Sensors {
			has.add(c.seed, name, s.Value)
		}
		id := c.moment(line.DeviceID, line.Timestamp)
		switch want, ok := records[id]; {
		case id == last:
			return fmt.Errorf("the history has %s at %d twice", id.device, id.at)
		case !ok:
			return fmt.Errorf("the history has %s at %d, device-data does not", id.device, id.at)
		case has != want:
			return fmt.Errorf("%s at %d has %d sensors in the history and %d in device-data, or other values", id.device, id.at, has.sensors, want.sensors)
		}
		kept, last = kept+1, id
	}
	if kept != len(records) {
		return fmt.Errorf("the history has %d readings, device-data %d", kept, len(records))
	}
	return nil
}
