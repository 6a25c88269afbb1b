package lane

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

const (
	epochA = 0xa
	epochB = 0xb
	epochC = 0xc
)

func heard(t *testing.T, beats ...wire.GatewayStatus) *roster.Roster {
	t.Helper()
	r, err := roster.New(roster.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	for _, s := range beats {
		s.Gateway = "gw"
		data, err := s.Encode()
		require.NoError(t, err)
		require.NoError(t, r.Observe(wire.StatusSubject("gw"), data))
	}
	return r
}

func beat(epoch uint64, started int64, last uint64) wire.GatewayStatus {
	return wire.GatewayStatus{Epoch: checkpoint.Hex(epoch), Started: started, LastSeq: last}
}

func TestKnownLost(t *testing.T) {
	pos := checkpoint.Checkpoint{Gateway: "gw", Seq: 100, Epoch: epochA, Counter: 5}
	for name, tc := range map[string]struct {
		beats []wire.GatewayStatus
		last  uint64
		want  uint64
	}{
		"nothing heard":                     {nil, 20, 0},
		"everything was bridged":            {[]wire.GatewayStatus{beat(epochA, 0, 100), beat(epochB, 9, 20)}, 20, 0},
		"seven were not":                    {[]wire.GatewayStatus{beat(epochA, 0, 107), beat(epochB, 9, 20)}, 20, 7},
		"seven were not, stream grew":       {[]wire.GatewayStatus{beat(epochA, 0, 107), beat(epochB, 9, 200)}, 200, 7},
		"new epoch not heard yet":           {[]wire.GatewayStatus{beat(epochA, 0, 107)}, 20, 7},
		"two restarts ago, all still there": {[]wire.GatewayStatus{beat(epochB, 9, 300), beat(epochC, 19, 300)}, 300, 0},
		"two restarts ago, end lost again":  {[]wire.GatewayStatus{beat(epochB, 9, 300), beat(epochC, 19, 250)}, 250, 50},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, knownLost(heard(t, tc.beats...), pos, checkpoint.View{Last: tc.last}))
		})
	}
}

func TestOverwritten(t *testing.T) {
	h := &wire.PackHeader{Epoch: epochB, Counter: 1, Base: 10}
	for name, tc := range map[string]struct {
		beats []wire.GatewayStatus
		want  uint64
	}{
		"nothing heard":                   {nil, 0},
		"ordinary restart":                {[]wire.GatewayStatus{beat(epochA, 0, 100), beat(epochB, 9, 101)}, 0},
		"three overwritten":               {[]wire.GatewayStatus{beat(epochA, 0, 103), beat(epochB, 9, 101)}, 3},
		"new epoch not heard yet":         {[]wire.GatewayStatus{beat(epochA, 0, 103)}, 3},
		"a later epoch was heard already": {[]wire.GatewayStatus{beat(epochC, 20, 150)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, overwritten(heard(t, tc.beats...), "gw", h, 101))
		})
	}
}
