package lane

import (
	"slices"
	"time"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

// Ledger returns the ledger of one gateway from its checkpoint in Kafka, the packs fetched
// beyond it, and the claims in its heartbeats, the current epoch's last.
func Ledger(pos Position, heard []wire.GatewayStatus, now time.Time) wire.GatewayLedger {
	c := pos.Committed
	l := wire.GatewayLedger{Gateway: c.Gateway, Time: now.UnixMilli(), Epochs: []wire.EpochLedger{}}
	total := counts(c.Ledger.Folded, c.Ledger.Folded)
	// The gateway's numbers for folded epochs are gone.
	total.Packed = c.Ledger.Folded.Committed + c.Ledger.Folded.Damaged
	total.Accepted = total.Packed
	for i := range c.Ledger.Epochs {
		e := epochLedger(c.Ledger.Epochs[i], pos.Fetched.Ledger, heard)
		l.Epochs = append(l.Epochs, e)
		total = plus(total, e.LedgerCounts)
	}
	if n := len(heard); n > 0 && !slices.ContainsFunc(l.Epochs, func(e wire.EpochLedger) bool { return e.Epoch == heard[n-1].Epoch }) {
		e := wire.EpochLedger{Epoch: heard[n-1].Epoch} // none of its packs arrived yet
		e.Accepted, e.Packed = heard[n-1].Accepted, heard[n-1].Packed.Readings
		l.Epochs = append(l.Epochs, e)
		total = plus(total, e.LedgerCounts)
	}
	l.Difference = c.Ledger.Difference(Claims(heard))
	l.Total = total
	return l
}

// epochLedger returns the ledger of one epoch with the claims of the gateway. Where its
// heartbeats are missing, or older than its packs, the packs tell what it stored.
func epochLedger(a checkpoint.EpochLedger, fetched checkpoint.Ledger, heard []wire.GatewayStatus) wire.EpochLedger {
	ahead := a.Counts
	for i := range fetched.Epochs {
		if fetched.Epochs[i].Epoch == a.Epoch {
			ahead = fetched.Epochs[i].Counts
		}
	}
	e := wire.EpochLedger{Epoch: checkpoint.Hex(a.Epoch), LedgerCounts: counts(a.Counts, ahead)}
	e.Packed = a.Through.Readings
	e.Accepted = e.Packed
	for i := range heard {
		if heard[i].Epoch == e.Epoch {
			e.Packed = max(e.Packed, heard[i].Packed.Readings)
			e.Accepted = max(e.Packed, heard[i].Accepted)
		}
	}
	return e
}

func counts(n, ahead checkpoint.Counts) wire.LedgerCounts {
	return wire.LedgerCounts{
		Bridged: ahead.Committed, Committed: n.Committed, Refused: n.Refused, Damaged: n.Damaged,
		DamagedPacks: n.DamagedPacks, Late: n.Late, Duplicates: n.Duplicates,
	}
}

func plus(n, o wire.LedgerCounts) wire.LedgerCounts {
	return wire.LedgerCounts{
		Accepted: n.Accepted + o.Accepted, Packed: n.Packed + o.Packed, Bridged: n.Bridged + o.Bridged,
		Committed: n.Committed + o.Committed, Refused: n.Refused + o.Refused, Damaged: n.Damaged + o.Damaged,
		DamagedPacks: n.DamagedPacks + o.DamagedPacks, Late: n.Late + o.Late, Duplicates: n.Duplicates + o.Duplicates,
	}
}
