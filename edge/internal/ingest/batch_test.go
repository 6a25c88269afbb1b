package ingest

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// natsIntake runs a collector on store with an intake, and returns a device's connection.
func natsIntake(t *testing.T, store *memStore) (*Collector, *nats.Conn) {
	t.Helper()
	conns := natsConns(t, 2)
	c := runCollector(t, Options{Store: store})
	_, err := ListenNATS(NATSOptions{Conn: conns[0], Collector: c, Stream: "S", Log: discard()})
	require.NoError(t, err)
	require.NoError(t, conns[0].Flush())
	return c, conns[1]
}

func request(t *testing.T, nc *nats.Conn, msg *nats.Msg) wire.Reply {
	t.Helper()
	answer, err := nc.RequestMsg(msg, waitTimeout)
	require.NoError(t, err)
	r, err := wire.DecodeReply(answer.Data)
	require.NoError(t, err)
	return r
}

func reasonsOf(r wire.Reply) map[int]telemetry.Reason {
	out := map[int]telemetry.Reason{}
	for _, refused := range r.Refused {
		out[refused.Index] = refused.Error.Reason
	}
	return out
}

func TestBatchIsStoredInOnePackInOrder(t *testing.T) {
	good := []string{at("device_001", 0), at("device_001", 1), at("device_001", 2)}
	mixed := []string{at("a", 0), "{\"x\":", at("b", 1), at("a", 2)}
	tests := map[string]struct {
		subject, payload string
		readings         []string // as stored
		refused          map[int]telemetry.Reason
		devices          []string
	}{
		"array of a device": {"devices.device_001.telemetry", "[" + strings.Join(good, ",") + "]", good, map[int]telemetry.Reason{}, []string{"device_001", "device_001", "device_001"}},
		"lines of a device": {"devices.device_001.telemetry", strings.Join(good, "\n") + "\n", good, map[int]telemetry.Reason{}, []string{"device_001", "device_001", "device_001"}},
		"a bad line": {
			"concentrators.c1.telemetry", strings.Join(mixed, "\n"), mixed,
			map[int]telemetry.Reason{1: telemetry.ReasonInvalidJSON},
			[]string{"a", "", "b", "a"},
		},
		"another device's reading": {
			"devices.device_001.telemetry", "[" + good[0] + " ,\n" + mixed[0] + ",7]",
			[]string{good[0], mixed[0], "7"},
			map[int]telemetry.Reason{1: telemetry.ReasonDeviceMismatch, 2: telemetry.ReasonInvalidReading},
			[]string{"device_001", "device_001", "device_001"},
		},
		"one reading of a concentrator": {"concentrators.c1.telemetry", good[0], good[:1], map[int]telemetry.Reason{}, []string{"device_001"}},
		"a printed reading of a concentrator": {
			"concentrators.c1.telemetry", strings.ReplaceAll(good[0], ",", ",\n"),
			[]string{strings.ReplaceAll(good[0], ",", ",\n")},
			map[int]telemetry.Reason{},
			[]string{"device_001"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := &memStore{keep: true}
			c, nc := natsIntake(t, store)
			r := request(t, nc, &nats.Msg{Subject: tt.subject, Data: []byte(tt.payload)})
			require.Nil(t, r.Error)
			require.Equal(t, "S", r.Stream)
			require.EqualValues(t, 1, r.Seq)
			require.Equal(t, len(tt.readings)-len(tt.refused), r.Accepted)
			require.Equal(t, tt.refused, reasonsOf(r))
			require.Len(t, store.packs, 1)
			_, all := entries(t, store.packs[0])
			require.Len(t, all, len(tt.readings))
			for i, e := range all {
				require.Equal(t, tt.readings[i], string(e.Payload), "the bytes as sent")
				require.Equal(t, tt.devices[i], e.Device)
				require.Equal(t, tt.refused[i] != "", e.Refusal != nil)
				require.Equal(t, i > 0, e.Part)
			}
			want := Stats{Accepted: uint64(r.Accepted), Refused: uint64(len(tt.refused))}
			require.Eventually(t, func() bool { return c.Stats() == want }, time.Minute, time.Millisecond, "counted after the answer")
		})
	}
}

func TestBatchThatCannotBeSplitIsOneDeadLetter(t *testing.T) {
	for name, tt := range map[string]struct {
		subject, payload string
		reason           telemetry.Reason
		kept             int
	}{
		"cut short":            {"devices.device_001.telemetry", "[" + at("device_001", 0), telemetry.ReasonInvalidJSON, 1 + len(at("device_001", 0))},
		"empty":                {"devices.device_001.telemetry", "[]", telemetry.ReasonInvalidBatch, 2},
		"nothing":              {"concentrators.c1.telemetry", "", telemetry.ReasonInvalidBatch, 0},
		"too many":             {"concentrators.c1.telemetry", strings.Repeat("{}\n", 1001), telemetry.ReasonInvalidBatch, 3003},
		"too large":            {"concentrators.c1.telemetry", "[" + strings.Repeat(" ", 600<<10), telemetry.ReasonTooLarge, 512 << 10},
		"invalid concentrator": {"concentrators.c#1.telemetry", "[" + at("device_001", 0) + "]", telemetry.ReasonInvalidDevice, 2 + len(at("device_001", 0))},
	} {
		t.Run(name, func(t *testing.T) {
			store := &memStore{keep: true}
			c, nc := natsIntake(t, store)
			r := request(t, nc, &nats.Msg{Subject: tt.subject, Data: []byte(tt.payload)})
			require.NotNil(t, r.Error)
			require.Equal(t, tt.reason, r.Error.Reason)
			_, all := entries(t, store.packs[0])
			require.Len(t, all, 1)
			require.Equal(t, tt.payload[:tt.kept], string(all[0].Payload))
			require.Equal(t, tt.reason, all[0].Refusal.Reason)
			require.Equal(t, Stats{Refused: 1}, c.Stats())
		})
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstandard(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	return w.EncodeAll([]byte(text), nil)
}

func TestCompressedMessagesAreReadWithinABound(t *testing.T) {
	batch := "[" + at("device_001", 0) + "," + at("device_001", 1) + "]"
	bomb := strings.Repeat(" ", 16<<20)
	tests := map[string]struct {
		encoding string
		payload  []byte
		readings int
		reason   telemetry.Reason
	}{
		"gzip":            {"gzip", gzipped(t, batch), 2, ""},
		"zstd":            {"zstd", zstandard(t, batch), 2, ""},
		"identity":        {"identity", []byte(batch), 2, ""},
		"one reading":     {"GZIP", gzipped(t, at("device_001", 5)), 1, ""},
		"gzip bomb":       {"gzip", gzipped(t, bomb), 0, telemetry.ReasonTooLarge},
		"zstd bomb":       {"zstd", zstandard(t, bomb), 0, telemetry.ReasonTooLarge},
		"not compressed":  {"gzip", []byte(batch), 0, telemetry.ReasonInvalidEncoding},
		"not zstd":        {"zstd", []byte(batch), 0, telemetry.ReasonInvalidEncoding},
		"cut short":       {"gzip", gzipped(t, batch)[:40], 0, telemetry.ReasonInvalidEncoding},
		"unknown":         {"br", []byte(batch), 0, telemetry.ReasonInvalidEncoding},
		"largest allowed": {"gzip", gzipped(t, strings.Repeat(" ", wire.MaxBatchBytes-len(batch))+batch), 2, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := &memStore{keep: true}
			_, nc := natsIntake(t, store)
			msg := nats.NewMsg("devices.device_001.telemetry")
			msg.Data = tt.payload
			msg.Header.Set("Content-Encoding", tt.encoding)
			r := request(t, nc, msg)
			_, all := entries(t, store.packs[0])
			if tt.reason != "" {
				require.Equal(t, tt.reason, r.Error.Reason)
				require.Len(t, all, 1)
				require.Equal(t, tt.payload, all[0].Payload, "the dead letter has the bytes as sent")
				return
			}
			require.Nil(t, r.Error)
			require.Len(t, all, tt.readings)
		})
	}
	for contentType, want := range map[string]string{
		"application/gzip": "gzip", "application/x-gzip": "gzip", "Application/Zstd; x=y": "zstd", "application/json": "", "": "",
	} {
		require.Equal(t, want, contentEncoding(contentType), contentType)
	}
}

// A small message must not fill the memory.
func TestDecompressionStopsAtTheLimit(t *testing.T) {
	bomb := strings.Repeat(" ", 16<<20)
	for encoding, payload := range map[string][]byte{"gzip": gzipped(t, bomb), "zstd": zstandard(t, bomb)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, refusal := unpack(payload, encoding)
		runtime.ReadMemStats(&after)
		require.Equal(t, telemetry.ReasonTooLarge, refusal.Reason)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(14<<20), encoding)
	}
}

// The largest batch with a refusal for each reading stays below the default max_payload of
// nats-server, and one that does not fit into the open pack goes into the next.
func TestLargeBatchesGetPacksOfTheirOwn(t *testing.T) {
	store := &memStore{keep: true}
	var v validator
	element := `{"device_id":"` + strings.Repeat("d", 64) + `","timestamp":"` + strings.Repeat("x", 400) + `"}`
	batch := "[" + strings.Repeat(element+",", 999) + element + "]"
	require.Less(t, len(batch), wire.MaxBatchBytes)
	a := &answers{}
	collect(t, Options{Store: store, Linger: time.Hour}, func(c *Collector) {
		for i := range 3 {
			m := &Message{Received: time.Now(), Ticket: Ticket{To: a, Packet: uint16(i)}}
			v.accept(m, wire.Sender{ID: "c1", Concentrator: true}, []byte(batch+strings.Repeat(" ", i)), "")
			require.Nil(t, c.Offer(m))
		}
		pass(time.Second)
		require.Len(t, a.all(), 3, "a pack that has no room is stored at once")
		require.Nil(t, c.Offer(message(a, 9, "next")))
	})
	require.Len(t, store.packs, 4)
	for _, p := range store.packs[:3] {
		require.Less(t, len(p), 1<<20)
		_, all := entries(t, p)
		require.Len(t, all, 1000)
	}
}

func TestMessageWithoutEntriesIsAnsweredAtOnce(t *testing.T) {
	a := &answers{}
	collect(t, Options{Store: &memStore{}}, func(c *Collector) {
		m := &Message{Received: time.Now(), Ticket: Ticket{To: a, Packet: 3}}
		m.Batch()
		require.Nil(t, c.Offer(m))
		require.Equal(t, map[uint16]outcome{3: {}}, a.all())
	})
}

// The client libraries read acknowledgements and errors as those of JetStream.
func TestJetStreamPublishGetsAcksAndErrors(t *testing.T) {
	store := &memStore{keep: true}
	_, nc := natsIntake(t, store)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	subject := wire.TelemetrySubject("device_001")
	ack, err := js.Publish(t.Context(), subject, []byte(at("device_001", 1)), jetstream.WithExpectStream("S"))
	require.NoError(t, err)
	require.Equal(t, &jetstream.PubAck{Stream: "S", Sequence: 1}, ack)
	ack, err = js.Publish(t.Context(), subject, []byte("["+at("device_001", 2)+",7]"))
	require.NoError(t, err)
	require.Equal(t, &jetstream.PubAck{Stream: "S", Sequence: 2}, ack)

	var api *jetstream.APIError
	_, err = js.Publish(t.Context(), subject, []byte(at("device_001", 3)), jetstream.WithExpectStream("OTHER"))
	require.ErrorAs(t, err, &api)
	require.Equal(t, &jetstream.APIError{
		Code: 400, ErrorCode: 10060, Description: `wrong_stream: Nats-Expected-Stream: "OTHER"; readings are stored in "S"`,
	}, api)
	_, err = js.Publish(t.Context(), subject, []byte(at("device_001", 4)), jetstream.WithExpectLastSequence(1))
	require.ErrorAs(t, err, &api)
	require.Contains(t, api.Description, nats.ExpectedLastSeqHdr)
	_, err = js.Publish(t.Context(), subject, []byte("{"))
	require.ErrorAs(t, err, &api)
	require.EqualValues(t, 10003, api.ErrorCode)
	require.Contains(t, api.Description, "invalid_json")

	future, err := js.PublishAsync(subject, []byte(at("device_001", 5)))
	require.NoError(t, err)
	select {
	case <-future.Ok():
	case err := <-future.Err():
		require.NoError(t, err)
	}
	// The messages for another stream are dead letters.
	stored, letters := 0, 0
	for _, p := range store.packs {
		_, all := entries(t, p)
		for _, e := range all {
			if e.Refusal == nil {
				stored++
			} else {
				letters++
			}
		}
	}
	require.Equal(t, []int{3, 4}, []int{stored, letters})
}

// TestRefusalHasTheFormOfItsRequest: a plain request gets the refusal of the contract, one
// with JetStream's headers an error that every client library can read.
func TestRefusalHasTheFormOfItsRequest(t *testing.T) {
	_, nc := natsIntake(t, &memStore{})
	for header, want := range map[string]string{
		"": `{"error":{"code":400,"reason":"empty_message","message":"the message is empty; want a reading as JSON",` +
			`"err_code":10003,"description":"empty_message: the message is empty; want a reading as JSON"}}`,
		nats.MsgIdHdr: `{"error":{"code":400,"err_code":10003,"description":"empty_message: the message is empty; want a reading as JSON"},` +
			`"reason":"empty_message","message":"the message is empty; want a reading as JSON"}`,
	} {
		m := nats.NewMsg(wire.TelemetrySubject("device_001"))
		if header != "" {
			m.Header.Set(header, "1")
		}
		reply, err := nc.RequestMsg(m, waitTimeout)
		require.NoError(t, err)
		require.Equal(t, want, string(reply.Data))
	}
}
