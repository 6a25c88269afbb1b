package broker

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPut stores packs of ten readings, each synced, on this machine's disk. cpu-ns/op is
// the CPU time of client and server.
func BenchmarkPut(b *testing.B) {
	o := options(b)
	o.BufferBytes = 4 << 30
	s := start(b, o).Stream()
	data := make([][]byte, 2)
	for i := range data {
		data[i] = pack(7, uint64(i), 6000)
	}
	cpu := func() int64 {
		var u syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.ReportAllocs()
	before := cpu()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), data[i%len(data)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}
