package checkpoint

import (
	"slices"

	"industrial-iot-monitor/internal/wire"
)

// maxAccounts bounds how many starts of a gateway have an account of their own.
const maxAccounts = 4

// Counts counts readings, except where it says otherwise.
type Counts struct {
	Committed    uint64 // in device-data
	Refused      uint64 // messages in device-data-dlq
	Damaged      uint64 // known to be lost in damaged or missing packs
	DamagedPacks uint64 // packs that were damaged or missing
	Late         uint64 // among the committed ones those that waited in the gateway
	Duplicates   uint64 // packs that came a second time and were dropped
}

// Plus returns the sum of both.
func (n Counts) Plus(o Counts) Counts {
	return Counts{
		Committed: n.Committed + o.Committed, Refused: n.Refused + o.Refused, Damaged: n.Damaged + o.Damaged,
		DamagedPacks: n.DamagedPacks + o.DamagedPacks, Late: n.Late + o.Late, Duplicates: n.Duplicates + o.Duplicates,
	}
}

// Account says what became of the packs of one epoch, up to the one named by Counter.
type Account struct {
	Epoch   uint64
	Counter uint64
	// Through is what the packs up to Counter hold, as the gateway says.
	Through wire.PackTotals
	Counts
}

// Claim is what a gateway said about one of its epochs in a heartbeat.
type Claim struct {
	Epoch   uint64
	Counter uint64          // of the newest pack
	Holds   wire.PackTotals // what the packs up to it hold
	Started int64           // ms since 1970
}

// Difference is how many readings of an account's epoch the gateway has stored, the
// account has come past, and that are neither committed nor known to be damaged; it is 0
// when all is well. The claim's part is taken only where it speaks of packs that the
// account knows.
func (a Account) Difference(claim Claim) int64 {
	holds := a.Through.Readings
	if claim.Epoch == a.Epoch && (claim.Counter == a.Counter || claim.Counter < a.Counter && claim.Holds.Readings > holds) {
		holds = claim.Holds.Readings
	}
	return int64(holds) - int64(a.Committed) - int64(a.Damaged)
}

// Book keeps the accounts of one gateway. It is a value: its methods that change it are
// called on copies (see clone).
type Book struct {
	// Accounts are those of the newest epochs, in the order in which they were first seen.
	Accounts []Account
	// Folded sums what older epochs had, and what belongs to no known epoch.
	Folded Counts
}

// Total sums everything.
func (b Book) Total() Counts {
	sum := b.Folded
	for i := range b.Accounts {
		sum = sum.Plus(b.Accounts[i].Counts)
	}
	return sum
}

// Difference sums the differences of all accounts, each with the claim of its epoch.
func (b Book) Difference(claims []Claim) (sum int64) {
	for _, a := range b.Accounts {
		var claim Claim
		if i := slices.IndexFunc(claims, func(c Claim) bool { return c.Epoch == a.Epoch }); i >= 0 {
			claim = claims[i]
		}
		sum += a.Difference(claim)
	}
	return sum
}

// clone returns a copy that may be changed.
func (b Book) clone() Book {
	out := Book{Accounts: make([]Account, len(b.Accounts), maxAccounts+1), Folded: b.Folded}
	copy(out.Accounts, b.Accounts)
	return out
}

// find returns the index of an epoch's account, -1 for none.
func (b *Book) find(epoch uint64) int {
	return slices.IndexFunc(b.Accounts, func(a Account) bool { return a.Epoch == epoch })
}

// of returns the counts of the account at an index, those of no epoch for -1.
func (b *Book) of(index int) *Counts {
	if index < 0 {
		return &b.Folded
	}
	return &b.Accounts[index].Counts
}

// duplicate books a pack that came a second time.
func (b *Book) duplicate(epoch uint64) { b.of(b.find(epoch)).Duplicates++ }

// damagedPacks books packs that are lost and cannot be named yet.
func (b *Book) damagedPacks(n uint64) { b.of(len(b.Accounts) - 1).DamagedPacks += n }

// open begins the account of p's epoch. high is the counter up to which its packs are
// known to be bridged: more than 0 where that was before there were accounts, or where
// the account was folded. What those packs held is known from p, and taken as committed
// but for the share of packs that are missing.
func (b *Book) open(p Pack, high uint64) int {
	a := Account{Epoch: p.Epoch, Counter: high}
	if high > 0 {
		a.Through = p.Before
		a.Damaged = p.Before.Readings / (p.Counter - 1) * (p.Counter - high - 1)
		a.Committed, a.Refused = p.Before.Readings-a.Damaged, p.Before.Refused
		b.Folded.Committed = less(b.Folded.Committed, a.Committed)
		b.Folded.Damaged = less(b.Folded.Damaged, a.Damaged)
		b.Folded.Refused = less(b.Folded.Refused, a.Refused)
	}
	b.Accounts = append(b.Accounts, a)
	return len(b.Accounts) - 1
}

// settle closes the accounts of the epochs before p's: what a gateway claimed to hold and
// did not deliver before it began another epoch is lost, and so is an epoch of which
// nothing was ever seen. It returns the number of packs. since is the receive time of the
// newest pack before p.
func (b *Book) settle(p Pack, since int64, claims []Claim, seen func(epoch uint64) bool) (lost uint64) {
	heard := slices.IndexFunc(claims, func(c Claim) bool { return c.Epoch == p.Epoch })
	if heard >= 0 {
		claims = claims[:heard] // the rest is newer
	}
	// Claims before the newest epoch that has an account were settled when that was opened.
	newest := -1
	for i := range claims {
		if b.find(claims[i].Epoch) >= 0 {
			newest = i
		}
	}
	for i, claim := range claims {
		at := b.find(claim.Epoch)
		if at < 0 {
			settled := i < newest || newest < 0 && claim.Started < since
			newer := heard < 0 && claim.Started > p.At
			if settled || newer || claim.Counter == 0 || seen(claim.Epoch) {
				continue
			}
			b.Accounts = append(b.Accounts, Account{Epoch: claim.Epoch})
			at = len(b.Accounts) - 1
		}
		a := &b.Accounts[at]
		if claim.Counter <= a.Counter {
			continue
		}
		n := claim.Counter - a.Counter
		a.DamagedPacks += n
		a.Damaged += less(claim.Holds.Readings, a.Through.Readings)
		a.Counter, a.Through = claim.Counter, claim.Holds
		lost += n
	}
	return lost
}

// take books a pack that goes to Kafka. It returns how many packs of the epoch are
// missing before it, or in its place: a gateway that lost its newest packs puts an empty
// one where the last of them was.
func (a *Account) take(p Pack) (gap uint64) {
	if p.Counter > a.Counter {
		short := less(p.Before.Readings, a.Through.Readings)
		if gap = p.Counter - a.Counter - 1; gap == 0 && short > 0 {
			gap = 1
		}
		a.Damaged += short
		a.Counter = p.Counter
		a.Through.Readings = p.Before.Readings + p.Holds.Readings + p.Broken
		a.Through.Refused = p.Before.Refused + p.Holds.Refused
	} else { // it was taken for lost, and is here after all
		a.Damaged = less(a.Damaged, p.Holds.Readings+p.Broken)
		a.DamagedPacks = less(a.DamagedPacks, 1)
	}
	a.DamagedPacks += gap
	a.Committed += p.Holds.Readings
	a.Refused += p.Holds.Refused
	if p.Late {
		a.Late += p.Holds.Readings
	}
	if p.Broken > 0 {
		a.DamagedPacks++
		a.Damaged += p.Broken
	}
	return gap
}

// fold keeps the number of accounts within its bound.
func (b *Book) fold() {
	for len(b.Accounts) > maxAccounts {
		b.Folded = b.Folded.Plus(b.Accounts[0].Counts)
		b.Accounts = slices.Delete(b.Accounts, 0, 1)
	}
}

// less is n-m, at least 0.
func less(n, m uint64) uint64 { return n - min(n, m) }
