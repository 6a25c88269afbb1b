// Package checkpoint is how far the bridge has come with one gateway: which pack of
// its stream was the last one moved to Kafka. It holds the rules by which a pack
// counts as next, as known already or as preceded by missing ones, and the comparison
// of a checkpoint with what a stream has now. It is not for storing checkpoints. It
// does no I/O and nothing in it blocks.
package checkpoint

import (
	"slices"
)

// maxSeen bounds how many former epochs a checkpoint remembers.
const maxSeen = 16

// Checkpoint is the bridge's position in the stream of one gateway: every pack up to
// Seq is dealt with. The zero value with a Gateway is the position before the first
// pack. A Checkpoint is a value: its methods return changed copies.
type Checkpoint struct {
	Gateway string
	// Seq is the stream sequence of the last pack dealt with, 0 before the first.
	Seq uint64
	// Epoch and Counter name the pack at Seq. A Counter of 0 says that there is no
	// readable pack there: it was damaged, or Seq lies before the first one known.
	Epoch   uint64
	Counter uint64
	// At is the receive time of the newest pack bridged, ms since 1970, 0 before it.
	At int64
	// Missing counts packs after the last readable one that were reported as lost
	// already, so that the next readable one does not report them again.
	Missing uint64
	// Seen are the epochs that have packs bridged beyond what Epoch and Counter say,
	// the oldest first.
	Seen []Progress
}

// Progress says that the packs of an epoch up to Counter are bridged.
type Progress struct {
	Epoch   uint64
	Counter uint64
}

// Pack names the pack found at a stream sequence.
type Pack struct {
	Seq     uint64
	Epoch   uint64
	Counter uint64
	At      int64 // ms since 1970
}

// Step is what one more pack means for a checkpoint.
type Step struct {
	// Next is the checkpoint once the pack is dealt with.
	Next Checkpoint
	// Known says that the pack was bridged before and must not be bridged again.
	Known bool
	// Lost is the number of packs that are missing before this one (or are this one,
	// if it cannot be read) and were not reported yet.
	Lost uint64
}

// Read takes the pack at the next sequence. Packs are missing where the sequence
// jumps or where the counter jumps within an epoch, the larger of both; a new epoch
// begins at 1.
func (c Checkpoint) Read(p Pack) Step {
	high := c.highest(p.Epoch)
	next := c
	next.Seq, next.Epoch, next.Counter = p.Seq, p.Epoch, p.Counter
	next.Seen = c.seenWithout(p.Epoch, p.Counter)
	if p.Counter <= high {
		return Step{Next: next, Known: true}
	}
	gap := p.Counter - high - 1
	gap -= min(gap, c.Missing)
	next.Missing, next.At = 0, p.At
	return Step{Next: next, Lost: max(gap, c.skipped(p.Seq))}
}

// ReadDamaged takes a pack that cannot be read at the next sequence: it is lost.
func (c Checkpoint) ReadDamaged(seq uint64) Step {
	lost := c.skipped(seq) + 1
	next := c.unnamed(seq)
	next.Missing = c.Missing + lost
	return Step{Next: next, Lost: lost}
}

// Trim takes a stream whose first pack is beyond the next one wanted: those between
// were removed without the bridge.
func (c Checkpoint) Trim(first uint64) Step {
	if first <= c.Seq+1 {
		return Step{Next: c}
	}
	lost := first - c.Seq - 1
	next := c.unnamed(first - 1)
	next.Missing = c.Missing + lost
	return Step{Next: next, Lost: lost}
}

// Restart is the position from which a stream that is not the recorded one any more
// has to be read: its beginning, with every bridged pack remembered by its name.
func (c Checkpoint) Restart(first uint64) Checkpoint {
	next := c.unnamed(max(first, 1) - 1)
	next.Missing = 0
	return next
}

// unnamed is c at a sequence where no pack can be named.
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

// highest returns the counter up to which an epoch's packs are bridged, 0 for none.
func (c Checkpoint) highest(epoch uint64) uint64 {
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

// seenWithout returns what has to be remembered once the pack named by epoch and
// counter takes the place of c's own: c's own progress, unless the new name says it.
func (c Checkpoint) seenWithout(epoch, counter uint64) []Progress {
	own := c.Counter != 0 && (c.Epoch != epoch || counter < c.Counter)
	covered := func(s Progress) bool { return s.Epoch == epoch && s.Counter <= counter }
	if !own && !slices.ContainsFunc(c.Seen, covered) {
		return c.Seen
	}
	seen := slices.DeleteFunc(slices.Clone(c.Seen), covered)
	if own {
		high := c.highest(c.Epoch)
		seen = slices.DeleteFunc(seen, func(s Progress) bool { return s.Epoch == c.Epoch })
		seen = append(seen, Progress{Epoch: c.Epoch, Counter: high})
	}
	return seen[max(0, len(seen)-maxSeen):]
}
