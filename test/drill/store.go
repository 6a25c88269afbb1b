package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

// storeFaults break the portal and its database.
func storeFaults() []rig.Fault {
	site := alarming()
	return []rig.Fault{
		{
			Name: "store-kill", Breaks: "the portal is killed (kill -9) while it fills its database, and restarted",
			Expects: "the database has each audit entry once, and each alarm as it is in Kafka", Times: 50, Quick: 3, Site: site, Run: killPortal,
		},
		{
			Name: "store-damage", Breaks: "the portal is killed, and its database is overwritten",
			Expects: "the file is set aside and filled again from Kafka, each record once", Times: 5, Quick: 1, Site: site, Run: damageStore,
		},
		{
			Name: "store-full", Breaks: "the disk of the portal's database fills up, and is freed again",
			Expects: "screens are live, what is not written waits in Kafka; the database has each record once", Times: 3, Quick: 1, Site: site, Possible: canMount, Run: fillStoreDisk,
		},
	}
}

func killPortal(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 500*time.Millisecond, 2*time.Second); err != nil {
			return err
		}
		if err := r.Kill(cluster.Portal); err != nil {
			return err
		}
		r.Happened()
		if err := restart(ctx, r, cluster.Portal, "ready again", 0); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error { return compareStore(ctx, r) })
	return nil
}

func damageStore(ctx context.Context, r *rig.Round) error {
	file := r.Env(cluster.Portal, "PORTAL_STORE")
	for range r.Times {
		if err := r.Moment(ctx, 3*time.Second, 5*time.Second); err != nil {
			return err
		}
		if err := r.Kill(cluster.Portal); err != nil {
			return err
		}
		if err := overwrite(file); err != nil {
			return err
		}
		r.Happened()
		if err := restart(ctx, r, cluster.Portal, "ready again", 0); err != nil {
			return err
		}
	}
	r.AtEnd(func(ctx context.Context) error {
		if err := compareStore(ctx, r); err != nil {
			return err
		}
		aside, err := filepath.Glob(file + ".damaged-*")
		r.Check(err != nil || len(aside) > 0, "no damaged database was set aside")
		return err
	})
	return nil
}

func fillStoreDisk(ctx context.Context, r *rig.Round) error {
	return onSmallDisk(ctx, r, "64m", func(dir string) error { return fillStore(ctx, r, dir) })
}

// fillStore moves the portal's database to a small disk, fills it, frees it and moves the database home.
func fillStore(ctx context.Context, r *rig.Round, small string) (err error) {
	file := r.Env(cluster.Portal, "PORTAL_STORE")
	home, name := filepath.Split(file)
	moved := func(ctx context.Context, from, to string) error {
		if err := r.Stop(cluster.Portal); err != nil {
			return err
		}
		files, err := filepath.Glob(filepath.Join(from, name+"*"))
		if err == nil {
			err = command(ctx, "mv", append(files, to)...)
		}
		return errors.Join(err, r.SetEnv(cluster.Portal, map[string]string{"PORTAL_STORE": filepath.Join(to, name)}), r.Start(ctx, cluster.Portal))
	}
	if err := moved(ctx, home, small); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, moved(context.WithoutCancel(ctx), small, home)) }()
	for n := range r.Times {
		if _, err := rig.Await(ctx, "the database to be complete", func() error { return storeBehind(ctx, r, false) }); err != nil {
			return err
		}
		filler := filepath.Join(small, "filler")
		if err := fill(filler); err != nil {
			return err
		}
		r.Happened()
		_, err := rig.Await(ctx, "the portal to say that the disk is full", func() error { return storeFull(r, n) })
		if err == nil {
			_, err = rig.Await(ctx, "the portal to show it", func() error { return storeBehind(ctx, r, true) })
		}
		if err == nil {
			_, err = freshOnScreen(ctx, r, r.Device())
		}
		if err := errors.Join(err, os.Remove(filler)); err != nil {
			return err
		}
		took, err := rig.Await(ctx, "the database to catch up", func() error { return storeBehind(ctx, r, false) })
		if err != nil {
			return err
		}
		r.Recovered("the database has everything after the disk was freed", took, healLimit)
	}
	refused, err := r.Metric(ctx, cluster.Portal, "portal_store_records_total", `result="refused"`)
	r.Check(refused == 0, "%.0f records were left out", refused)
	r.AtEnd(func(ctx context.Context) error { return compareStore(ctx, r) })
	return err
}

var errStore = errors.New("the database")

// storeFull returns nil if the portal has said more often than n times that its database's disk is full.
func storeFull(r *rig.Round, n int) error {
	log, err := r.Logs(cluster.Portal)
	if said := strings.Count(log, "topic="+r.Topics.Audit+" err="); err == nil && said <= n {
		err = fmt.Errorf("%w: its disk was full %d times by the portal's log, want %d", errStore, said, n+1)
	}
	return err
}

// storeBehind returns nil if the portal's database lacks records of Kafka, or if it has all.
func storeBehind(ctx context.Context, r *rig.Round, want bool) error {
	s, err := portalStats(ctx, r)
	if err == nil && s.Store.Behind != want {
		err = fmt.Errorf("%w: up %t, behind %t", errStore, s.Store.Up, s.Store.Behind)
	}
	return err
}

// compareStore compares what the portal exports with Kafka: every entry of the audit trail, and every
// alarm by its newest record.
func compareStore(ctx context.Context, r *rig.Round) error {
	entries, alarms := 0, 0
	_, err := rig.Await(ctx, "the portal's database to be complete", func() error {
		wantEntries, err := trailInKafka(ctx, r)
		if err != nil {
			return err
		}
		wantAlarms, err := alarmsInKafka(ctx, r)
		if err != nil {
			return err
		}
		entries, alarms = size(wantEntries), size(wantAlarms)
		return errors.Join(
			same(ctx, r, "/api/v1/audit.csv", wantEntries, "recorded_at", "time", "device_id", "alert_id", "event", "command_id", "outcome"),
			same(ctx, r, "/api/v1/journal.csv", wantAlarms, "alert_id", "raised_at", "state", "severity"),
		)
	})
	if err != nil {
		return err
	}
	r.Note("the portal's database has %d audit entries and %d alarms, as Kafka has", entries, alarms)
	r.Check(entries > 0 && alarms > 0, "there was nothing to compare: %d entries, %d alarms", entries, alarms)
	return nil
}

// counted are rows by their text, and how often each is there.
type counted map[string]int

func (c counted) add(fields ...string) { c[strings.Join(fields, "|")]++ }

func size(c counted) (n int) {
	for _, times := range c {
		n += times
	}
	return n
}

func trailInKafka(ctx context.Context, r *rig.Round) (counted, error) {
	out := counted{}
	err := eachRecord(ctx, r, r.Topics.Audit, func(rec *kgo.Record) error {
		var e telemetry.AuditEntry
		err := json.Unmarshal(rec.Value, &e)
		out.add(timeText(rec.Timestamp.UnixMilli()), timeText(e.Time), e.DeviceID, e.AlertID, string(e.Event), e.CommandID, string(e.Outcome))
		return err
	})
	return out, err
}

func alarmsInKafka(ctx context.Context, r *rig.Round) (counted, error) {
	newest := map[string]telemetry.Alert{}
	err := eachRecord(ctx, r, r.Topics.Alerts, func(rec *kgo.Record) error {
		var a telemetry.Alert
		err := json.Unmarshal(rec.Value, &a)
		if old, known := newest[a.AlertID]; !known || a.Revision > old.Revision {
			newest[a.AlertID] = a
		}
		return err
	})
	out := counted{}
	for id, a := range newest {
		out.add(id, timeText(a.RaisedAt), string(a.State), string(a.Severity))
	}
	return out, err
}

// eachRecord calls f with every record of a topic.
func eachRecord(ctx context.Context, r *rig.Round, topic string, f func(*kgo.Record) error) error {
	in, err := kafkatest.NewReader(r.Brokers(), topic)
	if err != nil {
		return err
	}
	defer in.Close()
	return in.CatchUp(ctx, f)
}

func timeText(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// same compares columns of an export with what is wanted.
func same(ctx context.Context, r *rig.Round, path string, want counted, columns ...string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.PortalURL()+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, resp.StatusCode)
	}
	in := csv.NewReader(resp.Body)
	head, err := in.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	at := make(map[string]int, len(head))
	for i, name := range head {
		at[name] = i
	}
	got := counted{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fields := make([]string, len(columns))
		for i, name := range columns {
			fields[i] = row[at[name]]
		}
		got.add(fields...)
	}
	for row, n := range want {
		if got[row] != n {
			return fmt.Errorf("%s has %s %d times, Kafka %d; %d rows, Kafka has %d", path, row, got[row], n, size(got), size(want))
		}
	}
	if size(got) != size(want) {
		return fmt.Errorf("%s has %d rows, Kafka %d", path, size(got), size(want))
	}
	return nil
}
