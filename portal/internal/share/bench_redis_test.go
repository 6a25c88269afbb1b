//go:build redis

package share

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/redistest"
)

const benchDevices = 10_000

// BenchmarkWriting writes the newest readings of 10,000 devices, each a newer one; ns/op is for all of them.
func BenchmarkWriting(b *testing.B) {
	p := idle(b, redistest.Start(b).URL(), nil)
	b.Cleanup(func() { require.NoError(b, p.share.close()) })
	ts := t0
	next := func() {
		ts++
		for i := range benchDevices {
			p.apply(reading(fmt.Sprintf("device_%05d", i), ts, ts))
		}
	}
	cpu := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		next()
		b.StartTimer()
		before := used(b)
		for p.share.changed.length() > 0 {
			require.NoError(b, p.share.flush(b.Context()))
		}
		cpu += used(b) - before
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N)/benchDevices, "cpu-ns/device")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchDevices, "ns/device")
}

// used is the time of the CPU that this process, without Redis, has used.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEncoding is the part of writing that the portal pays for.
func BenchmarkEncoding(b *testing.B) {
	p := idle(b, "redis://127.0.0.1:1", nil)
	b.Cleanup(func() { require.NoError(b, p.share.close()) })
	all := make([]int, benchDevices)
	for i := range all {
		p.apply(reading(fmt.Sprintf("device_%05d", i), t0, t0))
		all[i] = i
	}
	bytes := 0
	for b.Loop() {
		bytes = 0
		for rest := all; len(rest) > 0; {
			args := make([]any, 0, 2*batchDevices)
			n := p.share.encode(rest[:min(batchDevices, len(rest))], &args)
			rest = rest[n:]
			bytes += len(p.share.buf)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchDevices, "ns/device")
	b.ReportMetric(float64(bytes)/benchDevices, "bytes/device")
}

// BenchmarkMarking is what a reading costs the model, which is locked.
func BenchmarkMarking(b *testing.B) {
	p := idle(b, "redis://127.0.0.1:1", nil)
	b.Cleanup(func() { require.NoError(b, p.share.close()) })
	for i := range benchDevices {
		p.apply(reading(fmt.Sprintf("device_%05d", i), t0, t0))
	}
	devices := p.model.Devices()
	for i := 0; b.Loop(); i += 50 {
		at := i % (benchDevices - 50)
		p.share.Readings(devices[at : at+50])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/reading")
}

// BenchmarkLoading loads 10,000 devices into an empty model.
func BenchmarkLoading(b *testing.B) {
	s := redistest.Start(b)
	p := idle(b, s.URL(), nil)
	b.Cleanup(func() { require.NoError(b, p.share.close()) })
	for i := range benchDevices {
		p.apply(reading(fmt.Sprintf("device_%05d", i), t0, t0))
	}
	for p.share.changed.length() > 0 {
		require.NoError(b, p.share.flush(b.Context()))
	}
	memory := client(b, s).Info(b.Context(), "memory").Val()
	cpu := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		fresh := idle(b, s.URL(), nil)
		b.StartTimer()
		before := used(b)
		require.NoError(b, fresh.share.load(b.Context()))
		cpu += used(b) - before
		b.StopTimer()
		require.EqualValues(b, benchDevices, fresh.share.Figures().Loaded)
		require.NoError(b, fresh.share.close())
		b.StartTimer()
	}
	b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op")
	_, used, _ := strings.Cut(memory, "used_memory:")
	used, _, _ = strings.Cut(used, "\r")
	bytes, err := strconv.ParseFloat(used, 64)
	require.NoError(b, err)
	b.ReportMetric(bytes/benchDevices, "redis-bytes/device")
}

// bucket opens a key-value bucket of a NATS server with JetStream, the other way to share readings.
func bucket(b *testing.B, storage jetstream.StorageType) (jetstream.JetStream, jetstream.KeyValue) {
	b.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(b, err)
	s.Start()
	require.True(b, s.ReadyForConnections(waitTimeout))
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(b, err)
	b.Cleanup(func() { nc.Close(); s.Shutdown(); s.WaitForShutdown() })
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(benchDevices))
	require.NoError(b, err)
	kv, err := js.CreateKeyValue(b.Context(), jetstream.KeyValueConfig{Bucket: "newest", Storage: storage})
	require.NoError(b, err)
	return js, kv
}

// BenchmarkKeyValue does the same with a bucket of JetStream: it writes all devices, without comparing which
// reading is newer, and loads them.
func BenchmarkKeyValue(b *testing.B) {
	value := make([]byte, 450)
	for name, storage := range map[string]jetstream.StorageType{"memory": jetstream.MemoryStorage, "file": jetstream.FileStorage} {
		js, kv := bucket(b, storage)
		b.Run(name+"/put", func(b *testing.B) {
			for b.Loop() {
				for i := range benchDevices { // as Put does, but without waiting for each
					_, err := js.PublishAsync(fmt.Sprintf("$KV.newest.device_%05d", i), value)
					require.NoError(b, err)
				}
				<-js.PublishAsyncComplete()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchDevices, "ns/device")
		})
		b.Run(name+"/compared", func(b *testing.B) { // newest wins: read, then write if nobody else has
			for b.Loop() {
				for i := range benchDevices {
					key := fmt.Sprintf("device_%05d", i)
					e, err := kv.Get(b.Context(), key)
					require.NoError(b, err)
					_, err = kv.Update(b.Context(), key, value, e.Revision())
					require.NoError(b, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchDevices, "ns/device")
		})
		b.Run(name+"/load", func(b *testing.B) {
			for b.Loop() {
				w, err := kv.WatchAll(b.Context())
				require.NoError(b, err)
				for n := 0; ; n++ {
					if e := <-w.Updates(); e == nil {
						require.Equal(b, benchDevices, n)
						break
					}
				}
				require.NoError(b, w.Stop())
			}
		})
	}
}
