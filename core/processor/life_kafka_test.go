package processor

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// newest returns the newest record of a key of a compacted topic, and whether there is one.
func (p *env) newest(topic, key string) (kafkatest.Record, bool) {
	p.t.Helper()
	var found kafkatest.Record
	known := false
	for _, r := range kafkatest.ReadAll(p.t, p.cfg.Brokers, topic, 0, waitTimeout) {
		if string(r.Key) == key {
			found, known = r, true
		}
	}
	return found, known
}

// requireDeleted checks that the newest record of a key is a tombstone.
func (p *env) requireDeleted(key string) {
	p.t.Helper()
	for _, topic := range []string{p.cfg.DeviceState, p.cfg.AlarmState, p.cfg.DeviceMeta} {
		r, known := p.newest(topic, key)
		require.True(p.t, known, topic)
		require.Nil(p.t, r.Value, topic)
	}
}

func ofEvent(e telemetry.AlarmEvent) func(*telemetry.Alert) bool {
	return func(a *telemetry.Alert) bool { return a.Event == e }
}

// receivedAt is a reading that its gateway received at a time.
func receivedAt(r kafkatest.Record, at int64) kafkatest.Record {
	for i := range r.Headers {
		if r.Headers[i].Key == wire.HeaderReceived {
			r.Headers[i].Value = strconv.AppendInt(nil, at, 10)
		}
	}
	return r
}

// TestDeviceIsRemovedAndComesBackAsANewOne follows a device through removal, a restart, the
// readings that its gateway had kept, and its return; with the records of Kafka as they are, and
// as they are after compaction has dropped old values and tombstones.
func TestDeviceIsRemovedAndComesBackAsANewOne(t *testing.T) {
	t.Parallel()
	for _, compacted := range []bool{false, true} {
		t.Run(fmt.Sprint("compacted ", compacted), func(t *testing.T) {
			t.Parallel()
			p := newEnv(t)
			p.createInput(1)
			if compacted { // Kafka deletes records at a test's request only where it may delete any
				for _, topic := range []string{p.cfg.DeviceState, p.cfg.AlarmState, p.cfg.DeviceMeta} {
					require.NoError(t, kafka.EnsureTopics(t.Context(), discardLog(), p.cfg.Cluster, kafka.Topic{Name: topic, Partitions: 1}))
				}
			}
			c := p.startReady()
			now := time.Now().UnixMilli()
			p.produce(reading("d1", now-5000, 99), reading("d2", now-5000, 20))
			old := p.alerts(1)[0]
			p.send(describeCommand("n1", "d1", now, named("Boiler")))
			p.audits(1, commanded)
			p.send(removeCommand("r1", "d1", now), removeCommand("r1", "d1", now))
			p.audits(2, commanded)
			closed := p.await(1, ofEvent(telemetry.EventRemoved))
			require.Len(t, closed, 1)
			require.Equal(t, old.AlertID, closed[0].AlertID)
			c.eventually(t, 1, "core_devices_removed_total", "command")
			why := p.explain(closed[0])
			require.Empty(t, why.Error, "the readings outlive the device")
			require.Len(t, why.Samples, 1)
			require.Equal(t, telemetry.EventRaised, why.Samples[0].Event)
			c.stop()
			p.requireDeleted("d1")
			if compacted {
				p.compact("d1")
			}

			c = p.startReady()
			require.Equal(t, 1, c.session.Load().deviceCount(), "d2 is restored")
			p.send(removeCommand("r1", "d1", now))
			p.produce(receivedAt(reading("d1", now-4000, 99), now-4000))
			c.eventually(t, 1, "core_removed_readings_total")
			require.Equal(t, 1, c.session.Load().deviceCount())
			p.produce(reading("d1", time.Now().UnixMilli(), 99))
			raised := p.await(2, ofEvent(telemetry.EventRaised))
			require.Len(t, raised, 2)
			require.NotEqual(t, old.AlertID, raised[1].AlertID)
			require.EqualValues(t, 1, raised[1].Revision)
			c.stop()
			require.Len(t, p.audits(2, commanded), 2, "each command once")
			require.Len(t, p.await(1, ofEvent(telemetry.EventRemoved)), 1)
			state, known := p.newest(p.cfg.DeviceState, "d1")
			require.True(t, known)
			require.NotNil(t, state.Value)
			meta, _ := p.newest(p.cfg.DeviceMeta, "d1")
			require.Nil(t, meta.Value, "its name went with it")
		})
	}
}

// compact drops what compaction may drop of a removed device: its values and tombstones, with all
// that is before them. d2 is written again, as compaction keeps it.
func (p *env) compact(removed string) {
	p.t.Helper()
	admin, err := sarama.NewClusterAdmin(p.cfg.Brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, admin.Close()) }()
	for _, topic := range []string{p.cfg.DeviceState, p.cfg.AlarmState, p.cfg.DeviceMeta} {
		kept, known := p.newest(topic, "d2")
		gone, _ := p.newest(topic, removed)
		require.Nil(p.t, gone.Value)
		require.NoError(p.t, admin.DeleteRecords(topic, map[int32]int64{0: gone.Offset + 1}))
		if known {
			kafkatest.Produce(p.t, p.cfg.Brokers, topic, 0, kafkatest.Record{Key: kept.Key, Value: kept.Value})
		}
		_, known = p.newest(topic, removed)
		require.False(p.t, known, topic)
	}
}

// TestRemovalIsAppliedOnceWhateverFails removes each of many devices, the command sent twice,
// while members join and leave and transactions are aborted.
func TestRemovalIsAppliedOnceWhateverFails(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(4)
	const rounds, each = 6, 8
	device := func(n, i int) string { return fmt.Sprintf("d%d-%d", n, i) }
	first := p.startReady()
	now := time.Now().UnixMilli()
	for n := range rounds {
		for i := range each {
			p.produce(reading(device(n, i), now, 99))
		}
	}
	p.alerts(rounds * each)
	var second *core
	for n := range rounds {
		switch n {
		case 1:
			second = p.start()
		case 2, 4:
			require.NoError(t, p.steal("0").Close())
		case 3:
			first.stop()
		}
		for i := range each {
			c := removeCommand("r-"+device(n, i), device(n, i), now)
			p.send(c, c)
			if i == n {
				require.NoError(t, p.steal(strconv.Itoa(i%4)).Close()) // between a command and its commit, or not
			}
		}
	}
	p.audits(rounds*each, commanded)
	second.stop()
	entries := p.audits(rounds*each, commanded)
	require.Len(t, entries, rounds*each)
	for _, e := range entries {
		require.Equal(t, telemetry.OutcomeApplied, e.Outcome, e.DeviceID)
		require.Equal(t, "somebody", e.By)
	}
	closed := map[string]int{}
	for _, a := range p.await(rounds*each, ofEvent(telemetry.EventRemoved)) {
		closed[a.DeviceID]++
	}
	require.Len(t, closed, rounds*each)
	for n := range rounds {
		for i := range each {
			require.Equal(t, 1, closed[device(n, i)])
			p.requireDeleted(device(n, i))
		}
	}
}

// TestSilentDeviceIsForgottenAcrossRestarts starts with the record of a device that fell silent
// 31 days ago.
func TestSilentDeviceIsForgottenAcrossRestarts(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(1)
	p.startReady().stop() // creates the topics
	long := time.Now().Add(-31 * 24 * time.Hour).UnixMilli()
	for id, since := range map[string]int64{"gone": long, "silent": time.Now().UnixMilli() - 60_000} {
		state, err := json.Marshal(telemetry.DeviceState{
			DeviceID: id, Presence: telemetry.PresenceOffline, Since: since, LastSeen: since, IntervalMS: 1000, Gateway: "direct",
		})
		require.NoError(t, err)
		kafkatest.Produce(t, p.cfg.Brokers, p.cfg.DeviceState, 0, kafkatest.Record{Key: []byte(id), Value: state})
	}
	c := p.startReady()
	c.eventually(t, 1, "core_devices_removed_total", "forgotten")
	entry := p.audits(1, func(e *telemetry.AuditEntry) bool { return e.Outcome == telemetry.OutcomeForgotten })[0]
	require.Equal(t, "gone", entry.DeviceID)
	c.stop()
	p.requireDeleted("gone")
	state, _ := p.newest(p.cfg.DeviceState, "silent")
	require.NotNil(t, state.Value)
	for _, a := range p.journal() {
		if a.DeviceID == "gone" && a.Event == telemetry.EventRemoved {
			require.Equal(t, deviceOffline, a.AlertType)
		}
	}
}

// TestTwoPortalsLoseNoUpdate has two portals change a device at the same time: who was second
// learns what the first has written.
func TestTwoPortalsLoseNoUpdate(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(2)
	c := p.startReady()
	now := time.Now().UnixMilli()
	none, one, text := int64(0), int64(1), "in the cellar"
	patch := named("Boiler")
	patch.IfRevision = &none
	other := named("Kessel")
	other.IfRevision = &none
	p.send(describeCommand("n1", "d1", now, patch), describeCommand("n2", "d1", now, other))
	conflict := p.audits(2, commanded)[1]
	require.Equal(t, telemetry.OutcomeConflict, conflict.Outcome)
	require.Equal(t, "Boiler", conflict.Meta.Name)
	require.EqualValues(t, 1, conflict.Meta.Revision)
	c.stop()
	p.send(
		describeCommand("n1", "d1", now, patch), // again
		describeCommand("n3", "d1", now, telemetry.DevicePatch{Description: &text, Tags: &[]string{"heat", "east"}, IfRevision: &one}))
	c = p.startReady()
	entries := p.audits(3, commanded)
	c.stop()
	require.Len(t, entries, 3)
	require.Equal(t, telemetry.OutcomeApplied, entries[2].Outcome)
	r, known := p.newest(p.cfg.DeviceMeta, "d1")
	require.True(t, known)
	var m telemetry.DeviceMeta
	require.NoError(t, json.Unmarshal(r.Value, &m))
	require.Equal(t, telemetry.DeviceMeta{
		DeviceID: "d1", Name: "Boiler", Description: text, Tags: []string{"heat", "east"}, Revision: 2, By: "somebody", At: now,
		Commands: []string{"n1", "n2", "n3"},
	}, m)
}
