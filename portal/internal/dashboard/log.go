package dashboard

// entry is one delta as a frame.
type entry struct {
	seq      uint64
	end      int64 // bytes of all deltas of the topic so far, this one included
	received int64 // when the gateway took the live reading in it, ms; 0: there is none
	frame    []byte
}

// deltaLog holds the newest deltas of a topic, without gaps. A client is somewhere in it;
// what it has not got yet is not stored anywhere else.
type deltaLog struct {
	entries  []entry // the valid ones begin at head
	head     int
	bytes    int64 // in the valid ones
	total    int64 // ever
	most     int
	mostByte int64 // 0: not bounded
}

func (l *deltaLog) limit(most, mostBytes int) { l.most, l.mostByte = most, int64(mostBytes) }

func (l *deltaLog) length() int { return len(l.entries) - l.head }

// first returns the oldest sequence number held; with newest as the newest one ever it is
// newest+1 when nothing is held.
func (l *deltaLog) first(newest uint64) uint64 { return newest + 1 - uint64(l.length()) }

// push appends e and drops the oldest entries beyond the limits; the newest always stays.
func (l *deltaLog) push(e entry) {
	n := int64(len(e.frame))
	l.total += n
	l.bytes += n
	e.end = l.total
	l.entries = append(l.entries, e)
	for l.length() > 1 && (l.length() > l.most || (l.mostByte > 0 && l.bytes > l.mostByte)) {
		l.bytes -= int64(len(l.entries[l.head].frame))
		l.entries[l.head] = entry{}
		l.head++
	}
	if l.head > l.most || l.head > 64 && l.head > len(l.entries)/2 {
		n := copy(l.entries, l.entries[l.head:])
		clear(l.entries[n:])
		l.entries, l.head = l.entries[:n], 0
	}
}

// after returns the oldest entry whose number is above seq, nil when there is none.
func (l *deltaLog) after(seq, newest uint64) *entry {
	first := l.first(newest)
	if seq >= newest {
		return nil
	}
	if seq+1 < first {
		seq = first - 1
	}
	return &l.entries[l.head+int(seq+1-first)]
}

// reached returns how many bytes of deltas had been published up to seq.
func (l *deltaLog) reached(seq, newest uint64) int64 {
	e := l.after(seq, newest)
	if e == nil {
		return l.total
	}
	return e.end - int64(len(e.frame))
}
