package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

func TestLanesAreMeasuredByTheirGateways(t *testing.T) {
	p := lane.NewProgress()
	now := time.Unix(1_700_000_000, 0)
	f := &laneFigures{roster: new(roster.Roster), progress: p, now: func() time.Time { return now }}
	require.Empty(t, f.measure())
	at := func(committed, stored uint64) checkpoint.Checkpoint {
		c := checkpoint.Checkpoint{Gateway: "gw-a"}
		c.Ledger.Epochs = []checkpoint.EpochLedger{{Epoch: 1, Counts: checkpoint.Counts{Committed: committed}}}
		c.Ledger.Epochs[0].Through.Readings = stored
		return c
	}
	p.Own(0)
	p.Own(1)
	p.Begin(1, at(1000, 1300))
	now = now.Add(5 * time.Second)
	require.Equal(t, []wire.LaneVitals{{Lane: 0}, {Lane: 1, Backlog: 300}}, f.measure(), "what was committed before is no rate")
	p.Begin(1, at(1500, 1500))
	now = now.Add(5 * time.Second)
	require.Equal(t, []wire.LaneVitals{{Lane: 0}, {Lane: 1, Rate: 100}}, f.measure())
	p.Disown(1)
	now = now.Add(5 * time.Second)
	require.Equal(t, []wire.LaneVitals{{Lane: 0}}, f.measure())
}
