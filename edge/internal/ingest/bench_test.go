package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// BenchmarkTake measures the gateway's own cost of a NATS reading: validation, packing
// and the reply, without server and disk.
func BenchmarkTake(b *testing.B) {
	c := New(Options{Store: &memStore{}, Epoch: 1, Log: discard(), Linger: 3 * time.Millisecond})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	answered := &countResponder{}
	msgs := make([]*nats.Msg, 1000)
	for i := range msgs {
		id := fmt.Sprintf("device_%03d", i)
		msgs[i] = &nats.Msg{Subject: wire.TelemetrySubject(id), Data: sample(id)}
	}
	n := &NATSIntake{}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m := &n.msg
		msg := msgs[i%len(msgs)]
		m.Received = time.Now()
		m.Ticket = Ticket{To: answered}
		device, _ := wire.DeviceOfSubject(msg.Subject, '.')
		n.check.message(m, device, msg.Data)
		if r := c.Offer(m); r != nil {
			b.Fatal(r)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if answered.n != b.N {
		b.Fatalf("%d answers to %d readings", answered.n, b.N)
	}
}

type countResponder struct{ n int }

func (c *countResponder) Answer(*Ticket, uint64, *telemetry.Refusal) { c.n++ }
