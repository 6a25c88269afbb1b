//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

// run is one run of all programs with both simulators.
type run struct {
	*cluster.Cluster
	dir    string
	fleets []*fleet.Fleet
	from   int64 // ms, before the first reading
	to     int64 // ms, after the last reading
}

// newRun starts all programs and defines the simulators.
func newRun(t *testing.T) *run {
	t.Helper()
	r := &run{Cluster: startCluster(t), dir: t.TempDir()}
	for _, part := range parts {
		f, err := fleet.New(fleet.Options{
			Devices: devices / len(parts), First: part.first, Seed: 1, Variance: 0.1, Interval: interval, Faults: faults, Mixed: true,
			Buildings: []string{cluster.Building(0), cluster.Building(1), cluster.Building(2)},
		})
		require.NoError(t, err)
		r.fleets = append(r.fleets, f)
		part.add(r.Cluster, r.dir)
	}
	r.from = time.Now().UnixMilli()
	return r
}

func (r *run) startSims(t *testing.T) {
	t.Helper()
	for _, part := range parts {
		require.NoError(t, r.Start(t.Context(), part.name))
	}
}

func (r *run) stopSims(t *testing.T) {
	t.Helper()
	for _, part := range parts {
		require.NoError(t, r.Stop(part.name))
	}
	r.to = time.Now().UnixMilli()
}

// readings are the timestamps in device-data by device.
type readings map[string]map[int64]bool

// judge waits until every acknowledged reading is in device-data and no more records arrive,
// compares the values with those the devices sent, and returns the verdict.
func (r *run) judge(t *testing.T) (oracle.Verdict, readings) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	o := oracle.New()
	for _, part := range parts {
		require.NoError(t, o.ReadLedgerFile(part.ledger(r.dir)))
	}
	in, err := kafkatest.NewReader(r.Brokers(), r.Topics.DeviceData)
	require.NoError(t, err)
	defer in.Close()
	stored := readings{}
	values := r.values()
	each := func(rec *kgo.Record) error {
		x, err := oracle.Decode(rec)
		if err != nil {
			return err
		}
		if want := values(x.Device, x.Timestamp); string(rec.Value) != want {
			return fmt.Errorf("record %d/%d: value %s, the device sent %s", rec.Partition, rec.Offset, rec.Value, want)
		}
		if stored[x.Device] == nil {
			stored[x.Device] = map[int64]bool{}
		}
		stored[x.Device][x.Timestamp] = true
		o.Stored(x)
		return nil
	}
	for {
		before := o.Verdict()
		require.NoError(t, in.CatchUp(ctx, each))
		now := o.Verdict()
		if now.Lost == 0 && now.Records == before.Records {
			return now, stored
		}
		select {
		case <-ctx.Done(): // missing readings will not arrive any more
			return now, stored
		case <-time.After(3 * time.Second): // longer than a transaction or a replay takes to start
		}
	}
}

// values returns a function that generates the text a device sent: a fleet generates the same
// reading for the same time.
func (r *run) values() func(device string, timestamp int64) string {
	index := map[string]int{}
	var generators []*fleet.Generator
	for k, f := range r.fleets {
		generators = append(generators, f.Generator())
		for i := range f.Len() {
			index[f.ID(i)] = k*devices/len(parts) + i
		}
	}
	return func(device string, timestamp int64) string {
		i, ok := index[device]
		if !ok {
			return "nothing: there is no such device"
		}
		n := devices / len(parts)
		return string(generators[i/n].Append(nil, i%n, timestamp))
	}
}

func TestEveryAcknowledgedReadingIsInKafkaOnceInOrder(t *testing.T) {
	r := newRun(t)
	w := connect(t, r.WebSocketURL())
	r.startSims(t)
	wait(t, duration(t))
	r.stopSims(t)

	v, stored := r.judge(t)
	t.Log(v.String())
	require.NoError(t, v.Err())
	require.Zero(t, v.Foreign, "the simulators waited for the last acknowledgement")
	require.Len(t, stored, devices)
	enough := int(duration(t)/interval) * devices * 9 / 10
	require.Greater(t, v.Acked, enough, "the devices kept their pace")

	alerts := r.alerts(t)
	r.requireAlerts(t, alerts, stored)
	w.requireSeen(t, r, alerts)
	require.Empty(t, r.deadLetters(t))
}

// Each program is ended and restarted once, one after the other.
func TestNothingIsLostAcrossRestarts(t *testing.T) {
	for name, end := range map[string]os.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			r.startSims(t)
			names := []string{cluster.Gateway(0), cluster.Bridge, cluster.Core, cluster.Portal, parts[0].name, parts[1].name}
			pause := duration(t) / time.Duration(2*len(names)+1)
			for _, name := range names {
				wait(t, pause)
				if end == syscall.SIGTERM {
					require.NoError(t, r.Stop(name))
				} else {
					require.NoError(t, r.Kill(name))
				}
				wait(t, pause)
				ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
				require.NoError(t, r.Start(ctx, name))
				cancel()
			}
			wait(t, pause)
			r.stopSims(t)

			v, stored := r.judge(t)
			t.Log(v.String())
			require.NoError(t, v.Err())
			require.Len(t, stored, devices)
			r.requireAlerts(t, r.alerts(t), stored)
			require.Empty(t, r.deadLetters(t))
		})
	}
}

// wait lets the cluster run for a while.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
