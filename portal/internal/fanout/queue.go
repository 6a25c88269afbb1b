package fanout

// queue is a FIFO of device numbers in which each number occurs at most once. A number
// that is queued again keeps its place: what will be sent for it is looked up when its
// turn comes. Its size is bounded by the number of devices.
type queue struct {
	present []uint64 // one bit for each device number
	fifo    []uint32
	head    int
	popped  uint64 // entries that were taken, ever
}

// pushed returns how many entries will have been taken once those in the queue are.
func (q *queue) pushed() uint64 { return q.popped + uint64(q.length()) }

// snapshotBit marks an entry that was queued because of a subscription, not by news.
const snapshotBit = 1 << 31

// push queues a device and reports whether it was not queued yet.
func (q *queue) push(index int, snapshot bool) bool {
	word, bit := index/64, uint64(1)<<(index%64)
	if word >= len(q.present) {
		grown := make([]uint64, max(word+1, min(2*len(q.present), word+64)))
		copy(grown, q.present)
		q.present = grown
	}
	if q.present[word]&bit != 0 {
		return false
	}
	q.present[word] |= bit
	if len(q.fifo) == cap(q.fifo) && q.head > len(q.fifo)/2 {
		q.fifo = q.fifo[:copy(q.fifo, q.fifo[q.head:])]
		q.head = 0
	}
	entry := uint32(index)
	if snapshot {
		entry |= snapshotBit
	}
	q.fifo = append(q.fifo, entry)
	return true
}

// pop removes the oldest entry.
func (q *queue) pop() (index int, snapshot, ok bool) {
	if q.head == len(q.fifo) {
		return 0, false, false
	}
	entry := q.fifo[q.head]
	q.head++
	q.popped++
	if q.head == len(q.fifo) {
		q.fifo, q.head = q.fifo[:0], 0
	}
	index = int(entry &^ snapshotBit)
	q.present[index/64] &^= 1 << (index % 64)
	return index, entry&snapshotBit != 0, true
}

// length returns the number of entries.
func (q *queue) length() int { return len(q.fifo) - q.head }

// keep removes the entries for which f returns false.
func (q *queue) keep(f func(index int) bool) {
	rest := q.fifo[:0]
	for _, entry := range q.fifo[q.head:] {
		index := int(entry &^ snapshotBit)
		if f(index) {
			rest = append(rest, entry)
			continue
		}
		q.present[index/64] &^= 1 << (index % 64)
	}
	q.fifo, q.head = rest, 0
}
