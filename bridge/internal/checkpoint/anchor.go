package checkpoint

// View is the present state of a stream. An empty stream has Last = First-1, or both are
// 0 if it never had a pack.
type View struct {
	First, Last uint64
	// Anchor is the pack at the checkpoint's sequence, used only if First <= Seq <= Last.
	Anchor Anchor
}

// Anchor is the pack found at a checkpoint's sequence.
type Anchor struct {
	// Readable is set for a whole, undamaged pack, named by Epoch and Counter.
	Readable bool
	Epoch    uint64
	Counter  uint64
}

// Verdict is the result of comparing a checkpoint with a stream.
type Verdict uint8

// Verdicts.
const (
	// Same: the pack at the checkpoint is the one recorded. The next one follows.
	Same Verdict = iota
	// Gone: the pack at the checkpoint was removed with all before it. Nothing contradicts
	// the checkpoint, but packs may be missing (see Checkpoint.Trim).
	Gone
	// Changed: the stream ends before the checkpoint or has another pack there. It lost its
	// tail or was recreated, and sequences are used a second time.
	Changed
)

// String returns the verdict in one word.
func (v Verdict) String() string {
	switch v {
	case Same:
		return "same"
	case Gone:
		return "gone"
	default:
		return "changed"
	}
}

// Compare reports whether the stream is still the one that c was recorded from. In doubt
// it returns Changed: reading a stream again from its start costs little, because packs
// known by name are not bridged twice; going on in the wrong place would skip packs
// silently.
func (c Checkpoint) Compare(v View) Verdict {
	switch {
	case c.Seq == 0:
		return Same
	case v.Last < c.Seq:
		return Changed
	case c.Seq < v.First:
		return Gone
	case c.Counter == 0 && !v.Anchor.Readable: // unreadable then and now
		return Same
	case c.Counter != 0 && v.Anchor.Readable && v.Anchor.Epoch == c.Epoch && v.Anchor.Counter == c.Counter:
		return Same
	default:
		return Changed
	}
}
