package gateway

import (
	"bytes"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// BenchmarkNATS measures a reading by NATS from the client's publish to the
// acknowledgement after the sync, on this machine's disk: 1,000 devices on one connection
// with up to 4,096 readings in flight. cpu-ns/op is the CPU time of gateway and client.
func BenchmarkNATS(b *testing.B) {
	g := start(b, config(b))
	nc, err := nats.Connect(g.NATSAddr())
	require.NoError(b, err)
	defer nc.Close()
	const window = 4096
	slots := make(chan struct{}, window)
	refused := 0
	inbox := nats.NewInbox()
	_, err = nc.Subscribe(inbox, func(m *nats.Msg) {
		if r, err := wire.DecodeReply(m.Data[:min(len(m.Data), 200)]); err != nil || r.Error != nil {
			refused++
		}
		<-slots
	})
	require.NoError(b, err)
	subjects, payloads := make([]string, 1000), make([][]byte, 1000)
	for i := range subjects {
		id := fmt.Sprintf("device_%03d", i)
		subjects[i], payloads[i] = wire.TelemetrySubject(id), reading(id, 1640995200000)
	}
	at := bytes.Index(payloads[0], []byte("1640995200000"))
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	for i := range b.N {
		slots <- struct{}{}
		_ = strconv.AppendInt(payloads[i%1000][at:at], 1640995200000+int64(i), 10) // each reading once
		if err := nc.PublishRequest(subjects[i%1000], inbox, payloads[i%1000]); err != nil {
			b.Fatal(err)
		}
	}
	for range window {
		slots <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	require.Zero(b, refused)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
