package lane

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/internal/lifecycle"
)

// open starts pulling packs that are expected to have a size.
type open func(b *testing.B, s source, cons jetstream.Consumer, size int) (next func() error, stop func())

// pullers are the ways to pull that ADR 6 compares.
var pullers = []struct {
	name string
	open open
}{{"lane", byLane}, {"iterator", byIterator(1, 2)}, {"iterator-3of4", byIterator(3, 4)}, {"iterator-bytes", byIteratorBytes}}

// BenchmarkPull drains a gateway's stream through a leaf node and a hub, by prefetcher and by
// the client library's iterator. The iterator cannot change its window, so it starts with
// the one that prefetcher grows to.
func BenchmarkPull(b *testing.B) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		for _, load := range []struct{ size, packs int }{{2 << 10, 10_000}, {180 << 10, 300}} {
			s := fullSource(b, delay, load.size, load.packs)
			for _, puller := range pullers {
				b.Run(fmt.Sprintf("rtt=%s/size=%dKiB/%s", 2*delay, load.size>>10, puller.name), func(b *testing.B) {
					b.SetBytes(int64(load.size * load.packs))
					b.ReportAllocs()
					for b.Loop() {
						drainOnce(b, s, load.size, load.packs, puller.open)
					}
				})
			}
		}
	}
}

// BenchmarkUnread measures how many bytes reach the bridge before they are read, when a
// gateway sends packs of 1 MiB after packs of 2 KiB, as one does that was cut off.
func BenchmarkUnread(b *testing.B) {
	s := fullSource(b, 0, 1<<20, 64)
	for _, puller := range pullers[:3] { // the last one stalls at a pack of 1 MiB
		b.Run(puller.name, func(b *testing.B) {
			var unread uint64
			for b.Loop() {
				cons, err := s.consume(b.Context(), 1)
				require.NoError(b, err)
				before := s.nc.Stats().InBytes
				next, stop := puller.open(b, s, cons, 2<<10)
				require.NoError(b, next())
				for last := before; last != s.nc.Stats().InBytes; lifecycle.Pause(b.Context(), 300*time.Millisecond) {
					last = s.nc.Stats().InBytes
				}
				unread = s.nc.Stats().InBytes - before
				stop()
				s.drop(b.Context(), cons)
			}
			b.ReportMetric(float64(unread)/(1<<20), "MiB-unread")
		})
	}
}

func drainOnce(b *testing.B, s source, size, packs int, open open) {
	b.Helper()
	cons, err := s.consume(b.Context(), 1)
	require.NoError(b, err)
	next, stop := open(b, s, cons, size)
	for range packs {
		if err := next(); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	s.drop(b.Context(), cons)
}

func byLane(b *testing.B, s source, cons jetstream.Consumer, size int) (next func() error, stop func()) {
	b.Helper()
	f, err := s.prefetch(cons)
	require.NoError(b, err)
	p := pace{size: size}
	taken := 0
	return func() error {
		msg, err := f.next(b.Context(), p.window(1, taken))
		if err != nil {
			return err
		}
		taken++
		p.observe(len(msg.Data))
		_, err = msg.Metadata()
		return err
	}, f.stop
}

// byIterator asks for more when less than num/den of the window is still to come. Each
// request has to allow for the largest pack there can be: at a larger one the iterator
// stalls and reports nothing.
func byIterator(num, den int) open {
	return func(b *testing.B, _ source, cons jetstream.Consumer, size int) (next func() error, stop func()) {
		b.Helper()
		packs := max(1, min(maxGatewayBytes/size, maxWindow))
		return iterate(b, cons, jetstream.PullMaxMessagesWithBytesLimit(packs, hub.MaxPayload+envelope),
			jetstream.PullThresholdMessages(max(1, packs*num/den)))
	}
}

func byIteratorBytes(b *testing.B, _ source, cons jetstream.Consumer, _ int) (next func() error, stop func()) {
	b.Helper()
	return iterate(b, cons, jetstream.PullMaxBytes(maxGatewayBytes))
}

func iterate(b *testing.B, cons jetstream.Consumer, opts ...jetstream.PullMessagesOpt) (next func() error, stop func()) {
	b.Helper()
	it, err := cons.Messages(append(opts, jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(heartbeat))...)
	require.NoError(b, err)
	return func() error {
		msg, err := it.Next(jetstream.NextMaxWait(10 * time.Second)) // a pack may have been dropped
		if err != nil {
			return err
		}
		_, err = msg.Metadata()
		return err
	}, it.Stop
}
