// Package resend remembers the newest messages of every sender of one gateway, so that a
// message sent again is recognised, also after a restart. It stores no message: of each it
// keeps a hash and the sequence of its pack.
//
// A Memory is not safe for concurrent use: the collector of package ingest holds its lock.
// Nothing but Write and Load blocks.
package resend

import (
	"github.com/cespare/xxhash/v2"
)

const (
	// Ring is how many messages are remembered of a sender.
	Ring = 16
	// MaxSenders bounds the memory, to 50 MB: beyond as many within Keep, a new sender takes
	// the place of another.
	MaxSenders = 1 << 18

	// A hash of 56 bits and the low 24 bits of a sequence share ten bytes. At 700 readings a
	// second two different messages of one sender are taken for one once in 200,000 years.
	hashMask = ^uint64(0xff)
	seqBits  = 24
	seqMask  = 1<<seqBits - 1

	chunkRecords = 512 // of 176 bytes: eleven pages of 8 KiB, the allocator's unit, without a rest
)

// Message identifies a message: its sender, and a hash of its content or of the id that the
// sender gave it. Neither is 0.
type Message struct{ Sender, Hash uint64 }

// Of returns the identity of a message by its payload.
func Of(sender uint64, payload []byte) Message {
	return Message{sender, whole(xxhash.Sum64(payload) ^ sender)}
}

// OfID returns the identity of a message by the id that its sender gave it.
func OfID(sender uint64, id string) Message {
	const other = 0x9e3779b97f4a7c15 // an id is never taken for a payload
	return Message{sender, whole(xxhash.Sum64String(id) ^ sender ^ other)}
}

// Refused returns the identity of a message as a dead letter: a message that was refused and
// is accepted when it comes again, as after an update of the gateway, is no resend.
func (m Message) Refused() Message { return Message{m.Sender, whole(m.Hash ^ 0xc2b2ae3d27d4eb4f)} }

// Device returns the key of a device as sender.
func Device(id string) uint64 { return whole(xxhash.Sum64String(id)) }

// Concentrator returns the key of a concentrator, which may have the id of a device.
func Concentrator(id string) uint64 { return whole(^xxhash.Sum64String(id)) }

// Topic returns the key of a topic whose messages name no sender.
func Topic(name string) uint64 { return whole(xxhash.Sum64String(name) ^ 0xc2b2ae3d27d4eb4f) }

// whole avoids the hash that marks an empty place.
func whole(h uint64) uint64 {
	if h&hashMask == 0 {
		return h | 1<<63
	}
	return h
}

// record is one sender. A word is 56 bits of a hash and the low 8 of a sequence, whose
// next 16 are in high; 0 is an empty place. From next on, around the ring, come the empty
// places, then the messages, oldest first.
type record struct {
	sender uint64 // 0: the record is free
	words  [Ring]uint64
	high   [Ring]uint16
	next   uint8 // the place after the newest message
}

// Memory holds the newest messages of each sender.
type Memory struct {
	index  []uint32 // by sender: number of a record + 1, 0 for none; open addressing
	chunks [][]record
	free   []uint32 // numbers of free records
	n      int      // records in use
	hand   uint32   // the record from which the next victim is looked for
	max    int
	found  *record // of the newest call of Find, until any other record changes
}

// New returns an empty memory.
func New() *Memory { return &Memory{max: MaxSenders} }

// Len returns the number of senders.
func (m *Memory) Len() int { return m.n }

// Find returns the low 24 bits of the sequence under which a message was put.
func (m *Memory) Find(msg Message) (seq uint32, ok bool) {
	r := m.record(msg.Sender)
	m.found = r
	if r != nil {
		if i := r.place(msg.Hash); i >= 0 {
			return r.seq(i), true
		}
	}
	return 0, false
}

// Put remembers a message of the pack at seq and forgets the oldest of its sender. It must not
// be known already.
func (m *Memory) Put(msg Message, seq uint64) {
	r := m.found
	if r == nil || r.sender != msg.Sender {
		if r = m.record(msg.Sender); r == nil {
			r = m.insert(msg.Sender)
		}
	}
	r.words[r.next] = msg.Hash&hashMask | uint64(uint8(seq))
	r.high[r.next] = uint16(seq >> 8)
	r.next = (r.next + 1) % Ring
}

// Remove forgets a message put under seq.
func (m *Memory) Remove(msg Message, seq uint64) {
	if r := m.record(msg.Sender); r != nil {
		if i := r.place(msg.Hash); i >= 0 && r.seq(i) == uint32(seq)&seqMask {
			r.words[i] = 0
			r.close()
		}
	}
}

// close moves the messages together, in their order, after some were removed.
func (r *record) close() {
	old := *r
	r.words, r.high, r.next = [Ring]uint64{}, [Ring]uint16{}, 0
	for k := range uint8(Ring) {
		if i := (old.next + k) % Ring; old.words[i] != 0 {
			r.words[r.next], r.high[r.next] = old.words[i], old.high[i]
			r.next++
		}
	}
	r.next %= Ring
}

// Restore returns the whole sequence of the newest pack, at most ref, with these low bits.
func Restore(seq uint32, ref uint64) uint64 {
	return ref - (ref-uint64(seq))&seqMask
}

// Expire forgets what was put under a sequence up to old, and the senders that have nothing
// else. It handles the records of one chunk, and reports whether there is a further one. ref
// is at least the newest sequence.
func (m *Memory) Expire(chunk int, old, ref uint64) (more bool) {
	return m.drop(chunk, func(seq uint32) bool { return Restore(seq, ref) <= old })
}

// RemoveFrom forgets what was put under seq and later, up to ref.
func (m *Memory) RemoveFrom(seq, ref uint64) {
	for chunk := range m.chunks {
		m.drop(chunk, func(s uint32) bool { return Restore(s, ref) >= seq })
	}
}

// drop forgets the messages of a chunk whose sequence is to go.
func (m *Memory) drop(chunk int, gone func(seq uint32) bool) (more bool) {
	if chunk >= len(m.chunks) {
		return false
	}
	for i := range m.chunks[chunk] {
		r := &m.chunks[chunk][i]
		if r.sender == 0 {
			continue
		}
		left, removed := 0, false
		for p := range r.words {
			switch {
			case r.words[p] == 0:
			case gone(r.seq(p)):
				r.words[p], removed = 0, true
			default:
				left++
			}
		}
		if left == 0 {
			m.remove(uint32(chunk*chunkRecords + i))
		} else if removed {
			r.close()
		}
	}
	return chunk+1 < len(m.chunks)
}

func (r *record) place(hash uint64) int {
	for i := range r.words {
		if (r.words[i]^hash)&hashMask == 0 {
			return i
		}
	}
	return -1
}

func (r *record) seq(i int) uint32 { return uint32(r.high[i])<<8 | uint32(uint8(r.words[i])) }

func (m *Memory) at(n uint32) *record { return &m.chunks[n/chunkRecords][n%chunkRecords] }

// record returns a sender's record, nil if there is none.
func (m *Memory) record(sender uint64) *record {
	if len(m.index) == 0 {
		return nil
	}
	for i := m.slot(sender); m.index[i] != 0; i = m.after(i) {
		if r := m.at(m.index[i] - 1); r.sender == sender {
			return r
		}
	}
	return nil
}

func (m *Memory) slot(sender uint64) uint32 { return uint32(sender>>32) & uint32(len(m.index)-1) }
func (m *Memory) after(i uint32) uint32     { return (i + 1) & uint32(len(m.index)-1) }

// insert adds an empty record.
func (m *Memory) insert(sender uint64) *record {
	if m.n >= m.max {
		m.evict()
	}
	if 8*(m.n+1) > 7*len(m.index) {
		m.grow()
	}
	n := m.allocate()
	r := m.at(n)
	*r = record{sender: sender}
	m.n++
	m.link(sender, n)
	return r
}

func (m *Memory) allocate() uint32 {
	if last := len(m.free) - 1; last >= 0 {
		n := m.free[last]
		m.free = m.free[:last]
		return n
	}
	if used := len(m.chunks) - 1; used >= 0 && len(m.chunks[used]) < chunkRecords {
		m.chunks[used] = m.chunks[used][:len(m.chunks[used])+1]
		return uint32(used*chunkRecords + len(m.chunks[used]) - 1)
	}
	m.chunks = append(m.chunks, make([]record, 1, chunkRecords))
	return uint32((len(m.chunks) - 1) * chunkRecords)
}

func (m *Memory) link(sender uint64, n uint32) {
	i := m.slot(sender)
	for m.index[i] != 0 {
		i = m.after(i)
	}
	m.index[i] = n + 1
}

// evict makes room for one more sender: it removes the next one in a circle.
func (m *Memory) evict() {
	for {
		m.hand++
		if int(m.hand) >= len(m.chunks)*chunkRecords {
			m.hand = 0
		}
		c := m.chunks[m.hand/chunkRecords]
		if i := int(m.hand % chunkRecords); i < len(c) && c[i].sender != 0 {
			m.remove(m.hand)
			return
		}
	}
}

func (m *Memory) grow() {
	m.index = make([]uint32, max(2*len(m.index), 16))
	for c := range m.chunks {
		for i := range m.chunks[c] {
			if s := m.chunks[c][i].sender; s != 0 {
				m.link(s, uint32(c*chunkRecords+i))
			}
		}
	}
}

// remove frees a record. The entries behind its own in the index move up, as far as they may
// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
func (m *Memory) remove(n uint32) {
	i := m.slot(m.at(n).sender)
	for m.index[i] != n+1 {
		i = m.after(i)
	}
	for j := m.after(i); m.index[j] != 0; j = m.after(j) {
		home := m.slot(m.at(m.index[j] - 1).sender)
		if (j-home)&uint32(len(m.index)-1) >= (j-i)&uint32(len(m.index)-1) {
			m.index[i] = m.index[j]
			i = j
		}
	}
	m.index[i] = 0
	*m.at(n) = record{}
	m.found = nil
	m.free = append(m.free, n)
	m.n--
}
