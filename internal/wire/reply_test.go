package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestAckReply(t *testing.T) {
	ack := wire.AppendAck(nil, "PACKS_gw-a", 42, false)
	sameText(t, `{"stream":"PACKS_gw-a","seq":42,"duplicate":false}`, ack)
	reply, err := wire.DecodeReply(ack)
	require.NoError(t, err)
	require.Equal(t, wire.Reply{Stream: "PACKS_gw-a", Seq: 42}, reply)
}

func TestRefusalReply(t *testing.T) {
	tests := []struct {
		refusal telemetry.Refusal
		code    int
		want    string
	}{
		{
			telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Field: "sensors.temperature.value", Message: "want a number, got a string"},
			400,
			`{"error":{"code":400,"reason":"invalid_reading","message":"want a number, got a string","field":"sensors.temperature.value",` +
				`"err_code":10003,"description":"invalid_reading: sensors.temperature.value: want a number, got a string"}}`,
		},
		{
			telemetry.Refusal{Reason: telemetry.ReasonTooLarge, Message: "too large"},
			413,
			`{"error":{"code":413,"reason":"too_large","message":"too large","err_code":10054,"description":"too_large: too large"}}`,
		},
		{
			telemetry.Refusal{Reason: telemetry.ReasonBufferFull, Message: "retry later"},
			503,
			`{"error":{"code":503,"reason":"buffer_full","message":"retry later","err_code":10023,"description":"buffer_full: retry later"}}`,
		},
	}
	for _, tt := range tests {
		raw := wire.EncodeRefusal(&tt.refusal)
		require.Equal(t, tt.want, string(raw))
		reply, err := wire.DecodeReply(raw)
		require.NoError(t, err)
		require.Equal(t, &wire.ReplyError{
			Code: tt.code, Reason: tt.refusal.Reason, Message: tt.refusal.Message, Field: tt.refusal.Field,
		}, reply.Error)
	}
	_, err := wire.DecodeReply([]byte("x"))
	require.Error(t, err)
}

// TestJetStreamRefusalHasNoFieldThatPythonRefuses: nats-py passes the fields of error to a
// constructor that knows no others.
func TestJetStreamRefusalHasNoFieldThatPythonRefuses(t *testing.T) {
	r := telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Field: "f", Message: "m"}
	sameText(t, `{"error":{"code":400,"err_code":10003,"description":"invalid_reading: f: m"},"reason":"invalid_reading","message":"m","field":"f"}`,
		wire.EncodeJetStreamRefusal(&r))
}

func TestBatchReply(t *testing.T) {
	bad := telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Field: "f", Message: "m"}
	refused := []wire.BatchRefusal{{Index: 1, Error: wire.ErrorOf(&bad)}}
	raw := wire.AppendBatchAck(nil, "PACKS_gw-a", 42, true, 2, refused)
	sameText(t, `{"stream":"PACKS_gw-a","seq":42,"duplicate":true,"accepted":2,"refused":[{"index":1,"error":{"code":400,"reason":"invalid_reading","message":"m","field":"f"}}]}`, raw)
	reply, err := wire.DecodeReply(raw)
	require.NoError(t, err)
	require.Equal(t, wire.Reply{Stream: "PACKS_gw-a", Seq: 42, Duplicate: true, Accepted: 2, Refused: refused}, reply)
	sameText(t, `{"stream":"S","seq":1,"duplicate":false,"accepted":1,"refused":[]}`, wire.AppendBatchAck(nil, "S", 1, false, 1, nil))
}

func TestGatewayStatusGolden(t *testing.T) {
	s := wire.GatewayStatus{
		Gateway: "gw-a", Building: "A栋", Epoch: "0123456789abcdef", Time: 1640995200000, Started: 1640995100000,
		FirstSeq: 3, LastSeq: 9, BufferBytes: 4096, BufferLimit: 1 << 30, OldestMS: 1640995190000,
		Accepted: 700, Refused: 2, Unpromised: 1, BufferFull: true, Version: "v1",
	}
	raw, err := s.Encode()
	require.NoError(t, err)
	golden(t, "status.golden", raw)
	got, err := wire.DecodeGatewayStatus(raw)
	require.NoError(t, err)
	require.Equal(t, s, got)
	_, err = wire.DecodeGatewayStatus([]byte("{"))
	require.Error(t, err)
}
