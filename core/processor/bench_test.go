package processor

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// BenchmarkReading is what a reading costs from the consumed record to the live frame,
// everything but Kafka and the network included, over 10,000 devices in a partition.
func BenchmarkReading(b *testing.B) {
	for _, bench := range []struct {
		name        string
		temperature float64
		detect      string
		live        bool
	}{
		{"normal", 25.6, detectOff, false},     // nothing to rewrite
		{"rewritten", 85.25, detectOff, false}, // in alarm from the first reading on: the status is written
		{"detecting", 25.6, detectOn, false},
		{"comparing", 25.6, detectOn, true}, // with the others of rooms of ten, of one model
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkReading(b, bench.temperature, bench.detect, bench.live) })
	}
}

// benchmarkReading has devices with clocks of long ago, or live ones.
func benchmarkReading(b *testing.B, temperature float64, mode string, live bool) {
	b.Helper()
	const devices = 10_000
	cfg := defaultConfig(b)
	cfg.HTTPAddr, cfg.DetectMode = "", mode
	p, err := New(Options{Config: cfg, Log: discardLog()})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	var sender sync.WaitGroup
	sender.Go(func() { _ = p.live.Run(ctx, discard{}) })
	defer sender.Wait()
	defer stop()
	t := newTask(p, 0, func() {})
	now := time.Now()
	messages := make([]*sarama.ConsumerMessage, devices)
	for i := range messages {
		id := fmt.Sprintf("device_%05d", i)
		messages[i] = &sarama.ConsumerMessage{
			Topic: "device-data", Offset: int64(i), Timestamp: now,
			Key: []byte(id), Value: sampleReading(id, now.UnixMilli()-1000, temperature),
			Headers: []*sarama.RecordHeader{
				{Key: []byte(wire.HeaderGateway), Value: []byte("gw-a")},
				{Key: []byte(wire.HeaderEpoch), Value: []byte("0123456789abcdef")},
				{Key: []byte(wire.HeaderSeq), Value: []byte("123456")},
				{Key: []byte(wire.HeaderIndex), Value: []byte("17")},
				{Key: []byte(wire.HeaderReceived), Value: strconv.AppendInt(nil, now.UnixMilli(), 10)},
			},
		}
	}
	at := bytes.Index(messages[0].Value, []byte(`"timestamp":`)) + len(`"timestamp":`)
	ts := now.UnixMilli() - 1_000_000_000
	if live {
		ts = now.UnixMilli()
		for i, m := range messages {
			m.Value = bytes.Replace(m.Value, []byte(`"301"`), fmt.Appendf(nil, `"%d"`, 1000+i/10), 1)
		}
	}
	chunks := func(n int) {
		for n > 0 {
			ts += 1000 // every device sends once a second, so no reading is late
			for i := 0; i < devices && n > 0; i += maxChunk {
				c := messages[i:min(i+maxChunk, devices)]
				c = c[:min(len(c), n)]
				for _, m := range c {
					strconv.AppendInt(m.Value[at:at:len(m.Value)], ts, 10)
					if live {
						m.Timestamp = time.UnixMilli(ts)
						received := m.Headers[len(m.Headers)-1].Value
						strconv.AppendInt(received[:0], ts, 10)
					}
				}
				t.process(c)
				n -= len(c)
			}
			t.pending.pop()
			t.tick(ts)
		}
	}
	chunks(devices) // every device is known
	b.SetBytes(int64(len(messages[0].Value)))
	b.ReportAllocs()
	b.ResetTimer()
	used := cpuTime(b)
	chunks(b.N)
	// On a busy machine the clock says little; the processor time says what it costs.
	b.ReportMetric(float64(cpuTime(b)-used)/float64(b.N), "cpu-ns/op")
}

// discard is a hub that takes everything.
type discard struct{}

func (discard) Publish(string, []byte) error       { return nil }
func (discard) PublishMsg(*nats.Msg) error         { return nil }
func (discard) FlushTimeout(d time.Duration) error { return nil }

// cpuTime returns the processor time this process has used.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
