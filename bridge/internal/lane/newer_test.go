package lane

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

// TestPackOfANewerGatewayStaysThere: to pass it on as damaged would lose its readings. The gateway is read on
// once the bridge is upgraded.
func TestPackOfANewerGatewayStaysThere(t *testing.T) {
	var b wire.PackBuilder
	b.Reset(7, 1)
	b.Add(wire.PackEntry{Device: "d", Received: 1, Payload: []byte("{}")})
	data := b.Finish()
	data[4] = 200
	end := len(data) - 4
	binary.BigEndian.PutUint32(data[end:], crc32.Checksum(data[:end], crc32.MakeTable(crc32.Castagnoli)))
	p := pulling(t, newTestGateway(t, 0).source, 0)
	err := p.receive(t.Context(), 1, &nats.Msg{Data: data})
	require.ErrorIs(t, err, wire.ErrNewerPack)
	require.ErrorContains(t, err, "pack 1 stays at the gateway")
	require.Equal(t, checkpoint.Checkpoint{Gateway: p.g.id}, p.g.pos, "it is read again")
	require.Empty(t, p.r.packs)

	data[end] ^= 1
	done := make(chan error, 1)
	go func() { done <- p.receive(t.Context(), 1, &nats.Msg{Data: data}) }()
	require.NotNil(t, (<-p.r.packs).damaged, "a damaged one is passed on")
	require.NoError(t, <-done)
}
