// Package checkpoint is how far the bridge has come with one gateway: which pack of
// its stream was the last one moved to Kafka, and what became of every pack up to it. It
// holds the rules by which a pack counts as next, as known already or as preceded by
// missing ones, the account that follows from them, and the comparison of a checkpoint
// with what a stream has now. It is not for storing checkpoints. It does no I/O and
// nothing in it blocks.
package checkpoint

import (
	"slices"

	"industrial-iot-monitor/internal/wire"
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
	// Missing counts packs after the last readable one that cannot be named yet. They are
	// reported as lost already, except while Again, so that the next readable one does not
	// report them again.
	Missing uint64
	// Again is set while a stream is read again from its beginning, up to its first pack
	// that was not bridged before: what is damaged there was reported once.
	Again bool
	// Seen are the epochs that have packs bridged beyond what Epoch and Counter say,
	// the oldest first.
	Seen []Progress
	// Book says what became of the packs.
	Book Book
}

// Progress says that the packs of an epoch up to Counter are bridged.
type Progress struct {
	Epoch   uint64
	Counter uint64
}

// Pack names the pack found at a stream sequence and says what is in it.
type Pack struct {
	Seq     uint64
	Epoch   uint64
	Counter uint64
	At      int64           // ms since 1970
	Before  wire.PackTotals // as its header says
	Holds   wire.PackTotals // what can be read of it
	Broken  uint64          // entries in it that cannot be read
	Late    bool            // it waited in the gateway
}

// Step is what one more pack means for a checkpoint.
type Step struct {
	// Next is the checkpoint once the pack is dealt with.
	Next Checkpoint
	// Known says that the pack was bridged before and must not be bridged again.
	Known bool
	// Lost is the number of packs that are missing before this one (or are this one,
	// if it cannot be read) and were not reported yet, LostReadings what is known to have
	// been in them.
	Lost         uint64
	LostReadings uint64
}

// Read takes the pack at the next sequence. Packs are missing where the sequence
// jumps, where the counter jumps within an epoch, and where a new epoch begins before the
// one before delivered what its heartbeats claimed; the larger of what sequence and counters
// say counts. claims returns what the gateway's heartbeats said, the oldest epoch first; it
// is asked only at a new epoch, and may be nil.
func (c Checkpoint) Read(p Pack, claims func() []Claim) Step {
	high := c.highest(p.Epoch)
	next := c
	next.Seq, next.Epoch, next.Counter = p.Seq, p.Epoch, p.Counter
	next.Seen = c.seenWithout(p.Epoch, p.Counter)
	next.Book = c.Book.clone()
	if p.Counter <= high {
		next.Book.duplicate(p.Epoch)
		if c.Again {
			next.Missing = 0
		}
		return Step{Next: next, Known: true}
	}
	b := &next.Book
	unnamed := len(b.Accounts) - 1 // where Missing is booked
	var tail uint64
	at := b.find(p.Epoch)
	if at < 0 {
		if claims != nil {
			tail = b.settle(p, c.At, claims(), func(epoch uint64) bool { return c.highest(epoch) > 0 })
		}
		at = b.open(p, high)
	}
	gap := b.Accounts[at].take(p)
	lost := max(gap+tail, c.Missing+c.skipped(p.Seq))
	if !c.Again {
		lost -= min(lost, c.Missing) // these were reported
	}
	// What the counters name is booked; the rest belongs where the unnamed packs are, and
	// named ones among those move away from there.
	if named := gap + tail; lost >= named {
		b.of(unnamed).DamagedPacks += lost - named
	} else {
		b.of(unnamed).DamagedPacks = less(b.of(unnamed).DamagedPacks, named-lost)
	}
	if p.Broken > 0 {
		lost++
	}
	b.fold()
	next.Missing, next.Again, next.At = 0, false, p.At
	return Step{Next: next, Lost: lost, LostReadings: less(b.Total().Damaged, c.Book.Total().Damaged)}
}

// ReadDamaged takes a pack that cannot be read at the next sequence: it is lost.
func (c Checkpoint) ReadDamaged(seq uint64) Step { return c.lose(seq, c.skipped(seq)+1) }

// Trim takes a stream whose first pack is beyond the next one wanted: those between
// were removed without the bridge.
func (c Checkpoint) Trim(first uint64) Step {
	if first <= c.Seq+1 {
		return Step{Next: c}
	}
	return c.lose(first-1, first-c.Seq-1)
}

// lose takes packs up to seq that nobody can name.
func (c Checkpoint) lose(seq, packs uint64) Step {
	next := c.unnamed(seq)
	next.Missing = c.Missing + packs
	if c.Again {
		return Step{Next: next}
	}
	next.Book = c.Book.clone()
	next.Book.damagedPacks(packs)
	return Step{Next: next, Lost: packs}
}

// Restart is the position from which a stream that is not the recorded one any more
// has to be read: its beginning, with every bridged pack remembered by its name.
func (c Checkpoint) Restart(first uint64) Checkpoint {
	next := c.unnamed(max(first, 1) - 1)
	next.Missing, next.Again = 0, true
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
