package origin

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func header(key, value string) *sarama.RecordHeader {
	return &sarama.RecordHeader{Key: []byte(key), Value: []byte(value)}
}

func TestOf(t *testing.T) {
	tests := []struct {
		name    string
		headers []*sarama.RecordHeader
		want    Origin
	}{
		{"none", nil, Origin{Received: 5000, Written: 5000}},
		{
			"all",
			[]*sarama.RecordHeader{header(wire.HeaderGateway, "gw-a"), header(wire.HeaderReceived, "4000"), header(wire.HeaderBackfill, "1")},
			Origin{Gateway: []byte("gw-a"), Received: 4000, Written: 5000, Backfill: true},
		},
		{
			"nonsense",
			[]*sarama.RecordHeader{header(wire.HeaderReceived, "-4000"), header(wire.HeaderBackfill, "yes")},
			Origin{Received: 5000, Written: 5000},
		},
		{"too many digits", []*sarama.RecordHeader{header(wire.HeaderReceived, strings.Repeat("9", 30))}, Origin{Received: 5000, Written: 5000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, Of(&sarama.ConsumerMessage{Timestamp: time.UnixMilli(5000), Headers: tt.headers}))
		})
	}
	require.Equal(t, "gw-a", Name([]byte("gw-a")))
	require.Equal(t, Direct, Name(nil))
	require.Equal(t, Direct, Name([]byte("a.b >")))
	require.EqualValues(t, 1000, (&Origin{Received: 4000, Written: 5000, Backfill: true}).Waited())
	require.Zero(t, (&Origin{Received: 4000, Written: 5000}).Waited())
}

func TestAWrongClockIsSettled(t *testing.T) {
	const (
		now  = 1_700_000_000_000
		hour = 3_600_000
		year = 365 * 24 * hour
	)
	tests := []struct {
		name              string
		received, written int64
		backfill          bool
		ts                int64
		off               int
		settled           int64
		waits             bool
	}{
		{"all agree", now - 50, now, false, now - 100, 0, now - 50, false},
		{"a buffer's backlog", now - hour, now, true, now - hour - 100, 0, now - hour, true},
		{"ten years ahead", now + 10*year, now, false, now - 100, 1, now - 100, false},
		{"ten years ahead and a backlog", now + 10*year, now, false, now - hour, 1, now - hour, true},
		{"1970 at boot", 5000, now, true, now - 100, -1, now - 100, false},
		{"1970 at boot and a backlog", 5000, now, true, now - hour, -1, now - hour, true},
		{"an hour behind", now - hour, now, true, now - 100, -1, now - 100, false},
		{"a device that is fast", now - 50, now, false, now + 90_000, 0, now - 50, false},
		{"a device that is slow", now - 50, now, false, now - hour, 0, now - 50, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Origin{Received: tt.received, Written: tt.written, Backfill: tt.backfill}
			require.Equal(t, tt.off, o.Settle(tt.ts))
			require.Equal(t, tt.settled, o.Received)
			require.Equal(t, tt.waits, o.Backfill)
		})
	}
}
