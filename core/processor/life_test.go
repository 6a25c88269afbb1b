package processor

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/core/internal/presence"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/telemetry"
)

func removeCommand(id, device string, at int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, Action: telemetry.ActionRemove, By: "somebody", At: at, Note: "scrapped",
	}
}

func describeCommand(id, device string, at int64, p telemetry.DevicePatch) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, Action: telemetry.ActionDescribe, By: "somebody", At: at, Describe: &p,
	}
}

func named(name string) telemetry.DevicePatch { return telemetry.DevicePatch{Name: &name} }

// alertsOf returns the alerts of a batch.
func alertsOf(t *testing.T, b *batch) []telemetry.Alert {
	t.Helper()
	alerts := make([]telemetry.Alert, len(b.alerts))
	for i := range b.alerts {
		require.NoError(t, json.Unmarshal(b.alerts[i].data, &alerts[i]))
	}
	return alerts
}

// auditsOf returns the audit entries of a batch.
func auditsOf(t *testing.T, b *batch) []telemetry.AuditEntry {
	t.Helper()
	entries := make([]telemetry.AuditEntry, len(b.audits))
	for i := range b.audits {
		require.NoError(t, json.Unmarshal(b.audits[i].data, &entries[i]))
	}
	return entries
}

// order applies a command at now and returns what waits for a transaction then.
func (t *task) order(c *telemetry.AlarmCommand, now int64) *batch {
	t.apply(c, now)
	t.out.moved = true
	t.flush(now)
	return t.pending.pop()
}

func TestRemovedDeviceIsClosedAndFreed(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-2000, 99), message(1, "d2", now-1000, 20)})
	tk.order(describeCommand("n1", "d1", now, named("Boiler")), now)
	tk.tick(now)
	tk.pending.pop()
	b := tk.order(removeCommand("r1", "d1", now), now)

	alerts := alertsOf(t, b)
	require.Len(t, alerts, 1)
	require.Equal(t, telemetry.EventRemoved, alerts[0].Event)
	require.Equal(t, telemetry.AlarmNormal, alerts[0].State)
	require.Equal(t, "the device was removed", alerts[0].Message)
	entries := auditsOf(t, b)
	require.Len(t, entries, 2, "of the alarm and of the command")
	require.Equal(t, "temperature_high", entries[0].AlertType)
	require.Equal(t, "somebody", entries[0].By)
	require.Empty(t, entries[0].Outcome, "the command has one outcome")
	require.Equal(t, telemetry.AuditEntry{
		Time: now, DeviceID: "d1", Building: "A栋", By: "somebody", CommandID: "r1", Action: telemetry.ActionRemove,
		Outcome: telemetry.OutcomeApplied, Event: telemetry.EventRemoved, Note: "scrapped",
	}, entries[1])

	require.Equal(t, []removed{{"d1", byCommand}}, b.removed)
	require.Equal(t, []string{removalPrefix + "d1"}, slices.Collect(maps.Keys(b.alarms)))
	require.Empty(t, b.devices)
	require.Equal(t, []string{"d2"}, slices.Collect(maps.Keys(tk.devices)))
	require.Empty(t, tk.alarms.stored)
	require.Empty(t, tk.life.metas)
	require.EqualValues(t, 1, tk.presence.online.Load())
}

// TestRemovalIsAppliedOnce sends it again, before and after a restart, to the device that came
// back meanwhile.
func TestRemovalIsAppliedOnce(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-2000, 20)})
	var gone *batch
	for i, c := range []string{"r1", "r2", "r3", "r4"} {
		gone = tk.order(removeCommand(c, "d1", now), now)
		require.Len(t, gone.removed, 1)
		tk.process([]*sarama.ConsumerMessage{message(int64(i+1), "d1", now+1, 20)}) // at once again
		require.Empty(t, tk.order(removeCommand("r1", "d1", now), now).removed, c)
		require.Contains(t, tk.devices, "d1")
	}
	next := newTestTask(t)
	newSession(next.p, nil).load(next, stored{alarms: gone.alarms})
	require.Empty(t, next.devices)
	next.process([]*sarama.ConsumerMessage{message(9, "d1", now+1, 20)})
	require.Empty(t, next.order(removeCommand("r1", "d1", now), now).removed)
	require.Empty(t, next.order(removeCommand("r4", "d1", now), now).removed)
	require.Contains(t, next.devices, "d1")
}

func TestRemovingAnUnknownDeviceDeletesItsRecords(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	b := tk.order(removeCommand("r1", "d1", now), now)
	require.Equal(t, []removed{{"d1", unknown}}, b.removed, "a portal may show it")
	require.Len(t, b.alarms, 1, "the command is remembered")
	entries := auditsOf(t, b)
	require.Len(t, entries, 1)
	require.Equal(t, telemetry.OutcomeNothing, entries[0].Outcome)
	require.Equal(t, "there is no such device", entries[0].Reason)
	require.Empty(t, tk.devices)
}

// TestRemovedDeviceThatSpeaksAgainIsNew sends what its gateway had received before the removal,
// what the device kept, and new readings.
func TestRemovedDeviceThatSpeaksAgainIsNew(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	from := func(offset, ts, received int64, temperature float64) *sarama.ConsumerMessage {
		m := message(offset, "d1", ts, temperature)
		m.Timestamp = time.UnixMilli(received)
		return m
	}
	tk.process([]*sarama.ConsumerMessage{from(0, now-9000, now-9000, 99)})
	old := alertsOf(t, tk.pending.pop())[0]
	gone := tk.order(removeCommand("r1", "d1", now), now)
	require.Equal(t, old.AlertID, alertsOf(t, gone)[0].AlertID)
	for _, restart := range []bool{false, true} {
		if restart {
			tk = newTestTask(t)
			newSession(tk.p, nil).load(tk, stored{alarms: gone.alarms})
		}
		tk.process([]*sarama.ConsumerMessage{from(1, now-9000, now-8000, 99), from(2, now-1000, now, 99)})
		require.Empty(t, tk.devices, "received before the removal: it stays removed")
		require.Empty(t, tk.pending.pop().size())
		tk.process([]*sarama.ConsumerMessage{from(3, now-9000, now+1000, 99)})
		require.Empty(t, tk.pending.pop().alerts, "sent twice, the incident is not raised a second time")
		d := tk.devices["d1"]
		require.NotNil(t, d, "but the device is back")
		require.Zero(t, d.presence.State("d1").IntervalMS)
		tk.process([]*sarama.ConsumerMessage{from(4, now+1000, now+1000, 99)})
		b := tk.pending.pop()
		require.Len(t, b.alerts, 1)
		again := alertsOf(t, b)[0]
		require.Equal(t, telemetry.EventRaised, again.Event)
		require.EqualValues(t, 1, again.Revision)
		require.NotEqual(t, old.AlertID, again.AlertID)
		require.Len(t, again.History, 1)
		require.Empty(t, again.Comments)
	}
}

// offlineNews is the message that a device went offline.
func offlineNews(device string, at int64) *sarama.ConsumerMessage {
	m := message(1, device, at, 20)
	m.Value = fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A","floor":1,"room":""},"sensors":{},"device_info":{},"presence":"offline"}`,
		device, at)
	return m
}

// TestOfflineNewsDoesNotBringADeviceBack is for a last will that follows the removal.
func TestOfflineNewsDoesNotBringADeviceBack(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-1000, 20)})
	tk.order(removeCommand("r1", "d1", now), now)
	tk.process([]*sarama.ConsumerMessage{offlineNews("d1", now+1000)})
	require.Empty(t, tk.pending.pop().letters)
	require.Empty(t, tk.devices)
}

func TestRemovedDeviceIsNotComparedWithItsRoom(t *testing.T) {
	tk := newTestTask(t)
	tk.alarms.rooms = rooms.New()
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-1000, 20)})
	r := telemetry.Reading{Location: telemetry.Location{Building: "A", Room: "301"}}
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: 20})
	tk.alarms.rooms.Put(&tk.devices["d1"].room, now, &r)
	tk.alarms.rooms.Rebuild(now, nil)
	require.Len(t, tk.alarms.rooms.Own(), 1)
	tk.order(removeCommand("r1", "d1", now), now)
	tk.alarms.rooms.Rebuild(now, nil)
	require.Empty(t, tk.alarms.rooms.Own())
}

// TestGatewayThatIsDownRaisesItsAlarmAgain removes the entry of a gateway.
func TestGatewayThatIsDownRaisesItsAlarmAgain(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	for _, id := range []string{"gw-a", "gw-b"} {
		tk.watch(tk.addDevice(id), alarm.Finding{Device: id, Type: gateways.Down, Holds: true, Since: now, Now: now, Gateway: id})
	}
	b := tk.order(removeCommand("r1", "gw-a", now), now)
	require.Equal(t, telemetry.EventRemoved, alertsOf(t, b)[2].Event)
	require.NotContains(t, tk.watchdog.reports, reportKey{"gw-a", gateways.Down}, "it is news again")
	require.Contains(t, tk.watchdog.reports, reportKey{"gw-b", gateways.Down})
}

func TestRemovalsAreForgottenInTheEnd(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-1000, 20)})
	tk.order(removeCommand("r1", "d1", now), now)
	tk.tick(now + removedMS)
	require.Len(t, tk.life.removals, 1)
	tk.pending.pop()
	tk.tick(now + removedMS + sweepMS + 1)
	require.Empty(t, tk.life.removals)
	b := tk.pending.pop()
	require.Contains(t, b.alarms, removalPrefix+"d1")
	require.Nil(t, b.alarms[removalPrefix+"d1"])
}

// silentDevice is a device as restored, offline for a time.
func (t *task) silentDevice(id string, since int64) *device {
	d := t.addDevice(id)
	d.presence = presenceOf(telemetry.DeviceState{DeviceID: id, Presence: telemetry.PresenceOffline, Since: since, LastSeen: since - 5000})
	return d
}

// presenceOf is the presence of a device with that record.
func presenceOf(s telemetry.DeviceState) presence.Device {
	return presence.New(presence.Options{}, 0).Restore(s, math.MaxInt64)
}

func TestSilentDeviceIsForgotten(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	after := tk.life.after
	require.Equal(t, 30*24*time.Hour, time.Duration(after)*time.Millisecond)
	tk.progress.started = now - 60_000
	tk.silentDevice("gone", now-after-1)
	tk.silentDevice("silent", now-after)
	back := tk.silentDevice("back", now-after-1)
	record := back.presence.State("back")
	record.Presence = telemetry.PresenceOnline
	back.presence = presenceOf(record)
	hot := tk.silentDevice("hot", now-after-1)
	r := telemetry.Reading{DeviceID: "hot", Timestamp: now - after - 10_000}
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: 99, Unit: "°C"})
	hot.alarm, _, _ = tk.alarms.rules.Step(hot.alarm, alarm.Input{Reading: &r, Received: r.Timestamp}, nil)
	require.True(t, hot.alarm.Keeps())
	tk.tick(now)
	b := tk.pending.pop()
	require.Equal(t, []removed{{"gone", forgotten}}, b.removed)
	require.Equal(t, []string{"back", "hot", "silent"}, slices.Sorted(maps.Keys(tk.devices)))
	closed := 0
	for _, a := range alertsOf(t, b) {
		if a.DeviceID == "gone" && a.Event == telemetry.EventRemoved {
			require.Equal(t, deviceOffline, a.AlertType)
			closed++
		}
	}
	require.Equal(t, 1, closed, "the alarm of its silence does not keep it")
	last := auditsOf(t, b)
	entry := last[len(last)-1]
	require.Equal(t, telemetry.OutcomeForgotten, entry.Outcome)
	require.Equal(t, telemetry.EventRemoved, entry.Event)
	require.Empty(t, entry.By)
	require.Equal(t, "the device has sent nothing for more than 720h and was forgotten", entry.Reason)
	require.Empty(t, b.audits[len(b.audits)-1].outcome, "it is no command")

	tk.life.after = 0
	tk.tick(now + 100*after)
	require.Contains(t, tk.devices, "silent", "never")
}

func TestNothingIsForgottenWhileReadingsAreUnread(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.silentDevice("d1", now-tk.life.after-1)
	tk.progress.written, tk.progress.processed = now-60_000, now
	require.True(t, tk.progress.isBehind(now))
	tk.tick(now)
	require.Contains(t, tk.devices, "d1")
	tk.progress.written = now
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now, 20)}) // it had spoken
	tk.tick(now + 1)
	require.Contains(t, tk.devices, "d1")
}

// TestForgettingIsBoundedAndInOrder has many devices go silent at different times.
func TestForgettingIsBoundedAndInOrder(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.progress.started = now - 60_000
	const devices = 3*forgetPerTick + 7
	var want []string
	for i := range devices {
		id := fmt.Sprintf("d%04d", i)
		want = append(want, id)
		tk.silentDevice(id, now-tk.life.after-int64(1+(devices-i)/2))
	}
	var got []string
	for tick := int64(0); len(tk.devices) > 0; tick++ {
		require.Less(t, tick, int64(5))
		tk.tick(now + 1000*tick)
		b := tk.pending.pop()
		require.LessOrEqual(t, len(b.removed), forgetPerTick)
		for _, r := range b.removed {
			got = append(got, r.device)
		}
	}
	require.Equal(t, want, got, "those silent longest first")
}

// TestEntriesWithoutADeviceAreFreed is for gateways and for commands to unknown ids.
func TestEntriesWithoutADeviceAreFreed(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.order(acknowledge("c1", "unknown", now), now)
	require.Contains(t, tk.devices, "unknown")
	for k := range int64(4) {
		tk.tick(now + k*2*rememberMS)
	}
	require.Empty(t, tk.devices)
	require.Empty(t, tk.alarms.stored)
}

// TestMemoryOfDevicesThatComeAndGoIsFreed lets 2,000 devices come and go, by command and by
// silence, in waves.
func TestMemoryOfDevicesThatComeAndGoIsFreed(t *testing.T) {
	const devices = 2_000
	tk := newTestTask(t)
	tk.alarms.reload()
	now := time.Now().UnixMilli()
	tk.progress.started = now - 60_000
	wave := func(n int, byCommands bool) (full uint64) {
		var chunk []*sarama.ConsumerMessage
		for i := range devices {
			temperature := 20.0
			if byCommands && i%10 == 0 {
				temperature = 99
			}
			id := fmt.Sprintf("w%d-%05d", n, i)
			chunk = append(chunk, message(int64(i), id, now-1000, temperature))
			tk.apply(describeCommand("n-"+id, id, now, named("Sensor "+id)), now)
		}
		tk.process(chunk)
		tk.tick(now)
		tk.pending.pop()
		require.Len(t, tk.devices, devices)
		full = heap()
		if byCommands {
			for i := range devices {
				id := fmt.Sprintf("w%d-%05d", n, i)
				tk.apply(removeCommand("r-"+id, id, now), now)
			}
			tk.flush(now)
			tk.pending.pop()
			now += removedMS + 2*sweepMS
		} else {
			for i, m := range chunk {
				chunk[i] = offlineNews(string(m.Key), now)
			}
			tk.process(chunk)
			tk.pending.pop()
			now += tk.life.after
		}
		for tick := 0; len(tk.devices) > 0 || tick < 60; tick++ { // the windows of many devices take many ticks
			require.Less(t, tick, 200)
			now += 1000
			tk.tick(now)
			tk.pending.pop()
		}
		now += sweepMS
		tk.tick(now)
		tk.pending.pop()
		return full
	}
	for range 80 { // nothing takes the live frames: their queue fills once
		tk.process(slices.Repeat([]*sarama.ConsumerMessage{message(0, "w0-00000", now, 20)}, 500))
	}
	wave(0, true)
	wave(1, false)
	base := heap()
	for n := 2; n < 4; n++ {
		full := wave(n, n%2 == 0)
		left := heap()
		t.Logf("base %d KiB, with devices %d KiB, after they are gone %d KiB", base>>10, full>>10, left>>10)
		require.Less(t, left, base+(full-base)/50)
	}
	require.Empty(t, tk.life.removals)
	require.Empty(t, tk.life.metas)
	runtime.KeepAlive(tk)
}

// heap returns the bytes of live objects.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
