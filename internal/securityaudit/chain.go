package securityaudit

import "crypto/rand"

// Chain links records. It has one writer, which writes them in their order; a writer that does not know whether its last
// record was written begins another one. It is not safe for concurrent use.
type Chain struct {
	id, last string
	number   int64
}

// NewChain begins a chain behind the newest record in the topic, whose hash is newest; empty: there is none.
func NewChain(newest string) *Chain { return &Chain{id: rand.Text(), last: newest} }

// Link returns a record with its place in the chain.
func (c *Chain) Link(r Record) Record {
	r.trim()
	c.number++
	r.Chain, r.Number, r.Previous = c.id, c.number, c.last
	r.Hash = r.sum()
	c.last = r.Hash
	return r
}
