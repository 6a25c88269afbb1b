package kafka_test

import (
	"bytes"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// reading is a value of the size and kind the bridge sends.
func reading(i int) []byte {
	return fmt.Appendf(nil, `{"device_id":"device_%05d","timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":%d.%d,"unit":"°C","status":"normal"},"humidity":{"value":65.%d,"unit":"%%","status":"normal"},`+
		`"pressure":{"value":1013.%d,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},`+
		`"current":{"value":2.%d,"unit":"A","status":"normal"}},"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45},`+
		`"padding":"%0100d"}`, i%3000, 1640995200000+i, 20+i%10, i%97, i%89, i%83, i%79, i)
}

// cpu returns the CPU time this process has used: with the embedded broker that
// includes the broker's.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTransaction measures what the bridge does per record: build it, send it, and
// its share of the commit. The embedded broker runs in the same process and is in the
// CPU figure; against TEST_KAFKA_BROKERS it is the producer alone.
func BenchmarkTransaction(b *testing.B) {
	brokers := kafkatest.Brokers(b)
	for _, size := range []int{200, 1000, 5000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			topic := newTopic(b, brokers, kafka.Topic{Partitions: 10})
			p := newProducer(b, brokers, kafkatest.Name(b, "tx"))
			values := make([][]byte, size)
			devices := make([][]byte, size)
			for i := range values {
				values[i] = reading(i)
				devices[i] = fmt.Appendf(nil, "device_%05d", i%3000)
			}
			gateway, epoch, received := []byte("gw-a"), []byte("0123456789abcdef"), []byte("1640995200123")
			names := [][]byte{[]byte("iot-gateway"), []byte("iot-epoch"), []byte("iot-seq"), []byte("iot-index"), []byte("iot-received")}
			seq := bytes.Repeat([]byte("7"), 6)
			now := time.Now()
			b.SetBytes(int64(len(values[0])))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			for done := 0; done < b.N; {
				require.NoError(b, p.Begin())
				n := min(size, b.N-done)
				for i := range n {
					err := p.Send(&sarama.ProducerMessage{
						Topic: topic, Key: sarama.ByteEncoder(devices[i]), Value: sarama.ByteEncoder(values[i]), Timestamp: now,
						Headers: []sarama.RecordHeader{
							{Key: names[0], Value: gateway},
							{Key: names[1], Value: epoch},
							{Key: names[2], Value: seq},
							{Key: names[3], Value: []byte("17")},
							{Key: names[4], Value: received},
						},
					})
					require.NoError(b, err)
				}
				require.NoError(b, p.Commit())
				done += n
			}
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/1000, "µs-cpu/record")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
