package validate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const now = 1_700_000_000_000

func reading(device string, ts int64) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":25.6,"unit":"°C"}}}`, device, ts)
}

func TestCheck(t *testing.T) {
	const minute = 60_000
	tests := []struct {
		name   string
		rec    Record
		reason telemetry.Reason // empty: it is a reading
		field  string
	}{
		{name: "a reading", rec: Record{Key: []byte("d1"), Value: reading("d1", now), Received: now, Written: now}},
		{name: "years old", rec: Record{Key: []byte("d1"), Value: reading("d1", now-9e10), Received: now, Written: now}},
		{name: "just not too far ahead", rec: Record{Key: []byte("d1"), Value: reading("d1", now+10*minute), Received: now, Written: now}},
		{
			name:   "too far ahead",
			rec:    Record{Key: []byte("d1"), Value: reading("d1", now+10*minute+1), Received: now, Written: now},
			reason: telemetry.ReasonInvalidTimestamp, field: "timestamp",
		},
		{
			name:   "too far ahead and no receive time",
			rec:    Record{Key: []byte("d1"), Value: reading("d1", now+11*minute), Written: now},
			reason: telemetry.ReasonInvalidTimestamp, field: "timestamp",
		},
		{name: "gateway's clock an hour behind", rec: Record{Key: []byte("d1"), Value: reading("d1", now), Received: now - 60*minute, Written: now}},
		{name: "gateway's clock never set", rec: Record{Key: []byte("d1"), Value: reading("d1", now), Received: 12_000, Written: now}},
		{
			name:   "another device's key",
			rec:    Record{Key: []byte("d2"), Value: reading("d1", now), Received: now, Written: now},
			reason: telemetry.ReasonDeviceMismatch, field: "device_id",
		},
		{
			name:   "no key",
			rec:    Record{Value: reading("d1", now), Received: now, Written: now},
			reason: telemetry.ReasonDeviceMismatch, field: "device_id",
		},
		{name: "not JSON", rec: Record{Key: []byte("d1"), Value: []byte("no json"), Written: now}, reason: telemetry.ReasonInvalidJSON},
		{name: "nothing", rec: Record{Key: []byte("d1"), Written: now}, reason: telemetry.ReasonEmpty},
		{name: "not UTF-8", rec: Record{Key: []byte("d1"), Value: []byte("\xff\xfe"), Written: now}, reason: telemetry.ReasonInvalidUTF8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r telemetry.Reading
			var l wire.Layout
			refusal := Check(tt.rec, &r, &l)
			if tt.reason == "" {
				require.Nil(t, refusal)
				require.Equal(t, "d1", r.DeviceID)
				return
			}
			require.NotNil(t, refusal)
			require.Equal(t, tt.reason, refusal.Reason)
			require.Equal(t, tt.field, refusal.Field)
			require.NotEmpty(t, refusal.Message)
		})
	}
}

func TestMessageStaysShortWhateverTheKey(t *testing.T) {
	var r telemetry.Reading
	var l wire.Layout
	refusal := Check(Record{Key: []byte(strings.Repeat("k", 1<<20)), Value: reading("d1", now), Written: now}, &r, &l)
	require.NotNil(t, refusal)
	require.Less(t, len(refusal.Message), 300)
}
