package ingest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"industrial-iot-monitor/edge/internal/resend"
	"industrial-iot-monitor/internal/wire"
)

// Resends is what the gateway remembers of the messages before its start.
type Resends struct {
	Memory *resend.Memory // nil: nothing
	Last   uint64         // newest sequence in the stream
	Kept   uint64         // sequence up to which File has the packs
	Eras   []resend.Era
	File   string // empty: nothing is remembered across a restart
	// MostBytes is how many bytes of packs are stored at most before the file is written: the
	// packs since stay in the stream. 0: no limit.
	MostBytes uint64
}

const (
	// saveEvery is how often the memory is written to the disk, checkEvery how often
	// it is looked whether that must be earlier. The bridge leaves the packs since in the
	// stream, and the server keeps them in memory.
	saveEvery  = 5 * time.Second
	checkEvery = 500 * time.Millisecond
	// It is earlier when at least saveBytes of packs were stored, and saveRatio times as much as
	// the file takes.
	saveBytes = 8 << 20
	saveRatio = 4
	// eraEvery is how exactly the age of a message is known.
	eraEvery = 30 * time.Second
	// keepLimit is how long writing may fail until packs are given up for trimming: the
	// buffer must not fill because of this.
	keepLimit = time.Minute
)

// Identify sets by what a resend of the message is recognised: the id that it was given, or
// its payload. sender is a key of package resend.
func (m *Message) Identify(sender uint64, payload []byte) {
	accepted := m.refusal() == nil && (m.Ticket.Batch == nil || m.Ticket.Batch.Accepted > 0)
	switch {
	case !accepted:
		m.identity = resend.Of(sender, payload).Refused()
	case m.ID != "":
		m.identity = resend.OfID(sender, m.ID)
	default:
		m.identity = resend.Of(sender, payload)
	}
	m.explicit = true
}

// identify is Identify for a message of a device or concentrator.
func (m *Message) identify(from wire.Sender, payload []byte) {
	if from.ID == "" {
		m.identity = resend.Message{}
		return
	}
	if from.Concentrator {
		m.Identify(resend.Concentrator(from.ID), payload)
		return
	}
	m.Identify(resend.Device(from.ID), payload)
	// What identityOf computes from the entry, if that has all of the message.
	m.explicit = m.Ticket.Batch != nil || m.ID != "" || m.Device != from.ID || len(m.Payload) != len(payload)
}

// identityOf returns the identity of the message that begins with an entry of a pack, zero
// for none.
func identityOf(e *wire.PackEntry) resend.Message {
	switch {
	case e.Sender != 0:
		return resend.Message{Sender: e.Sender, Hash: e.ID}
	case e.Part || e.Device == "" || e.Mapping != "":
		return resend.Message{}
	}
	id := resend.Of(resend.Device(e.Device), e.Payload)
	if e.Refusal != nil {
		return id.Refused()
	}
	return id
}

// Replay remembers the messages of a stored pack.
func (r *Resends) Replay(seq uint64, data []byte) error {
	p, err := wire.OpenPack(data)
	if err != nil {
		return fmt.Errorf("pack %d: %w", seq, err)
	}
	for e, ok := p.Next(); ok; e, ok = p.Next() {
		id := identityOf(&e)
		if id.Sender == 0 {
			continue
		}
		if _, known := r.Memory.Find(id); !known {
			r.Memory.Put(id, seq)
		}
	}
	return p.Err()
}

// earlier returns where the same message is already: in a pack that is not stored yet, or
// stored at a sequence. The caller holds c.mu.
func (c *Collector) earlier(m *Message) (of *pack, seq uint64) {
	if m.identity.Sender == 0 {
		return nil, 0
	}
	low, ok := c.memory.Find(m.identity)
	if !ok {
		return nil, 0
	}
	m.Ticket.Duplicate, m.Ticket.refusal = true, m.refusal()
	seq = resend.Restore(low, c.open.seq)
	switch {
	case c.flying != nil && seq == c.flying.seq:
		return c.flying, 0
	case c.open.b.Count() > 0 && seq == c.open.seq:
		return c.open, 0
	}
	return nil, seq
}

// land records that p, or an empty pack if that is nil, is stored at seq, and returns the
// tickets of the messages in it that were sent again since.
func (c *Collector) land(p *pack, seq uint64) (resends []Ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := c.stored + 1; seq != want {
		c.moved(p, seq)
	}
	c.stored = seq
	if p == nil {
		return nil
	}
	c.flying = nil
	resends, p.resends = p.resends, nil
	return resends
}

// moved corrects the memory of p and of the open pack after it, when the stream gave
// it another sequence than expected: it had lost packs, or has a message of somebody else.
// What was in lost packs is forgotten.
func (c *Collector) moved(p *pack, seq uint64) {
	packs := []*pack{c.open}
	if p != nil {
		packs = []*pack{p, c.open}
	}
	for _, o := range packs {
		for _, id := range o.seen {
			c.memory.Remove(id, o.seq)
		}
	}
	if newest := c.stored + 2; seq <= newest {
		c.memory.RemoveFrom(seq, newest)
	}
	for i, o := range packs {
		o.seq = seq + uint64(i)
		if p == nil {
			o.seq++
		}
		for _, id := range o.seen {
			c.memory.Put(id, o.seq)
		}
	}
}

// drop is land for a pack that is not stored: its messages are forgotten, and stored when they
// are sent again.
func (c *Collector) drop(p *pack) (resends []Ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying = nil
	return c.forget(p)
}

// forget takes the messages of p out of the memory. The caller holds c.mu.
func (c *Collector) forget(p *pack) (resends []Ticket) {
	for _, id := range p.seen {
		c.memory.Remove(id, p.seq)
	}
	p.seen = p.seen[:0]
	resends, p.resends = p.resends, nil
	return resends
}

func (c *Collector) senders() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.memory.Len()
}

// keeper forgets old messages and writes the rest to the disk.
type keeper struct {
	file   string
	eras   []resend.Era
	data   []byte
	kept   uint64        // sequence up to which the file has the packs
	good   time.Time     // when it was written last, or need not be
	tried  time.Time     // when it was tried last
	most   uint64        // see Resends.MostBytes
	bytes  uint64        // of all stored packs, at the last try
	oldest atomic.Uint64 // see KeepFrom
}

func (k *keeper) begin(r Resends) {
	k.file, k.eras, k.kept, k.most, k.good = r.File, r.Eras, r.Kept, r.MostBytes, time.Now()
	if k.file != "" {
		k.oldest.Store(k.kept + 1)
	}
}

// KeepFrom returns the oldest sequence that must stay in the stream, for a restart to find
// what was sent; 0 for none.
func (c *Collector) KeepFrom() uint64 { return c.keeper.oldest.Load() }

// early returns how many bytes of packs make a save due before its time.
func (k *keeper) early() uint64 {
	n := max(saveBytes, saveRatio*uint64(len(k.data)))
	if k.most > 0 {
		n = min(n, k.most)
	}
	return n
}

// KeepResends forgets old messages and keeps the rest on the disk, until ctx ends.
func (c *Collector) KeepResends(ctx context.Context) error {
	c.SaveResends()
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		c.expireResends(time.Now())
		k := &c.keeper
		if time.Since(k.tried) >= saveEvery || c.mark.Load().Bytes-k.bytes >= k.early() {
			c.SaveResends()
		}
	}
}

// expireResends forgets the messages that are older than resend.Keep.
func (c *Collector) expireResends(now time.Time) {
	k := &c.keeper
	if n := len(k.eras); n > 0 && now.Sub(k.eras[n-1].At) < eraEvery {
		return
	}
	c.mu.Lock()
	stored := c.stored
	c.mu.Unlock()
	k.eras = append(k.eras, resend.Era{At: now, Seq: stored})
	past := 0 // eras that are old enough
	for past < len(k.eras) && now.Sub(k.eras[past].At) >= resend.Keep {
		past++
	}
	if past == 0 {
		return
	}
	old := k.eras[past-1].Seq
	k.eras = append(k.eras[:0], k.eras[past:]...)
	for chunk, more := 0, true; more; chunk++ {
		c.mu.Lock()
		more = c.memory.Expire(chunk, old, c.open.seq)
		c.mu.Unlock()
	}
}

// SaveResends writes the memory of the stored packs to the disk, if there are new
// ones. Not for concurrent use.
func (c *Collector) SaveResends() {
	k := &c.keeper
	if k.file == "" {
		return
	}
	k.tried, k.bytes = time.Now(), c.mark.Load().Bytes
	c.mu.Lock()
	stored := c.stored
	c.mu.Unlock()
	if stored == k.kept && stored != 0 {
		k.good = time.Now()
		return
	}
	data := resend.Begin(k.data[:0], stored, time.Now(), k.eras)
	for chunk, more := 0, true; more; chunk++ {
		c.mu.Lock()
		data, more = c.memory.AppendChunk(data, chunk)
		c.mu.Unlock()
	}
	k.data = resend.End(data)
	if err := resend.Write(k.file, k.data); err != nil {
		c.metrics.keepFailures.Inc()
		c.log.Warn("saving what recognises resends after a restart failed, retrying", "err", err)
		if time.Since(k.good) > keepLimit {
			k.oldest.Store(0)
		}
		return
	}
	k.kept, k.good = stored, time.Now()
	k.oldest.Store(stored + 1)
}
