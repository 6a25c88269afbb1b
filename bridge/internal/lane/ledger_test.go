package lane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

const (
	epochA = 0xa
	epochB = 0xb
)

func TestLedger(t *testing.T) {
	account := func(epoch, counter, through, committed, damaged uint64) checkpoint.EpochLedger {
		return checkpoint.EpochLedger{
			Epoch: epoch, Counter: counter, Through: wire.PackTotals{Readings: through},
			Counts: checkpoint.Counts{Committed: committed, Damaged: damaged, Late: 1, Refused: 2, Duplicates: 3, DamagedPacks: 4},
		}
	}
	committed := checkpoint.Checkpoint{Gateway: "gw", Seq: 9, Epoch: epochB, Counter: 5, Ledger: checkpoint.Ledger{
		Epochs: []checkpoint.EpochLedger{account(epochA, 3, 30, 25, 5), account(epochB, 5, 50, 50, 0)},
		Folded: checkpoint.Counts{Committed: 1000, Damaged: 10},
	}}
	fetched := committed
	fetched.Ledger.Epochs = []checkpoint.EpochLedger{committed.Ledger.Epochs[0], account(epochB, 7, 70, 70, 0)}
	pos := Position{Committed: committed, Fetched: fetched}
	beat := func(epoch, counter, packed, accepted uint64) wire.GatewayStatus {
		return wire.GatewayStatus{Epoch: checkpoint.Hex(epoch), Counter: counter, Packed: wire.PackTotals{Readings: packed}, Accepted: accepted}
	}

	l := Ledger(pos, []wire.GatewayStatus{beat(epochB, 8, 80, 85)}, time.UnixMilli(7))
	require.Equal(t, wire.GatewayLedger{
		Gateway: "gw", Time: 7,
		Epochs: []wire.EpochLedger{
			{Epoch: checkpoint.Hex(epochA), LedgerCounts: wire.LedgerCounts{
				Accepted: 30, Packed: 30, Bridged: 25, Committed: 25, Refused: 2, Damaged: 5, DamagedPacks: 4, Late: 1, Duplicates: 3,
			}},
			{Epoch: checkpoint.Hex(epochB), LedgerCounts: wire.LedgerCounts{
				Accepted: 85, Packed: 80, Bridged: 70, Committed: 50, Refused: 2, DamagedPacks: 4, Late: 1, Duplicates: 3,
			}},
		},
		Total: wire.LedgerCounts{
			Accepted: 1125, Packed: 1120, Bridged: 1095, Committed: 1075, Refused: 4, Damaged: 15, DamagedPacks: 8, Late: 2, Duplicates: 6,
		},
	}, l)

	require.Equal(t, int64(3), Ledger(pos, []wire.GatewayStatus{beat(epochB, 5, 53, 53)}, time.Now()).Difference)
	l = Ledger(pos, []wire.GatewayStatus{beat(epochB, 5, 50, 50), beat(0xc, 2, 20, 20)}, time.Now())
	require.Zero(t, l.Difference)
	require.Len(t, l.Epochs, 3, "an epoch of which nothing is here yet")
	require.Equal(t, wire.LedgerCounts{Accepted: 20, Packed: 20}, l.Epochs[2].LedgerCounts)
	require.Len(t, Claims([]wire.GatewayStatus{{Epoch: "rubbish"}, beat(epochA, 1, 1, 1)}), 1)

	l = Ledger(Position{Committed: checkpoint.Checkpoint{Gateway: "gw"}}, nil, time.Now())
	require.Empty(t, l.Epochs)
	require.Zero(t, l.Total)
}
