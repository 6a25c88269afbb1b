package processor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/core/internal/deadletter"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
)

// screen collects the entries of live frames by device.
type screen struct {
	mu      sync.Mutex
	entries map[string][]wire.FrameEntry
	alerts  []*nats.Msg
	windows []telemetry.Window
}

func (p *env) listen() *screen {
	p.t.Helper()
	l := &screen{entries: map[string][]wire.FrameEntry{}}
	subscribe := func(subject string, f func(m *nats.Msg)) {
		_, err := p.hub.Subscribe(subject, func(m *nats.Msg) {
			l.mu.Lock()
			defer l.mu.Unlock()
			f(m)
		})
		require.NoError(p.t, err)
	}
	subscribe(wire.LiveSubjects, func(m *nats.Msg) {
		f, err := wire.OpenFrame(m.Data)
		if err != nil {
			return
		}
		for e, ok := f.Next(); ok; e, ok = f.Next() {
			l.entries[e.Device] = append(l.entries[e.Device], e)
		}
	})
	subscribe(wire.AlertSubjects, func(m *nats.Msg) { l.alerts = append(l.alerts, m) })
	subscribe(wire.AggregateSubject, func(m *nats.Msg) {
		var ws []telemetry.Window
		if json.Unmarshal(m.Data, &ws) == nil {
			l.windows = append(l.windows, ws...)
		}
	})
	require.NoError(p.t, p.hub.Flush())
	return l
}

func (l *screen) of(device string) []wire.FrameEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[device]
}

func TestReadingsReachEveryOutput(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.cfg.HTTPAddr = "127.0.0.1:0"
	l := p.listen()
	c := p.startReady()
	now := time.Now().UnixMilli()
	var records []kafkatest.Record
	for i := range 100 {
		records = append(records, reading(fmt.Sprint("d", i), now-3000, 25.5))
	}
	p.produce(records...)
	p.produce(reading("d7", now-2000, 85.2))
	p.produce(reading("d7", now-1000, 20))

	alerts := p.alerts(2)
	requireOnePair(t, alerts, 1)
	require.Equal(t, "temperature_high", alerts[0].AlertType)
	require.Equal(t, "gw-a", alerts[0].Gateway)
	require.Equal(t, now-2000, alerts[0].Timestamp)

	states := p.states(func(s map[string]telemetry.DeviceState) bool { return len(s) == 100 })
	require.Equal(t, telemetry.PresenceOnline, states["d42"].Presence)
	require.Equal(t, "A栋", states["d42"].Location.Building)

	require.Eventually(t, func() bool { return len(l.of("d7")) == 3 }, waitTimeout, 10*time.Millisecond)
	for i, want := range []string{"normal", "high", "normal"} {
		var r telemetry.Reading
		require.NoError(t, wire.DecodeReading(l.of("d7")[i].Payload, &r, nil))
		require.Equal(t, want, r.Sensors.Find(telemetry.Temperature).Status)
		require.False(t, l.of("d7")[i].Backfill)
	}
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.alerts) == 2
	}, waitTimeout, 10*time.Millisecond)
	require.Equal(t, "alerts.high", l.alerts[0].Subject)

	c.eventually(t, 102, "core_readings_total")
	c.eventually(t, 102, "iot_messages_total", "success")
	c.eventually(t, 102, "iot_message_processing_duration_seconds")
	c.eventually(t, 102, "core_end_to_end_seconds")
	c.eventually(t, 100, "iot_active_devices_total")
	c.eventually(t, topology.DataPartitions, "core_partitions_owned")
	c.eventually(t, 1, "core_alerts_total", "active", "high")
	c.eventually(t, 1, "core_restore_duration_seconds")
	require.Positive(t, c.value(t, "core_transactions_total", "committed"))
	require.Positive(t, c.value(t, "core_commit_duration_seconds"))
	require.Zero(t, c.value(t, "core_transactions_total", "aborted"))
	for _, path := range []string{"/readyz", "/livez", "/metrics"} {
		require.Equal(t, http.StatusOK, get(t, "http://"+c.Addr()+path), path)
	}
	c.stop()
	require.ErrorIs(t, c.Ready(), errNoSession)
	require.Zero(t, c.value(t, "core_partitions_owned"))
	committed := int64(0)
	for _, offset := range kafkatest.Committed(t, p.cfg.Brokers, p.cfg.GroupID, p.cfg.DeviceData) {
		committed += offset
	}
	require.EqualValues(t, 102, committed)
	// Open windows are flushed at the end, so no reading is missing.
	require.Eventually(t, func() bool { return l.counted("humidity") == 102 }, waitTimeout, 10*time.Millisecond)
}

// counted returns how many readings are in the building's second windows.
func (l *screen) counted(parameter string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, w := range l.windows {
		if w.Scope == "building" && w.WidthMS == 1000 && w.Parameter == parameter {
			n += w.Count
		}
	}
	return n
}

func get(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}

func TestPoisonRecordIsADeadLetter(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(1)
	c := p.startReady()
	now := time.Now().UnixMilli()
	ahead := reading("d1", telemetry.MaxTimestamp, 99) // no offset explains it
	mismatch := reading("d2", now, 99)
	mismatch.Key = []byte("d3")
	twice := bytes.Replace(reading("d1", now-2000, 99).Value, []byte(`"value":`), []byte(`"value":20,"value":`), 1)
	p.produce(
		reading("d1", now-3000, 99),
		kafkatest.Record{Key: []byte("d1"), Value: []byte("poison"), Headers: []kgo.RecordHeader{{Key: "who", Value: []byte("somebody")}}},
		kafkatest.Record{Value: nil},
		kafkatest.Record{Key: []byte("d1"), Value: []byte(strings.Repeat("x", deadletter.MaxValue+1000))},
		ahead, mismatch,
		kafkatest.Record{Key: []byte("d1"), Value: twice},
		reading("d1", now-1000, 20),
	)
	requireOnePair(t, p.alerts(2), 1) // the partition goes on
	letters := kafkatest.ReadAll(t, p.cfg.Brokers, p.cfg.DeadLetters, 6, waitTimeout)
	require.Len(t, letters, 6)
	byOffset := map[string]kafkatest.Record{}
	for _, r := range letters {
		require.Equal(t, p.cfg.DeviceData, r.Header(wire.HeaderTopic))
		require.Equal(t, "0", r.Header(wire.HeaderPartition))
		require.NotEmpty(t, r.Header(wire.HeaderMessage))
		byOffset[r.Header(wire.HeaderOffset)] = r
	}
	for offset, reason := range map[string]telemetry.Reason{
		"1": telemetry.ReasonInvalidJSON, "2": telemetry.ReasonEmpty, "3": telemetry.ReasonTooLarge,
		"4": telemetry.ReasonInvalidTimestamp, "5": telemetry.ReasonDeviceMismatch,
		"6": telemetry.ReasonDuplicateKey,
	} {
		require.Equal(t, string(reason), byOffset[offset].Header(wire.HeaderReason), "offset %s", offset)
		c.eventually(t, 1, "core_dead_letters_total", string(reason))
	}
	require.Equal(t, "poison", string(byOffset["1"].Value))
	require.Equal(t, "somebody", byOffset["1"].Header("who"))
	require.Equal(t, ahead.Value, byOffset["4"].Value)
	require.Equal(t, "gw-a", byOffset["4"].Header(wire.HeaderGateway))
	require.Len(t, byOffset["3"].Value, deadletter.MaxValue)
	require.Equal(t, fmt.Sprint(deadletter.MaxValue+1000), byOffset["3"].Header(wire.HeaderLength))
	c.eventually(t, 6, "iot_messages_total", "failed")
}

func TestBackfillRaisesNothingAndIsMarked(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	p.startReady()
	now := time.Now().UnixMilli()
	var records []kafkatest.Record
	for i, temperature := range []float64{20, 99, 99, 20} { // an excursion that is long over
		ts := now - 3_600_000 + int64(i)*5000
		r := reading("d1", ts, temperature)
		for j := range r.Headers {
			if r.Headers[j].Key == wire.HeaderReceived {
				r.Headers[j].Value = fmt.Append(nil, ts)
			}
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: wire.HeaderBackfill, Value: []byte("1")})
		records = append(records, r)
	}
	p.produce(append(records, reading("d2", now-2000, 99), reading("d2", now-1000, 20))...)
	alerts := p.alerts(2)
	requireOnePair(t, alerts, 1)
	require.Equal(t, "d2", alerts[0].DeviceID)
	past := p.await(2, func(a *telemetry.Alert) bool { return a.Historical })
	requireOnePair(t, past, 1)
	require.Equal(t, "d1", past[0].DeviceID)
	require.Equal(t, now-3_600_000+5000, past[0].RaisedAt)
	l.mu.Lock()
	for _, m := range l.alerts {
		require.NotContains(t, string(m.Data), `"d1"`, "historical alarms are not announced")
	}
	l.mu.Unlock()
	require.Eventually(t, func() bool { return len(l.of("d1")) == 4 }, waitTimeout, 10*time.Millisecond)
	for _, e := range l.of("d1") {
		require.True(t, e.Backfill)
	}
	states := p.states(func(s map[string]telemetry.DeviceState) bool { return len(s) == 2 })
	require.Equal(t, telemetry.PresenceOffline, states["d1"].Presence, "it was alive an hour ago")
	require.Equal(t, telemetry.PresenceOnline, states["d2"].Presence)
}

func TestSilentDeviceGoesOffline(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	c := p.startReady()
	for range 10 {
		p.produce(reading("d1", time.Now().UnixMilli(), 20))
	}
	p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].Presence == telemetry.PresenceOnline })
	states := p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].Presence == telemetry.PresenceOffline })
	require.Positive(t, states["d1"].IntervalMS)
	c.eventually(t, 0, "iot_active_devices_total")
	p.produce(reading("d1", time.Now().UnixMilli(), 20))
	p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].Presence == telemetry.PresenceOnline })
}

// TestAnnouncedOfflineKeepsTheValues checks that a message which only says that a device is
// offline changes its presence and not its values on the screen.
func TestAnnouncedOfflineKeepsTheValues(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	c := p.startReady()
	now := time.Now().UnixMilli()
	p.produce(reading("d1", now-60_000, 20), reading("d1", now, 20))
	p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].Presence == telemetry.PresenceOnline })
	gone := reading("d1", now+1, 0)
	gone.Value = wire.AppendReading(nil, &telemetry.Reading{
		DeviceID: "d1", Timestamp: now + 1, Location: telemetry.Location{Building: "A栋"}, Offline: true,
	})
	p.produce(gone)
	states := p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].Presence == telemetry.PresenceOffline })
	require.Equal(t, "301", states["d1"].Location.Room)
	c.eventually(t, 3, "core_readings_total")
	p.produce(reading("d1", now+2000, 21))
	p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].Presence == telemetry.PresenceOnline })
	require.Eventually(t, func() bool { return len(l.of("d1")) == 3 }, waitTimeout, 10*time.Millisecond)
	for _, e := range l.of("d1") {
		require.NotEqual(t, now+1, e.Timestamp)
	}
}

func TestReadingWithoutHeadersIsProcessed(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	p.startReady()
	r := reading("d1", time.Now().UnixMilli(), 99)
	r.Headers = nil
	p.produce(r)
	alerts := p.alerts(1)
	require.Len(t, alerts, 1)
	require.Equal(t, intake.Direct, alerts[0].Gateway)
	require.Eventually(t, func() bool { return len(l.of("d1")) == 1 }, waitTimeout, 10*time.Millisecond)
}
