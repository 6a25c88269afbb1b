// Package checkpoint is the bridge's position in the stream of one gateway: the last pack
// moved to Kafka, and a ledger of every pack up to it. It has the rules by which a pack is
// the next one, bridged already or preceded by missing ones, and the comparison of a
// checkpoint with the present stream. It does not store checkpoints, does no I/O and never
// blocks.
package checkpoint

import (
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// maxSeen is how many former epochs a checkpoint keeps.
const maxSeen = 16

// Checkpoint is a position in the stream of one gateway: every pack up to Seq is bridged or
// counted as lost. The zero value with a Gateway is the position before the first pack. A
// Checkpoint is a value: its methods return changed copies.
type Checkpoint struct {
	Gateway string
	// Seq is the stream sequence of the last pack, 0 before the first.
	Seq uint64
	// Epoch and Counter name the pack at Seq. Counter is 0 if there is no readable pack:
	// it is damaged, or Seq is before the first one.
	Epoch   uint64
	Counter uint64
	// At is the receive time of the newest pack bridged, ms since 1970, 0 before it.
	At int64
	// Missing counts packs without a name after the last readable one. They are reported as
	// lost already, except while Again, so the next readable one does not report them again.
	Missing uint64
	// Again is set while a stream is read again from its start, up to the first pack that
	// was not bridged before: damage up to there was reported already.
	Again bool
	// Seen are the epochs with packs bridged beyond Epoch and Counter, the oldest first.
	Seen []HighWater
	// Ledger accounts for the readings in the packs.
	Ledger Ledger
}

// HighWater is the mark up to which the packs of an epoch are bridged.
type HighWater struct {
	Epoch   uint64
	Counter uint64
}

// Pack is the name and the content of the pack at a stream sequence.
type Pack struct {
	Seq     uint64
	Epoch   uint64
	Counter uint64
	At      int64           // ms since 1970
	Before  wire.PackTotals // from its header
	Holds   wire.PackTotals // its readable entries
	Broken  uint64          // its unreadable entries
	Late    bool            // it waited in the gateway
}

// Step is the effect of one more pack on a checkpoint.
type Step struct {
	// Next is the checkpoint after the pack.
	Next Checkpoint
	// Known is set when the pack was bridged before and must not be bridged again.
	Known bool
	// Lost is the number of packs missing before this one (or this one, if unreadable) that
	// were not reported yet, LostReadings the number of readings known to be in them.
	Lost         uint64
	LostReadings uint64
}

// Read advances to a pack. Packs are missing where the sequence jumps, where the counter
// jumps within an epoch, and where a new epoch starts before the previous one delivered
// what its heartbeats claimed; of sequence and counters the larger number counts. claims
// returns the claims of the gateway's heartbeats, the oldest epoch first; it is called only
// at a new epoch, and may be nil.
func (c Checkpoint) Read(p Pack, claims func() []Claim) Step {
	high := c.highWater(p.Epoch)
	next := c
	next.Seq, next.Epoch, next.Counter = p.Seq, p.Epoch, p.Counter
	next.Seen = c.seenWithout(p.Epoch, p.Counter)
	next.Ledger = c.Ledger.clone()
	if p.Counter <= high {
		next.Ledger.addDuplicate(p.Epoch)
		if c.Again {
			next.Missing = 0
		}
		return Step{Next: next, Known: true}
	}
	b := &next.Ledger
	unnamed := len(b.Epochs) - 1 // where Missing is counted
	var tail uint64
	at := b.find(p.Epoch)
	if at < 0 {
		if claims != nil {
			tail = b.settle(p, c.At, claims(), func(epoch uint64) bool { return c.highWater(epoch) > 0 })
		}
		at = b.open(p, high)
	}
	gap := b.Epochs[at].add(p)
	lost := max(gap+tail, c.Missing+c.skipped(p.Seq))
	if !c.Again {
		lost -= min(lost, c.Missing) // these were reported
	}
	// Packs named by the counters are counted in their epochs, the others where the unnamed
	// ones are; those of them that now have a name move.
	if named := gap + tail; lost >= named {
		b.counts(unnamed).DamagedPacks += lost - named
	} else {
		b.counts(unnamed).DamagedPacks = subtract(b.counts(unnamed).DamagedPacks, named-lost)
	}
	if p.Broken > 0 {
		lost++
	}
	b.fold()
	next.Missing, next.Again, next.At = 0, false, p.At
	return Step{Next: next, Lost: lost, LostReadings: subtract(b.Total().Damaged, c.Ledger.Total().Damaged)}
}

// ReadDamaged advances to an unreadable pack: it is lost.
func (c Checkpoint) ReadDamaged(seq uint64) Step { return c.lose(seq, c.skipped(seq)+1) }

// Trim advances to a stream whose first pack is beyond the next one: those between were
// removed before they were bridged.
func (c Checkpoint) Trim(first uint64) Step {
	if first <= c.Seq+1 {
		return Step{Next: c}
	}
	return c.lose(first-1, first-c.Seq-1)
}

// lose advances to seq past lost packs whose names are unknown.
func (c Checkpoint) lose(seq, packs uint64) Step {
	next := c.unnamed(seq)
	next.Missing = c.Missing + packs
	if c.Again {
		return Step{Next: next}
	}
	next.Ledger = c.Ledger.clone()
	next.Ledger.addDamagedPacks(packs)
	return Step{Next: next, Lost: packs}
}

// Restart returns the position for reading a stream that is no longer the recorded one: its
// start, with every bridged pack known by its name.
func (c Checkpoint) Restart(first uint64) Checkpoint {
	next := c.unnamed(max(first, 1) - 1)
	next.Missing, next.Again = 0, true
	return next
}

// unnamed returns c at a sequence without a readable pack.
func (c Checkpoint) unnamed(seq uint64) Checkpoint {
	next := c
	next.Seen = c.seenWithout(0, 0)
	next.Seq, next.Epoch, next.Counter = seq, 0, 0
	return next
}

// skipped is the number of sequences between c and seq.
func (c Checkpoint) skipped(seq uint64) uint64 {
	if seq <= c.Seq {
		return 0
	}
	return seq - c.Seq - 1
}

// highWater returns the counter up to which an epoch's packs are bridged, 0 for none.
func (c Checkpoint) highWater(epoch uint64) uint64 {
	var high uint64
	if c.Counter != 0 && c.Epoch == epoch {
		high = c.Counter
	}
	for _, s := range c.Seen {
		if s.Epoch == epoch {
			high = max(high, s.Counter)
		}
	}
	return high
}

// seenWithout returns Seen for a checkpoint at the pack named by epoch and counter: with
// c's own mark, unless the new name covers it.
func (c Checkpoint) seenWithout(epoch, counter uint64) []HighWater {
	own := c.Counter != 0 && (c.Epoch != epoch || counter < c.Counter)
	covered := func(s HighWater) bool { return s.Epoch == epoch && s.Counter <= counter }
	if !own && !slices.ContainsFunc(c.Seen, covered) {
		return c.Seen
	}
	seen := slices.DeleteFunc(slices.Clone(c.Seen), covered)
	if own {
		high := c.highWater(c.Epoch)
		seen = slices.DeleteFunc(seen, func(s HighWater) bool { return s.Epoch == c.Epoch })
		seen = append(seen, HighWater{Epoch: c.Epoch, Counter: high})
	}
	return seen[max(0, len(seen)-maxSeen):]
}
