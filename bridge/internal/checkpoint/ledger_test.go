package checkpoint

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// scenario is a gateway, its disk and the bridge's checkpoint, with the true numbers that
// the ledger is compared with.
type scenario struct {
	t   *testing.T
	rnd *rand.Rand

	// The gateway.
	epoch   uint64
	counter uint64
	totals  wire.PackTotals
	claims  []Claim
	// Its disk: packs at sequences from first on, nil where there is a hole.
	first uint64
	disk  []*stored
	// The bridge.
	at   Checkpoint
	safe Checkpoint // the last one committed
	// What reached Kafka, by epoch; the part up to safe, and all.
	kafka, pending map[uint64]wire.PackTotals
}

type stored struct {
	pack    Pack
	damaged bool
}

func newScenario(t *testing.T, seed uint64) *scenario {
	t.Helper()
	s := &scenario{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), first: 1,
		kafka: map[uint64]wire.PackTotals{}, pending: map[uint64]wire.PackTotals{},
	}
	s.at.Gateway = "gw"
	s.safe = s.at
	s.start()
	return s
}

// start starts an epoch.
func (s *scenario) start() {
	s.epoch, s.counter, s.totals = s.rnd.Uint64()|1, 0, wire.PackTotals{}
	s.claims = append(s.claims, Claim{Epoch: s.epoch, Started: int64(len(s.claims))})
	s.look()
}

// store writes a pack, with its claim in the heartbeat.
func (s *scenario) store() {
	s.counter++
	p := Pack{
		Epoch: s.epoch, Counter: s.counter, At: int64(len(s.claims)), Before: s.totals,
		Holds: totals(s.rnd.Uint64N(9), s.rnd.Uint64N(3)), Late: s.rnd.IntN(2) == 0,
	}
	if s.rnd.IntN(20) == 0 {
		p.Broken = 1 + s.rnd.Uint64N(2)
	}
	s.totals.Readings += p.Holds.Readings + p.Broken
	s.totals.Refused += p.Holds.Refused
	s.disk = append(s.disk, &stored{pack: p})
	s.claims[len(s.claims)-1].Counter, s.claims[len(s.claims)-1].Holds = s.counter, s.totals
}

// last is the sequence of the disk's end.
func (s *scenario) last() uint64 { return s.first + uint64(len(s.disk)) - 1 }

// look compares stream and checkpoint, as the bridge does at every connect.
func (s *scenario) look() {
	v := View{First: s.first, Last: s.last()}
	if s.at.Seq >= v.First && s.at.Seq <= v.Last {
		if d := s.disk[s.at.Seq-s.first]; d != nil && !d.damaged {
			v.Anchor = Anchor{Readable: true, Epoch: d.pack.Epoch, Counter: d.pack.Counter}
		}
	}
	if s.at.Compare(v) == Changed {
		s.at = s.at.Restart(v.First)
		return
	}
	if s.at.Seq < v.First && len(s.disk) > 0 {
		s.at = s.at.Trim(v.First).Next
	}
}

// read takes the next pack that there is, as the bridge does.
func (s *scenario) read() bool {
	for seq := max(s.at.Seq+1, s.first); seq <= s.last(); seq++ {
		d := s.disk[seq-s.first]
		switch {
		case d == nil:
			continue
		case d.damaged:
			s.at = s.at.ReadDamaged(seq).Next
			return true
		}
		p := d.pack
		p.Seq = seq
		step := s.at.Read(p, func() []Claim { return s.claims })
		if !step.Known {
			n := s.pending[p.Epoch]
			n.Readings += p.Holds.Readings
			n.Refused += p.Holds.Refused
			s.pending[p.Epoch] = n
		}
		s.at = step.Next
		return true
	}
	return false
}

func clone(m map[uint64]wire.PackTotals) map[uint64]wire.PackTotals {
	return maps.Clone(m)
}

// commit encodes and decodes the checkpoint.
func (s *scenario) commit() {
	s.t.Helper()
	data, err := s.at.Encode()
	require.NoError(s.t, err)
	s.safe, err = Decode(data)
	require.NoError(s.t, err)
	require.Equal(s.t, s.at.Ledger.Total(), s.safe.Ledger.Total())
	s.kafka = clone(s.pending)
}

// act does something at random.
func (s *scenario) act() {
	switch n := s.rnd.IntN(100); {
	case n < 40:
		s.store()
	case n < 75:
		s.read()
	case n < 85:
		s.commit()
	case n < 88: // the bridge dies
		s.at, s.pending = s.safe, clone(s.kafka)
		s.look()
	case n < 92 && len(s.disk) > 0: // a pack is damaged, perhaps one that was read
		if d := s.disk[s.rnd.IntN(len(s.disk))]; d != nil {
			d.damaged = true
		}
	case n < 94 && len(s.disk) > 0: // a pack vanishes
		s.disk[s.rnd.IntN(len(s.disk))] = nil
	case n < 95: // a trim
		k := s.rnd.IntN(len(s.disk)/2 + 1)
		s.disk, s.first = slices.Clone(s.disk[k:]), s.first+uint64(k)
		s.look()
	// Damaged packs are read back after all, at other sequences; of an epoch that is folded
	// nothing shows any more that they were counted.
	case n < 96 && len(s.claims) < maxLedgerEpochs:
		s.disk = slices.DeleteFunc(s.disk, func(d *stored) bool { return d == nil })
		for _, d := range s.disk {
			d.damaged = false
		}
		s.restart(0)
	case n < 98:
		s.restart(0)
	case n < 99 && len(s.claims) < 12: // with a disk that lost its end
		lost := s.rnd.IntN(len(s.disk) + 1)
		if s.rnd.IntN(2) == 0 {
			s.fill(lost)
			lost = 0
		}
		s.restart(lost)
	}
}

// fill puts an empty pack in the place of the last one that was lost, as a gateway does
// that knows from its mark what it had.
func (s *scenario) fill(lost int) {
	if lost == 0 || s.counter == 0 {
		return
	}
	clear(s.disk[len(s.disk)-lost:])
	s.disk[len(s.disk)-1] = &stored{pack: Pack{Epoch: s.epoch, Counter: s.counter, At: int64(len(s.claims)), Before: s.totals}}
}

// restart starts a new epoch on a disk that lost its last packs.
func (s *scenario) restart(lost int) {
	if len(s.claims) >= 12 { // a checkpoint remembers 16 epochs
		s.look()
		return
	}
	s.disk = slices.Clone(s.disk[:len(s.disk)-lost])
	s.start()
}

// TestLedgerAddsUp: for any sequence of packs, losses, duplicates and restarts, committed
// and damaged readings add up to the content of the packs.
func TestLedgerAddsUp(t *testing.T) {
	for seed := range uint64(300) {
		s := newScenario(t, seed)
		for range 150 {
			s.act()
		}
		s.restart(0)
		s.look()
		s.store()
		for s.read() {
		}
		s.commit()
		s.check(fmt.Sprintf("seed %d", seed))
	}
}

func (s *scenario) check(what string) {
	s.t.Helper()
	var packed, committed wire.PackTotals
	for _, claim := range s.claims {
		packed.Readings += claim.Holds.Readings
		committed.Readings += s.kafka[claim.Epoch].Readings
		committed.Refused += s.kafka[claim.Epoch].Refused
		i := s.safe.Ledger.find(claim.Epoch)
		if i < 0 {
			continue // folded, or nothing was ever stored
		}
		a := s.safe.Ledger.Epochs[i]
		require.Equal(s.t, s.kafka[claim.Epoch].Readings, a.Committed, "%s: committed of epoch %x", what, claim.Epoch)
		require.Equal(s.t, s.kafka[claim.Epoch].Refused, a.Refused, "%s: refused of epoch %x", what, claim.Epoch)
		require.Equal(s.t, claim.Holds.Readings, a.Committed+a.Damaged, "%s: sum of epoch %x", what, claim.Epoch)
		require.Zero(s.t, a.Difference(claim), "%s: difference of epoch %x", what, claim.Epoch)
		require.LessOrEqual(s.t, a.Late, a.Committed, what)
	}
	sum := s.safe.Ledger.Total()
	require.Equal(s.t, committed.Readings, sum.Committed, "%s: committed in all", what)
	require.Equal(s.t, committed.Refused, sum.Refused, "%s: refused in all", what)
	require.Equal(s.t, packed.Readings, sum.Committed+sum.Damaged, "%s: sum of all", what)
	require.LessOrEqual(s.t, len(s.safe.Ledger.Epochs), maxLedgerEpochs, what)
}

func claimed(c ...Claim) func() []Claim { return func() []Claim { return c } }

func TestMissingReadingsAreKnownExactly(t *testing.T) {
	first := Checkpoint{}.Read(Pack{Seq: 1, Epoch: epochA, Counter: 1, Holds: totals(10, 1)}, nil).Next
	for name, tc := range map[string]struct {
		from         Checkpoint
		pack         Pack
		claims       []Claim
		lost, inThem uint64
		old, present Counts
	}{
		"nothing is missing": {
			from: first, pack: Pack{Seq: 2, Epoch: epochA, Counter: 2, Before: totals(10, 1), Holds: totals(5, 0)},
			present: Counts{Committed: 15, Refused: 1},
		},
		"a hole": {
			from: first, pack: Pack{Seq: 4, Epoch: epochA, Counter: 4, Before: totals(17, 1), Holds: totals(5, 0)},
			lost: 2, inThem: 7, present: Counts{Committed: 15, Refused: 1, Damaged: 7, DamagedPacks: 2},
		},
		"a damaged pack": {
			from: first.ReadDamaged(2).Next, pack: Pack{Seq: 3, Epoch: epochA, Counter: 3, Before: totals(17, 1), Holds: totals(5, 0)},
			inThem: 7, present: Counts{Committed: 15, Refused: 1, Damaged: 7, DamagedPacks: 1},
		},
		"the tail of an epoch, its heartbeat was heard": {
			from: first, pack: Pack{Seq: 2, Epoch: epochB, Counter: 1, Holds: totals(5, 0)},
			claims: []Claim{{Epoch: epochA, Counter: 4, Holds: totals(40, 1)}},
			lost:   3, inThem: 30,
			old: Counts{Committed: 10, Refused: 1, Damaged: 30, DamagedPacks: 3}, present: Counts{Committed: 5},
		},
		"the tail of an epoch, a part was seen damaged": {
			from: first.ReadDamaged(2).Next, pack: Pack{Seq: 3, Epoch: epochB, Counter: 1, Holds: totals(5, 0)},
			claims: []Claim{{Epoch: epochA, Counter: 4, Holds: totals(40, 1)}, {Epoch: epochB, Counter: 1}},
			lost:   2, inThem: 30,
			old: Counts{Committed: 10, Refused: 1, Damaged: 30, DamagedPacks: 3}, present: Counts{Committed: 5},
		},
		"the first packs of an epoch": {
			from: first.ReadDamaged(2).Next, pack: Pack{Seq: 4, Epoch: epochB, Counter: 3, Before: totals(20, 0), Holds: totals(5, 0)},
			claims: []Claim{{Epoch: epochA, Counter: 1, Holds: totals(10, 1)}},
			lost:   1, inThem: 20,
			old: Counts{Committed: 10, Refused: 1}, present: Counts{Committed: 5, Damaged: 20, DamagedPacks: 2},
		},
		"a whole epoch without a pack": {
			from: first, pack: Pack{Seq: 2, Epoch: epochB, Counter: 1, Holds: totals(5, 0)},
			claims: []Claim{{Epoch: epochA, Counter: 1, Holds: totals(10, 1)}, {Epoch: 0xc, Counter: 2, Holds: totals(8, 0)}, {Epoch: epochB, Counter: 1}},
			lost:   2, inThem: 8,
			old: Counts{Damaged: 8, DamagedPacks: 2}, present: Counts{Committed: 5},
		},
		"a newer epoch was heard already": {
			from: first, pack: Pack{Seq: 2, Epoch: epochB, Counter: 1, At: 5, Holds: totals(5, 0)},
			claims: []Claim{{Epoch: 0xc, Counter: 2, Holds: totals(8, 0), Started: 9}},
			old:    Counts{Committed: 10, Refused: 1}, present: Counts{Committed: 5},
		},
		"the last pack, an empty one is in its place": {
			from: first, pack: Pack{Seq: 2, Epoch: epochA, Counter: 2, Before: totals(18, 1)},
			lost: 1, inThem: 8, present: Counts{Committed: 10, Refused: 1, Damaged: 8, DamagedPacks: 1},
		},
		"the only pack of an epoch, an empty one is in its place": {
			from: first, pack: Pack{Seq: 2, Epoch: epochB, Counter: 1, Before: totals(8, 0)},
			lost: 1, inThem: 8, old: Counts{Committed: 10, Refused: 1}, present: Counts{Damaged: 8, DamagedPacks: 1},
		},
		"broken inside": {
			from: first, pack: Pack{Seq: 2, Epoch: epochA, Counter: 2, Before: totals(10, 1), Holds: totals(3, 0), Broken: 2},
			lost: 1, inThem: 2, present: Counts{Committed: 13, Refused: 1, Damaged: 2, DamagedPacks: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.from.Read(tc.pack, claimed(tc.claims...))
			require.Equal(t, tc.lost, s.Lost)
			require.Equal(t, tc.inThem, s.LostReadings)
			epochs := s.Next.Ledger.Epochs
			require.Equal(t, tc.present, epochs[len(epochs)-1].Counts)
			if tc.old != (Counts{}) {
				require.Equal(t, tc.old, epochs[len(epochs)-2].Counts)
			}
		})
	}
}

func TestAccountBeginsInTheMiddleAfterAnUpgrade(t *testing.T) {
	c := Checkpoint{Gateway: "gw", Seq: 10, Epoch: epochA, Counter: 10} // as version 1 left it
	next := c.Read(Pack{Seq: 11, Epoch: epochA, Counter: 11, Before: totals(100, 2), Holds: totals(5, 0)}, nil).Next
	require.Equal(t, []EpochLedger{{Epoch: epochA, Counter: 11, Through: totals(105, 2), Counts: Counts{Committed: 105, Refused: 2}}}, next.Ledger.Epochs)
	require.Zero(t, next.Ledger.Epochs[0].Difference(Claim{Epoch: epochA, Counter: 11, Holds: totals(105, 2)}))

	s := c.Read(Pack{Seq: 12, Epoch: epochA, Counter: 21, Before: totals(200, 0), Holds: totals(5, 0)}, nil)
	require.Equal(t, uint64(10), s.Lost)
	require.Equal(t, Counts{Committed: 105, Damaged: 100, DamagedPacks: 10}, s.Next.Ledger.Epochs[0].Counts, "half of the packs before are missing")
}

func TestDifferenceShowsWhatDoesNotAddUp(t *testing.T) {
	a := EpochLedger{Epoch: epochA, Counter: 5, Through: totals(50, 0), Counts: Counts{Committed: 45, Damaged: 5}}
	for name, tc := range map[string]struct {
		claim Claim
		want  int64
	}{
		"nothing heard":                  {Claim{}, 0},
		"the heartbeat agrees":           {Claim{Epoch: epochA, Counter: 5, Holds: totals(50, 0)}, 0},
		"it claims more":                 {Claim{Epoch: epochA, Counter: 5, Holds: totals(52, 0)}, 2},
		"it claims less":                 {Claim{Epoch: epochA, Counter: 5, Holds: totals(49, 0)}, -1},
		"it is ahead":                    {Claim{Epoch: epochA, Counter: 6, Holds: totals(99, 0)}, 0},
		"it is behind":                   {Claim{Epoch: epochA, Counter: 4, Holds: totals(40, 0)}, 0},
		"it is behind and claims more":   {Claim{Epoch: epochA, Counter: 4, Holds: totals(53, 0)}, 3},
		"it is of another epoch":         {Claim{Epoch: epochB, Counter: 5, Holds: totals(1, 0)}, 0},
		"of a gateway that does not say": {Claim{Epoch: epochA}, 0},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, a.Difference(tc.claim)) })
	}
	a.Committed--
	require.Equal(t, int64(1), a.Difference(Claim{}), "a reading was passed by")
}
