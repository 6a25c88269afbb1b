package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/freeport"
	"industrial-iot-monitor/test/oracle"
)

// detection compares the alarms of the detector with those of one run of it over the same readings
// and commands: a second core at the end, which nothing happens to.
type detection struct {
	r *rig.Round

	mu   sync.Mutex
	seen map[string]position // of strays

	told   map[string][]feedback // by device, in order
	paused *paused               // nil: none

	once topology.Topics // of the second core
}

// position is how far device-data has the readings of a device.
type position struct {
	at        int64 // ms, timestamp of the newest
	partition int32
	next      int64 // the offset after it
}

// feedback is a command not_anomaly that was sent after a device's reading with a timestamp.
type feedback struct {
	after   int64 // ms
	command *kgo.Record
}

// paused is the stray that waits for its feedback.
type paused struct {
	resume  func()
	command *kgo.Record // as stored
}

func newDetection(r *rig.Round) *detection {
	d := &detection{r: r, seen: map[string]position{}, told: map[string][]feedback{}}
	for _, s := range r.Strays {
		d.seen[s.Device] = position{}
	}
	return d
}

// observe notes a reading that arrived.
func (d *detection) observe(x oracle.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.seen[x.Device]; ok {
		d.seen[x.Device] = position{at: x.Timestamp, partition: x.Partition, next: x.Offset + 1}
	}
}

func (d *detection) position(device string) position {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[device]
}

// tell sends the command that what the i-th stray shows is no anomaly. The device waits from before
// the command until settle returns, so that it is known between which readings the command is.
func (d *detection) tell(ctx context.Context, i int) error {
	s := d.r.Strays[i%len(d.r.Strays)]
	last, resume, err := s.Pause(ctx)
	if err != nil {
		return err
	}
	command, err := d.send(ctx, s.Device, last)
	if err != nil {
		resume()
		return err
	}
	d.told[s.Device] = append(d.told[s.Device], feedback{last, command})
	d.paused = &paused{resume, command}
	return nil
}

// send sends the command about a device once the reading with the timestamp last, its newest, is processed.
func (d *detection) send(ctx context.Context, device string, last int64) (*kgo.Record, error) {
	_, err := rig.Await(ctx, "the newest reading of "+device+" in Kafka", func() error {
		if got := d.position(device).at; got != last {
			return fmt.Errorf("%d, not %d", got, last)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p := d.position(device)
	if err := d.awaitDetectors(ctx, map[int32]int64{p.partition: p.next}); err != nil {
		return nil, err
	}
	value, err := json.Marshal(&telemetry.AlarmCommand{
		CommandID: fmt.Sprintf("%s-%d", device, last), DeviceID: device, AlertType: telemetry.AnomalyType + "power",
		Action: telemetry.ActionNotAnomaly, By: "drill", At: time.Now().UnixMilli(),
	})
	if err != nil {
		return nil, err
	}
	w, err := newWriter(d.r.Brokers())
	if err != nil {
		return nil, err
	}
	defer w.close()
	command := &kgo.Record{Topic: d.r.Topics.Commands, Partition: p.partition, Key: []byte(device), Value: value}
	return command, w.write(ctx, command)
}

// settle waits until the newest command is carried out, and lets its stray go on.
func (d *detection) settle(ctx context.Context) error {
	p := d.paused
	if p == nil {
		return nil
	}
	d.paused = nil
	defer p.resume()
	return d.awaitGroup(ctx, d.group(), p.command.Topic, map[int32]int64{p.command.Partition: p.command.Offset + 1})
}

// group returns the consumer group of core.
func (d *detection) group() string { return d.r.Env(cluster.Core, "KAFKA_GROUP_ID") }

// awaitGroup waits until a group has committed everything before the offsets next, by partition.
func (d *detection) awaitGroup(ctx context.Context, group, topic string, next map[int32]int64) error {
	limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
	defer cancel()
	_, err := rig.Await(ctx, fmt.Sprintf("group %s at the end of %s", group, topic), func() error {
		done, err := kafkatest.GroupOffsets(limit, d.r.Brokers(), group, topic)
		if err != nil {
			return err
		}
		for p, want := range next {
			if done[p] < want {
				return fmt.Errorf("partition %d: %d of %d", p, done[p], want)
			}
		}
		return nil
	})
	return err
}

// awaitDetectors waits until the cores have committed everything before the offsets next, by partition, and their
// detectors, which a start puts behind, know all of it.
func (d *detection) awaitDetectors(ctx context.Context, next map[int32]int64) error {
	if err := d.awaitGroup(ctx, d.group(), d.r.Topics.DeviceData, next); err != nil {
		return err
	}
	_, err := rig.Await(ctx, "the detectors having caught up", func() error {
		for i := range d.r.Site.Cores {
			name := cluster.Numbered(cluster.Core, i)
			owned, err := d.r.Metric(ctx, name, "core_partitions_owned")
			if err != nil {
				return err
			}
			lag, err := d.r.Metric(ctx, name, "core_detect_lag")
			if err != nil {
				return err
			}
			if owned == 0 || lag > 0 {
				return fmt.Errorf("%s owns %g partitions and is %g offsets behind", name, owned, lag)
			}
		}
		return nil
	})
	return err
}

// once is the name of the second core, and the end of the names of its topics, group and transactions.
const once = "core-once"

// launch starts the second core, which waits for readings.
func (d *detection) launch(ctx context.Context) error {
	d.once = topology.Suffixed(strings.TrimPrefix(d.r.Topics.DeviceData, topology.Suffixed("").DeviceData) + "-" + once)
	d.once.Rules = d.r.Topics.Rules
	addr, err := freeport.Addresses(1)
	if err != nil {
		return err
	}
	env := cluster.TopicEnv(d.once)
	maps.Copy(env, map[string]string{
		"CORE_HTTP_ADDR": addr[0], "KAFKA_GROUP_ID": d.group() + "-" + once, "CORE_TXN_PREFIX": d.r.Env(cluster.Core, "CORE_TXN_PREFIX") + once,
		"HISTORY": "off", "HUB_URL": "nats://127.0.0.1:1", // neither screens nor the other cores shall take it for one of the plant's
	})
	return errors.Join(
		d.r.AddLike(once, cluster.Core, addr[0], env),
		kafka.EnsureTopics(ctx, slog.New(slog.DiscardHandler), kafka.At(d.r.Brokers()...), d.once.Specs().DeviceData),
		d.r.Launch(once),
	)
}

// check runs the detector once over what is in device-data, and compares.
func (d *detection) check(ctx context.Context) error {
	start := time.Now()
	ends, n, err := d.replay(ctx)
	if err := errors.Join(err, d.r.Stop(once)); err != nil {
		return err
	}
	took := time.Since(start).Round(10 * time.Millisecond)
	if err := d.awaitDetectors(ctx, ends); err != nil {
		return err
	}
	a := oracle.NewAnomalies()
	if err := errors.Join(d.alerts(ctx, d.r.Topics.Alerts, a.Got), d.alerts(ctx, d.once.Alerts, a.Want)); err != nil {
		return err
	}
	v := a.Verdict(func(device string) bool { return d.r.ClockOffset(device) != 0 }) // a restart learns a wrong clock again
	told := 0
	for _, all := range d.told {
		told += len(all)
	}
	d.r.Note("%s, compared with one run over %d readings, which took %s", &v, n, took)
	err = v.Err()
	d.r.Check(err == nil, "%v", err)
	d.r.Check(v.Accepted == told, "%d commands not_anomaly ended %d alarms", told, v.Accepted)
	return nil
}

// replay copies device-data for the second core, with each command between the readings where it was,
// and waits until they are processed. It returns the ends of the original's partitions and how many readings
// there are.
func (d *detection) replay(ctx context.Context) (ends map[int32]int64, n int, err error) {
	in, err := kafkatest.NewReader(d.r.Brokers(), d.r.Topics.DeviceData)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	w, err := newWriter(d.r.Brokers())
	if err != nil {
		return nil, 0, err
	}
	defer w.close()
	limit, cancel := context.WithTimeout(ctx, 2*rig.WaitTimeout)
	defer cancel()
	group := d.r.Env(once, "KAFKA_GROUP_ID")
	ends = map[int32]int64{}
	err = in.CatchUp(limit, func(rec *kgo.Record) error {
		n++
		ends[rec.Partition] = rec.Offset + 1
		w.add(limit, &kgo.Record{
			Topic: d.once.DeviceData, Partition: rec.Partition, Key: rec.Key, Value: rec.Value, Headers: rec.Headers, Timestamp: rec.Timestamp,
		})
		c, err := d.commandAfter(rec)
		if c == nil || err != nil {
			return err
		}
		next, err := w.flush(limit)
		if err != nil {
			return err
		}
		if err := d.awaitGroup(limit, group, d.once.DeviceData, map[int32]int64{rec.Partition: next[rec.Partition]}); err != nil {
			return err
		}
		c.Topic = d.once.Commands
		if err := w.write(limit, c); err != nil {
			return err
		}
		return d.awaitGroup(limit, group, d.once.Commands, map[int32]int64{c.Partition: c.Offset + 1})
	})
	if err != nil {
		return nil, 0, err
	}
	next, err := w.flush(limit)
	if err != nil {
		return nil, 0, err
	}
	return ends, n, d.awaitGroup(limit, group, d.once.DeviceData, next)
}

// commandAfter returns a copy, without a topic, of the command that was carried out after a reading, nil for none.
func (d *detection) commandAfter(rec *kgo.Record) (*kgo.Record, error) {
	told := d.told[string(rec.Key)]
	if len(told) == 0 {
		return nil, nil
	}
	x, err := oracle.Decode(rec)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(told, func(f feedback) bool { return f.after == x.Timestamp })
	if i < 0 {
		return nil, nil
	}
	c := told[i].command
	return &kgo.Record{Partition: c.Partition, Key: c.Key, Value: c.Value}, nil
}

// alerts calls each for the records of a topic of alerts.
func (d *detection) alerts(ctx context.Context, topic string, each func(*telemetry.Alert)) error {
	limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
	defer cancel()
	return oracle.Read(limit, d.r.Brokers(), topic, func(rec *kgo.Record) error {
		var a telemetry.Alert
		if err := json.Unmarshal(rec.Value, &a); err != nil {
			return fmt.Errorf("%s %d/%d: %w", topic, rec.Partition, rec.Offset, err)
		}
		each(&a)
		return nil
	})
}
