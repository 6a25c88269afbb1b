package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

const (
	// floodAlarms are raised in one second.
	floodAlarms = 1000
	// floodWindow is how long latency is measured around each flood, including it.
	floodWindow = 5 * time.Second
	// floodTimeout is the limit for the last alarm.
	floodTimeout = 30 * time.Second

	ordinaryTemperature, hotTemperature = 25.6, 95.2
)

// flood is the measurement around a thousand alarms in a second.
type flood struct {
	before, raising, clearing Reception // an ordinary client
	raised, cleared           Reception // a client of the devices with alarms
	lastRaised, lastCleared   time.Duration
	records                   map[telemetry.AlarmEvent]int // in the alerts topic, of these devices
	duplicates                int
}

// runFlood runs the simulator at the first rate, raises an alarm at each of a thousand
// devices in one second, clears them in another, and prints the latency of the other
// devices meanwhile.
func runFlood(ctx context.Context, o Options, w workshop, out io.Writer) (err error) {
	t, err := newTrial(ctx, o, o.Loads[0], w, "alarms")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.start(ctx); err != nil {
		return err
	}
	f, err := t.flood(ctx)
	if err != nil {
		return err
	}
	if err := t.finish(ctx); err != nil {
		return err
	}
	if err := t.judge(ctx); err != nil {
		return err
	}
	if f.records, f.duplicates, err = t.countAlarms(ctx); err != nil {
		return err
	}
	text := f.table(revision(ctx), t)
	fmt.Fprint(out, "\n", text)
	return save(o, text, out)
}

// save writes the table of a flood to a file.
func save(o Options, text string, out io.Writer) error {
	if err := os.MkdirAll(o.Results, 0o750); err != nil {
		return err
	}
	name := filepath.Join(o.Results, time.Now().Format("20060102-150405")+"-alarms.md")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return fmt.Errorf("saving the table: %w", err)
	}
	fmt.Fprintf(out, "\nsaved as %s\n", name)
	return nil
}

// flood raises and clears the alarms and measures.
func (t *trial) flood(ctx context.Context) (*flood, error) {
	devices, err := newCrowd(t.plant.nats, t.o.Alarms)
	if err != nil {
		return nil, err
	}
	defer devices.close()
	alarms, err := newSampler(ctx, t.plant.ws, devices.ids)
	if err != nil {
		return nil, err
	}
	defer alarms.close()
	if err := sleep(ctx, t.o.Warmup); err != nil {
		return nil, err
	}
	if err := devices.send(ctx, ordinaryTemperature); err != nil {
		return nil, err
	}
	f := &flood{}
	t.some.start()
	if err := sleep(ctx, 2*floodWindow); err != nil {
		return nil, err
	}
	f.before = t.some.stop()

	raised := func() uint64 { n, _ := alarms.alarms(); return n }
	if f.raising, f.raised, f.lastRaised, err = t.wave(ctx, devices, alarms, hotTemperature, raised); err != nil {
		return nil, fmt.Errorf("raising: %w", err)
	}
	cleared := func() uint64 { _, n := alarms.alarms(); return n }
	if f.clearing, f.cleared, f.lastCleared, err = t.wave(ctx, devices, alarms, ordinaryTemperature, cleared); err != nil {
		return nil, fmt.Errorf("clearing: %w", err)
	}
	return f, nil
}

// wave lets every device of the crowd send one value within a second, and waits for their
// alarms. It returns the receptions of an ordinary client and of the alarms' client, and the
// time from the first reading to the last alarm.
func (t *trial) wave(ctx context.Context, devices *crowd, alarms *sampler, value float64, seen func() uint64) (some, all Reception, last time.Duration, err error) {
	t.some.start()
	alarms.start()
	start := time.Now()
	if err := devices.send(ctx, value); err != nil {
		return some, all, 0, err
	}
	for seen() < uint64(t.o.Alarms) && time.Since(start) < floodTimeout {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return some, all, 0, err
		}
	}
	last = time.Since(start)
	if err := sleep(ctx, max(0, floodWindow-last)); err != nil {
		return some, all, 0, err
	}
	return t.some.stop(), alarms.stop(), last, nil
}

// countAlarms counts the records of the crowd's alarms in the topic by event, and duplicates.
func (t *trial) countAlarms(ctx context.Context) (records map[telemetry.AlarmEvent]int, duplicates int, err error) {
	records = map[telemetry.AlarmEvent]int{}
	seen := map[string]bool{}
	err = oracle.Read(ctx, t.plant.Brokers(), t.plant.Topics.Alerts, func(rec *kgo.Record) error {
		a, err := wire.DecodeAlert(rec.Value)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(a.DeviceID, crowdPrefix) {
			return nil
		}
		records[a.Event]++
		key := fmt.Sprint(a.AlertID, a.Revision)
		if seen[key] {
			duplicates++
		}
		seen[key] = true
		return nil
	})
	return records, duplicates, err
}

// table shows a flood as Markdown.
func (f *flood) table(revision string, t *trial) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s: %d alarms raised in one second and cleared in another, at %s.\n\n",
		time.Now().Format("2006-01-02 15:04"), revision, t.o.Alarms, t.load)
	b.WriteString("| | before | while raised | while cleared |\n|---|---:|---:|---:|\n")
	line := func(name string, cells ...string) { fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(cells, " | ")) }
	line("other devices → WebSocket, mean / p50 / p99 / max ms", f.before.Ages.String(), f.raising.Ages.String(), f.clearing.Ages.String())
	line("device → alarm on WebSocket, mean / p50 / p99 / max ms", "–", f.raised.Raised.String(), f.cleared.Cleared.String())
	line("alarms in that", "–", strconv.FormatUint(f.raised.Raised.Count, 10), strconv.FormatUint(f.cleared.Cleared.Count, 10))
	line("first reading → last alarm", "–", f.lastRaised.Round(time.Millisecond).String(), f.lastCleared.Round(time.Millisecond).String())
	fmt.Fprintf(&b, "\nIn the alerts topic: %d raised, %d cleared, %d duplicate records. Readings: %.0f acknowledged, %.0f lost, %.0f duplicated, %.0f out of order. %s\n",
		f.records[telemetry.EventRaised], f.records[telemetry.EventCleared], f.duplicates,
		t.found[report.Acked], t.found[report.Lost], t.found[report.Duplicated], t.found[report.Disordered], strings.Join(t.notes, " "))
	return b.String()
}

// String is for tables; "–" without any.
func (a Ages) String() string {
	if a.Count == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f / %.0f", ms(a.Mean), ms(a.P50), ms(a.P99), ms(a.Max))
}

// crowdPrefix is the prefix of the ids of the crowd's devices.
const crowdPrefix = "flood_"

// crowd is devices controlled by the benchmark, at the same gateways as the simulator's.
type crowd struct {
	ids   []string
	conns []*nats.Conn
}

func newCrowd(addresses []string, n int) (*crowd, error) {
	c := &crowd{}
	for i := range n {
		c.ids = append(c.ids, fmt.Sprintf("%s%04d", crowdPrefix, i))
	}
	for _, addr := range addresses {
		nc, err := nats.Connect("nats://" + addr)
		if err != nil {
			c.close()
			return nil, fmt.Errorf("connecting to %s: %w", addr, err)
		}
		c.conns = append(c.conns, nc)
	}
	return c, nil
}

func (c *crowd) close() {
	for _, nc := range c.conns {
		nc.Close()
	}
}

// send publishes one reading of every device, spread over a second. It returns an error
// unless all are acknowledged.
func (c *crowd) send(ctx context.Context, temperature float64) error {
	answers := make(chan *nats.Msg, len(c.ids))
	inboxes := make([]string, len(c.conns))
	for k, nc := range c.conns {
		inboxes[k] = nc.NewInbox()
		sub, err := nc.ChanSubscribe(inboxes[k], answers)
		if err != nil {
			return fmt.Errorf("subscribing to answers: %w", err)
		}
		defer sub.Unsubscribe() //nolint:errcheck,revive // the connection is closed soon
	}
	start := time.Now()
	for i, id := range c.ids {
		if err := sleep(ctx, time.Until(start.Add(time.Duration(i)*time.Second/time.Duration(len(c.ids))))); err != nil {
			return err
		}
		k := i % len(c.conns)
		body := crowdReading(id, cluster.Building(k), time.Now().UnixMilli(), temperature)
		if err := c.conns[k].PublishRequest(wire.TelemetrySubject(id), inboxes[k], body); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	timeout := time.NewTimer(floodTimeout)
	defer timeout.Stop()
	for range c.ids {
		select {
		case m := <-answers:
			if r, err := wire.DecodeReply(m.Data); err != nil || r.Error != nil {
				return fmt.Errorf("a reading was not accepted: %s", m.Data)
			}
		case <-timeout.C:
			return errors.New("readings were not acknowledged in time")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func crowdReading(id, building string, timestamp int64, temperature float64) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":%q,"floor":1,"room":"101"},`+
		`"sensors":{"temperature":{"value":%g,"unit":"°C","status":"normal"}}}`, id, timestamp, building, temperature)
}
