package ingest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// runBench offers messages made by next until b ends, b.N readings.
func runBench(b *testing.B, readings int, next func(i int) (subject string, payload []byte)) {
	b.Helper()
	c := New(Options{Store: &memStore{}, Epoch: 1, Log: discard(), Linger: 3 * time.Millisecond})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	answered := &countResponder{}
	q := &natsQueue{}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += readings {
		subject, payload := next(i)
		m := &q.msg
		m.Received = time.Now()
		m.Ticket = Ticket{To: answered}
		from, _ := wire.SenderOfSubject(subject, '.')
		q.check.accept(m, from, payload, "")
		if r := c.Offer(m); r != nil {
			b.Fatal(r)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	if want := (b.N + readings - 1) / readings * readings; answered.n != want || int(c.Stats().Accepted) != want {
		b.Fatalf("%d answers and %d stored of %d readings", answered.n, c.Stats().Accepted, want)
	}
}

// stampAt is where the timestamp of sample begins.
var stampAt = bytes.Index(sample("device_000"), []byte("1640995200000"))

// stamp gives a sample of a device with a name of three digits its own timestamp.
func stamp(payload []byte, n int) {
	_ = strconv.AppendInt(payload[stampAt:stampAt], 1640995200000+int64(n), 10)
}

// BenchmarkTake measures the gateway's own cost of a NATS reading: validation, packing
// and the reply, without server and disk.
func BenchmarkTake(b *testing.B) {
	subjects, payloads := make([]string, 1000), make([][]byte, 1000)
	for i := range subjects {
		id := fmt.Sprintf("device_%03d", i)
		subjects[i], payloads[i] = wire.TelemetrySubject(id), sample(id)
	}
	runBench(b, 1, func(i int) (string, []byte) {
		n := i % len(payloads)
		stamp(payloads[n], i)
		return subjects[n], payloads[n]
	})
}

// BenchmarkTakeBatch measures the same of batches of 100 readings of one device.
func BenchmarkTakeBatch(b *testing.B) {
	one := append(sample("device_000"), ',')
	batch := append([]byte{'['}, bytes.Repeat(one, 100)...)
	batch[len(batch)-1] = ']'
	runBench(b, 100, func(i int) (string, []byte) {
		for n := range 100 {
			stamp(batch[1+n*len(one):], i+n)
		}
		return "devices.device_000.telemetry", batch
	})
}

type countResponder struct{ n int }

func (c *countResponder) Answer(t *Ticket, _ uint64, _ *telemetry.Refusal) { c.n += t.readings() }
