package lane

import (
	"time"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

// item is a pack on its way from a puller to the collector, or only a new checkpoint.
type item struct {
	gateway *gateway
	next    checkpoint.Checkpoint // once the item is committed
	pack    *wire.Pack            // nil when there is nothing to bridge
	damaged []byte                // the bytes of an unreadable pack
	loss    *loss                 // detected at this pack
	late    bool                  // it waited in the gateway
	hurry   bool                  // a backlog is behind it
	span    *tracing.Span         // of a traced pack, until it is committed
	weight  int64                 // bytes of the lane's memory
}

// entries is the number of messages in the item.
func (it *item) entries() int {
	if it.pack == nil {
		return 0
	}
	return it.pack.Header.Count
}

// loss is an event in which packs of a gateway were lost. The numbers are from the ledger,
// the only place that counts them.
type loss struct {
	gateway  string
	reason   string
	packs    uint64 // known to be lost, 0 if unknown
	readings uint64 // known to be in them
	seq      uint64
}

// update is a gateway's new checkpoint in a transaction, after so many items.
type update struct {
	to    checkpoint.Checkpoint
	items int
}

// batch is the content of one transaction. It is reused for later ones.
type batch struct {
	items   []item
	updates []update // the newest checkpoint of each gateway
	losses  []loss
	entries int   // messages in the items
	hurry   bool  // a backlog is behind one of them
	weight  int64 // of the items
	traced  int   // items with a span
	sent    sent
}

// sent counts the records of a transaction.
type sent struct {
	readings, letters, packs, damaged int
}

// empty reports whether nothing was added.
func (b *batch) empty() bool { return len(b.items) == 0 }

// add appends an item.
func (b *batch) add(it *item) {
	b.items = append(b.items, *it)
	b.entries += it.entries()
	b.weight += it.weight
	b.hurry = b.hurry || it.hurry
	if it.span != nil {
		b.traced++
	}
	if it.loss != nil {
		b.losses = append(b.losses, *it.loss)
	}
	for i := range b.updates {
		if b.updates[i].to.Gateway == it.next.Gateway {
			b.updates[i] = update{to: it.next, items: b.updates[i].items + 1}
			return
		}
	}
	b.updates = append(b.updates, update{to: it.next, items: 1})
}

// reset empties the batch and drops its packs.
func (b *batch) reset() {
	clear(b.items)
	clear(b.updates)
	clear(b.losses)
	*b = batch{items: b.items[:0], updates: b.updates[:0], losses: b.losses[:0]}
}

// nextBatch decides whether the collector receives another pack, flushes the batch, or both.
// due is set when the batch has waited long enough, held when a pack did not fit into it.
func nextBatch(b *batch, most int, due, held bool) (receive, flush bool) {
	full := held || b.entries >= most
	return !held, !b.empty() && (due || full)
}

const (
	// enoughReadings and enoughBytes are worth a transaction: with fewer, what it costs by
	// itself weighs more than its readings.
	enoughReadings, enoughBytes = 350, 192 << 10
)

// wait returns how long the batch gathers packs, from its first one on: at least shortest,
// and until it is worth a transaction, but at most longest. The time thus follows the rate.
// While a backlog drains it does not wait.
func (b *batch) wait(shortest, longest time.Duration) time.Duration {
	switch {
	case b.hurry:
		return 0
	case b.entries >= enoughReadings || b.weight >= enoughBytes:
		return min(shortest, longest)
	default:
		return longest
	}
}

// fits reports whether an item may join a batch of at most most messages. Any item may
// join an empty one: a pack is never divided.
func (b *batch) fits(it *item, most int) bool {
	return b.empty() || b.entries+it.entries() <= most
}

// clock is the time at which a batch is sent.
type clock struct {
	ms    int64
	stamp time.Time
}

func newClock(now time.Time) clock {
	ms := now.UnixMilli()
	return clock{ms: ms, stamp: time.UnixMilli(ms)}
}
