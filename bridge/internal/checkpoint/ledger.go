package checkpoint

import (
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// maxLedgerEpochs is how many epochs of a gateway a ledger keeps apart.
const maxLedgerEpochs = 4

// Counts counts readings, except where it says otherwise.
type Counts struct {
	Committed    uint64 // in device-data
	Refused      uint64 // messages in device-data-dlq
	Damaged      uint64 // lost in damaged or missing packs, as far as known
	DamagedPacks uint64 // packs that were damaged or missing
	Late         uint64 // committed ones that waited in the gateway
	Duplicates   uint64 // packs received again and dropped
}

// Plus returns the sum of both.
func (n Counts) Plus(o Counts) Counts {
	return Counts{
		Committed: n.Committed + o.Committed, Refused: n.Refused + o.Refused, Damaged: n.Damaged + o.Damaged,
		DamagedPacks: n.DamagedPacks + o.DamagedPacks, Late: n.Late + o.Late, Duplicates: n.Duplicates + o.Duplicates,
	}
}

// EpochLedger accounts for the packs of one epoch, up to Counter.
type EpochLedger struct {
	Epoch   uint64
	Counter uint64
	// Through is the content of the packs up to Counter, as the gateway reports it.
	Through wire.PackTotals
	Counts
}

// Claim is what a heartbeat reports about one epoch of its gateway.
type Claim struct {
	Epoch   uint64
	Counter uint64          // of the newest pack
	Holds   wire.PackTotals // content of the packs up to it
	Started int64           // ms since 1970
}

// Difference returns how many readings up to Counter the gateway stored that are neither
// committed nor counted as damaged: 0 when the ledger adds up. The claim counts only where
// it covers no pack beyond Counter.
func (e EpochLedger) Difference(claim Claim) int64 {
	holds := e.Through.Readings
	if claim.Epoch == e.Epoch && (claim.Counter == e.Counter || claim.Counter < e.Counter && claim.Holds.Readings > holds) {
		holds = claim.Holds.Readings
	}
	return int64(holds) - int64(e.Committed) - int64(e.Damaged)
}

// Ledger accounts for the readings of one gateway. It is a value: methods that change it
// are called on copies (see clone).
type Ledger struct {
	// Epochs are the newest ones, in the order in which they were first seen.
	Epochs []EpochLedger
	// Folded is the sum of the older epochs, and of packs of no known epoch.
	Folded Counts
}

// Total returns the sum of all epochs.
func (l Ledger) Total() Counts {
	sum := l.Folded
	for i := range l.Epochs {
		sum = sum.Plus(l.Epochs[i].Counts)
	}
	return sum
}

// Difference returns the sum over all epochs, each with its claim.
func (l Ledger) Difference(claims []Claim) (sum int64) {
	for _, e := range l.Epochs {
		var claim Claim
		if i := slices.IndexFunc(claims, func(c Claim) bool { return c.Epoch == e.Epoch }); i >= 0 {
			claim = claims[i]
		}
		sum += e.Difference(claim)
	}
	return sum
}

// clone returns a copy that can be changed.
func (l Ledger) clone() Ledger {
	out := Ledger{Epochs: make([]EpochLedger, len(l.Epochs), maxLedgerEpochs+1), Folded: l.Folded}
	copy(out.Epochs, l.Epochs)
	return out
}

// find returns the index of an epoch, -1 for none.
func (l *Ledger) find(epoch uint64) int {
	return slices.IndexFunc(l.Epochs, func(e EpochLedger) bool { return e.Epoch == epoch })
}

// counts returns the counts of the epoch at index, the folded ones for -1.
func (l *Ledger) counts(index int) *Counts {
	if index < 0 {
		return &l.Folded
	}
	return &l.Epochs[index].Counts
}

// addDuplicate records a pack received again.
func (l *Ledger) addDuplicate(epoch uint64) { l.counts(l.find(epoch)).Duplicates++ }

// addDamagedPacks records lost packs whose names are unknown so far.
func (l *Ledger) addDamagedPacks(n uint64) { l.counts(len(l.Epochs) - 1).DamagedPacks += n }

// open adds p's epoch and returns its index. high is the counter up to which its packs are
// bridged: more than 0 if that was before there were ledgers, or the epoch was folded. The
// content of those packs is in p.Before, and counts as committed except for the share of
// the missing packs.
func (l *Ledger) open(p Pack, high uint64) int {
	e := EpochLedger{Epoch: p.Epoch, Counter: high}
	if high > 0 {
		e.Through = p.Before
		e.Damaged = p.Before.Readings / (p.Counter - 1) * (p.Counter - high - 1)
		e.Committed, e.Refused = p.Before.Readings-e.Damaged, p.Before.Refused
		l.Folded.Committed = subtract(l.Folded.Committed, e.Committed)
		l.Folded.Damaged = subtract(l.Folded.Damaged, e.Damaged)
		l.Folded.Refused = subtract(l.Folded.Refused, e.Refused)
	}
	l.Epochs = append(l.Epochs, e)
	return len(l.Epochs) - 1
}

// settle closes the epochs before p's and returns the number of packs that are lost: those
// that the gateway claimed and did not deliver before it started another epoch, also of
// epochs of which no pack ever arrived. since is the receive time of the newest pack
// before p.
func (l *Ledger) settle(p Pack, since int64, claims []Claim, seen func(epoch uint64) bool) (lost uint64) {
	heard := slices.IndexFunc(claims, func(c Claim) bool { return c.Epoch == p.Epoch })
	if heard >= 0 {
		claims = claims[:heard] // the others are newer
	}
	// Claims before the newest epoch in the ledger were settled when that was opened.
	newest := -1
	for i := range claims {
		if l.find(claims[i].Epoch) >= 0 {
			newest = i
		}
	}
	for i, claim := range claims {
		at := l.find(claim.Epoch)
		if at < 0 {
			settled := i < newest || newest < 0 && claim.Started < since
			newer := heard < 0 && claim.Started > p.At
			if settled || newer || claim.Counter == 0 || seen(claim.Epoch) {
				continue
			}
			l.Epochs = append(l.Epochs, EpochLedger{Epoch: claim.Epoch})
			at = len(l.Epochs) - 1
		}
		e := &l.Epochs[at]
		if claim.Counter <= e.Counter {
			continue
		}
		n := claim.Counter - e.Counter
		e.DamagedPacks += n
		e.Damaged += subtract(claim.Holds.Readings, e.Through.Readings)
		e.Counter, e.Through = claim.Counter, claim.Holds
		lost += n
	}
	return lost
}

// add records a pack that goes to Kafka. It returns how many packs of the epoch are
// missing before it, or in its place: a gateway that lost its newest packs stores an empty
// one in place of the last.
func (e *EpochLedger) add(p Pack) (gap uint64) {
	if p.Counter > e.Counter {
		short := subtract(p.Before.Readings, e.Through.Readings)
		if gap = p.Counter - e.Counter - 1; gap == 0 && short > 0 {
			gap = 1
		}
		e.Damaged += short
		e.Counter = p.Counter
		e.Through.Readings = p.Before.Readings + p.Holds.Readings + p.Broken
		e.Through.Refused = p.Before.Refused + p.Holds.Refused
	} else { // it counted as lost, and arrived after all
		e.Damaged = subtract(e.Damaged, p.Holds.Readings+p.Broken)
		e.DamagedPacks = subtract(e.DamagedPacks, 1)
	}
	e.DamagedPacks += gap
	e.Committed += p.Holds.Readings
	e.Refused += p.Holds.Refused
	if p.Late {
		e.Late += p.Holds.Readings
	}
	if p.Broken > 0 {
		e.DamagedPacks++
		e.Damaged += p.Broken
	}
	return gap
}

// fold merges the oldest epochs beyond the limit into Folded.
func (l *Ledger) fold() {
	for len(l.Epochs) > maxLedgerEpochs {
		l.Folded = l.Folded.Plus(l.Epochs[0].Counts)
		l.Epochs = slices.Delete(l.Epochs, 0, 1)
	}
}

// subtract returns n-m, at least 0.
func subtract(n, m uint64) uint64 { return n - min(n, m) }
