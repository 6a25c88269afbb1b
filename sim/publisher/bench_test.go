package publisher

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
)

// nullLink discards everything and never answers.
type nullLink struct{}

func (nullLink) send(int, uint32, []byte) error    { return nil }
func (nullLink) flush()                            {}
func (nullLink) unanswered()                       {}
func (nullLink) run(context.Context, func()) error { return nil }

// BenchmarkReading measures the publisher's own cost of a reading: making, encoding,
// sending and acknowledgement.
func BenchmarkReading(b *testing.B) {
	f, err := fleet.New(fleet.Options{Devices: 10_000, Variance: 0.1, Faults: 3})
	require.NoError(b, err)
	p, err := New(Options{Fleet: f, Gateways: []string{"x"}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	w := p.workers[0]
	w.links = []link{nullLink{}}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		d := n % len(w.senders)
		w.mu.Lock()
		w.makeMessage(d, int64(n))
		serial := w.senders[d].serial
		w.unlockAndFlush()
		w.acked(d, serial, nil)
		w.deadlines.due(1 << 62)
	}
}
