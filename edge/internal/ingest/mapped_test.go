package ingest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mapping"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const someMappings = `mappings:
  - id: json
    topic: z/{id}
    device: "{id}"
    timestamp: {path: ts}
    each: "@this"
    sensors:
      - {name: temperature, path: t}
  - id: bare
    topic: "v/{id}/{sensor}"
    format: value
    device: "{id}"
    sensors: [{name: "{sensor}"}]
  - {id: quiet, topic: q/#, format: ignore}
`

// mapperOf returns a mapper of a file with that text, and the file.
func mapperOf(t *testing.T, text string) (*mapping.Mapper, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mappings.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	m, err := mapping.New(mapping.Options{File: file, Building: "A栋", Log: discard()})
	require.NoError(t, err)
	return m, file
}

// entries returns the entries of all packs, without their receive times.
func (s *memStore) entries(t *testing.T) (all []wire.PackEntry) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, data := range s.packs {
		p, err := wire.OpenPack(data)
		require.NoError(t, err)
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			all = append(all, e)
		}
	}
	return all
}

// TestMappedMessagesAreStoredAsReadings has one of each outcome, by MQTT and by NATS.
func TestMappedMessagesAreStoredAsReadings(t *testing.T) {
	reading := func(id string, ts int64, sensors string) string {
		return string(wire.AppendReading(nil, &telemetry.Reading{
			DeviceID: id, Timestamp: ts, Location: telemetry.Location{Building: "A栋"},
		}))[:len(`{"device_id":"","timestamp":1,"location":{"building":"A栋","floor":0,"room":""},"sensors":{`)+len(id)] + sensors + "}}"
	}
	one, two := reading("d1", 1, `"temperature":{"value":20}`), reading("d1", 2, `"temperature":{"value":21}`)
	for _, tt := range []struct {
		name, topic, payload string
		readings             []string
		refused              telemetry.Reason // of the original message
		code                 byte             // of MQTT 5
	}{
		{"one reading", "z/d1", `{"ts":1,"t":20}`, []string{one}, "", 0},
		{"two readings", "z/d1", `[{"ts":1,"t":20},{"ts":2,"t":21}]`, []string{one, two}, "", 0},
		{"a part is refused", "z/d1", `[{"ts":1,"t":20},{"ts":2,"t":"hot"}]`, []string{one}, telemetry.ReasonInvalidMapping, 0},
		{"nothing in it", "z/d1", `{"u":1}`, nil, telemetry.ReasonInvalidMapping, packets.ErrPayloadFormatInvalid.Code},
		{"not JSON", "z/d1", `on`, nil, telemetry.ReasonInvalidJSON, packets.ErrPayloadFormatInvalid.Code},
		{"ignored", "q/a", `x`, nil, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &memStore{keep: true}
			c := runCollector(t, Options{Store: store})
			mapper, _ := mapperOf(t, someMappings)
			m, err := ListenMQTT(MQTTOptions{Addr: "127.0.0.1:0", Collector: c, Mapper: mapper, Log: discard(), Registerer: prometheus.NewRegistry()})
			require.NoError(t, err)
			m.Serve()
			t.Cleanup(func() { require.NoError(t, m.Close(context.WithoutCancel(t.Context()))) })
			conns := natsConns(t, 2)
			intake, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: c, Mapper: mapper, Stream: "S", Log: discard()})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, intake.Stop(context.WithoutCancel(t.Context()))) })
			require.NoError(t, conns[0].Flush())

			check := func(want int) {
				t.Helper()
				all := store.entries(t)
				require.Len(t, all, want*(len(tt.readings)+min(len(tt.refused), 1)))
				all = all[len(all)-len(all)/want:]
				for i, r := range tt.readings {
					require.Equal(t, r, string(all[i].Payload))
					require.Equal(t, "d1", all[i].Device)
					require.Equal(t, "json", all[i].Mapping)
					require.Nil(t, all[i].Refusal)
				}
				if tt.refused != "" {
					last := all[len(all)-1]
					require.Equal(t, tt.payload, string(last.Payload), "the original bytes")
					require.Equal(t, tt.refused, last.Refusal.Reason)
				}
			}
			client := connectMQTT(t, m, 5, nil)
			client.Publish(tt.topic, 1, 1, tt.payload)
			ack := client.Read()
			require.Equal(t, tt.code, ack.ReasonCode, ack.Properties.ReasonString)
			if len(tt.readings)+len(tt.refused) > 0 {
				check(1)
			}
			if tt.topic == "z/d1" && tt.name != "one reading" && tt.name != "two readings" { // those are resends
				r := request(t, conns[1], &nats.Msg{Subject: strings.ReplaceAll(tt.topic, "/", "."), Data: []byte(tt.payload)})
				require.Equal(t, tt.code != 0, r.Error != nil)
			}
		})
	}
}

// TestBareValuesAreNoResends: a sensor that keeps its value sends the same bytes again.
func TestBareValuesAreNoResends(t *testing.T) {
	store := &memStore{keep: true}
	mapper, _ := mapperOf(t, someMappings)
	conns := natsConns(t, 2)
	intake, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: runCollector(t, Options{Store: store}), Mapper: mapper, Stream: "S", Log: discard()})
	require.NoError(t, err)
	defer func() { require.NoError(t, intake.Stop(t.Context())) }()
	require.NoError(t, conns[0].Flush())
	for range 3 {
		r := request(t, conns[1], &nats.Msg{Subject: "v.d1.temperature", Data: []byte("20")})
		require.Nil(t, r.Error)
		require.False(t, r.Duplicate)
	}
	require.Len(t, store.entries(t), 3)
	for range 2 {
		r := request(t, conns[1], &nats.Msg{Subject: "v.d1.temperature", Data: []byte("20"), Header: nats.Header{nats.MsgIdHdr: {"7"}}})
		require.Nil(t, r.Error)
	}
	require.Len(t, store.entries(t), 4, "an id tells a resend")
	for range 2 {
		require.Nil(t, request(t, conns[1], &nats.Msg{Subject: "z.d1", Data: []byte(`{"ts":5,"t":1}`)}).Error)
	}
	require.Len(t, store.entries(t), 5, "so does a time in the message")
}

// TestMappedSubjectsFollowTheFile changes the mappings while messages arrive.
func TestMappedSubjectsFollowTheFile(t *testing.T) {
	store := &memStore{keep: true}
	mapper, file := mapperOf(t, someMappings)
	conns := natsConns(t, 2)
	intake, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: runCollector(t, Options{Store: store}), Mapper: mapper, Stream: "S", Log: discard(), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	require.NoError(t, conns[0].Flush())
	text := `mappings:
  - {id: a, topic: ["w/{id}/t", "w/#"], format: value, device: "d", sensors: [{name: t}]}
`
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	mapper.Reread()
	require.Eventually(t, func() bool {
		_, err := conns[1].Request("w.1.t", []byte("20"), 100*time.Millisecond)
		return err == nil
	}, waitTimeout, time.Millisecond)
	before := len(store.entries(t))
	require.Nil(t, request(t, conns[1], &nats.Msg{Subject: "w.2.t", Data: []byte("21")}).Error)
	require.Nil(t, request(t, conns[1], &nats.Msg{Subject: "w.other", Data: []byte("21")}).Error)
	require.NoError(t, conns[1].Flush())
	require.Len(t, store.entries(t), before+2, "once, though two subscriptions match")
	require.Eventually(t, func() bool {
		_, err := conns[1].Request("z.d1", []byte(`{"ts":9,"t":20}`), 100*time.Millisecond)
		return err != nil
	}, waitTimeout, time.Millisecond, "a subject whose mapping is gone has no subscription")
	require.Zero(t, intake.dropped())
	require.NoError(t, intake.Stop(context.WithoutCancel(t.Context())))
}
