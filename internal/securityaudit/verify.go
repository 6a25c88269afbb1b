package securityaudit

import "fmt"

// Fault is a place at which the topic is not as it was written.
type Fault struct {
	Offset int64 // in the topic
	Text   string
}

// Verifier checks the records of the topic from its beginning, in their order. The zero value is ready for use.
//
// It finds a record that was changed, and every one that is missing or there twice, but for one case: records that were
// removed from the end of a chain, if no other chain began behind them. What was written with right hashes by a program that may
// write the topic, is no fault.
type Verifier struct {
	records int
	next    int64 // offset
	chains  map[string]*link
	hashes  map[string]bool
	faults  []Fault
}

// link is the newest record of a chain.
type link struct {
	number int64
	hash   string
}

// Add checks the record at an offset.
func (v *Verifier) Add(offset int64, data []byte) {
	if v.chains == nil {
		v.chains, v.hashes = make(map[string]*link), make(map[string]bool)
	}
	if offset > v.next { // the topic has no transactions and is never compacted
		v.fault(v.next, "%d records are missing", offset-v.next)
	}
	v.next = max(v.next, offset+1)
	v.records++
	r, err := Decode(data)
	if err != nil {
		v.fault(offset, "it was changed: %v", err)
		return
	}
	if err := r.intact(data); err != nil {
		v.fault(offset, "record %d of chain %s was changed: %v", r.Number, r.Chain, err)
	}
	v.place(offset, r)
	v.hashes[r.Hash] = true
}

// place checks where a record stands in its chain.
func (v *Verifier) place(offset int64, r *Record) {
	last := v.chains[r.Chain]
	switch {
	case last == nil:
		last = &link{}
		v.chains[r.Chain] = last
		if r.Number > 1 {
			v.fault(offset, "chain %s begins with record %d: %d before it are missing", r.Chain, r.Number, r.Number-1)
		} else if r.Previous != "" && !v.hashes[r.Previous] {
			v.fault(offset, "chain %s began behind a record that is missing or was changed", r.Chain)
		}
	case r.Number <= last.number:
		v.fault(offset, "record %d of chain %s is here again", r.Number, r.Chain)
		return
	case r.Number > last.number+1:
		v.fault(offset, "%d records of chain %s before its record %d are missing", r.Number-last.number-1, r.Chain, r.Number)
	case r.Previous != last.hash:
		v.fault(offset, "record %d of chain %s is not behind the one that it was written behind", r.Number, r.Chain)
	}
	last.number, last.hash = r.Number, r.Hash
}

func (v *Verifier) fault(offset int64, format string, args ...any) {
	v.faults = append(v.faults, Fault{offset, fmt.Sprintf(format, args...)})
}

// End checks that the topic ends at an offset: that of the record that will be next.
func (v *Verifier) End(offset int64) {
	if offset > v.next {
		v.fault(v.next, "%d records are missing at the end", offset-v.next)
	}
}

// Counts returns how many records of how many chains there were.
func (v *Verifier) Counts() (records, chains int) { return v.records, len(v.chains) }

// Faults returns what was found, in the order of the topic.
func (v *Verifier) Faults() []Fault { return v.faults }
