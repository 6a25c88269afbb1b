package lane

import (
	"time"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/wire"
)

// item is what a puller hands to the collector: a pack, or only a new checkpoint.
type item struct {
	gateway *gateway
	next    checkpoint.Checkpoint // once the item is committed
	pack    *wire.Pack            // nil when there is nothing to bridge
	damaged []byte                // the bytes of a pack that cannot be read
	loss    *loss                 // what was found missing on the way here
	late    bool                  // it waited in the gateway
	weight  int64                 // bytes taken from the lane's budget
}

// entries is the number of messages in the item.
func (it *item) entries() int {
	if it.pack == nil {
		return 0
	}
	return it.pack.Header.Count
}

// loss is one event by which packs of a gateway were lost. How many is what the
// checkpoint's account says, which is the only place where it is counted.
type loss struct {
	gateway  string
	what     string
	packs    uint64 // known to be missing, 0 when it is not known how many
	readings uint64 // known to have been in them
	seq      uint64
}

// move is a gateway's new checkpoint in a transaction.
type move struct {
	to    checkpoint.Checkpoint
	items int
}

// batch is what one transaction brings to Kafka. It is used again for later ones.
type batch struct {
	items   []item
	moves   []move // the newest checkpoint of each gateway
	losses  []loss
	entries int   // messages in the items
	weight  int64 // of the items
	sent    sent
}

// sent counts what a transaction carried.
type sent struct {
	readings, letters, packs, damaged int
}

// empty reports whether nothing was added.
func (b *batch) empty() bool { return len(b.items) == 0 }

// add takes an item.
func (b *batch) add(it *item) {
	b.items = append(b.items, *it)
	b.entries += it.entries()
	b.weight += it.weight
	if it.loss != nil {
		b.losses = append(b.losses, *it.loss)
	}
	for i := range b.moves {
		if b.moves[i].to.Gateway == it.next.Gateway {
			b.moves[i] = move{to: it.next, items: b.moves[i].items + 1}
			return
		}
	}
	b.moves = append(b.moves, move{to: it.next, items: 1})
}

// reset empties the batch and lets go of the packs.
func (b *batch) reset() {
	clear(b.items)
	clear(b.moves)
	clear(b.losses)
	*b = batch{items: b.items[:0], moves: b.moves[:0], losses: b.losses[:0]}
}

// nextBatch decides what the collector may do: take another pack, hand the batch over,
// or both. due says that the batch has waited long enough, held that a pack did not fit
// into it any more.
func nextBatch(b *batch, most int, due, held bool) (take, hand bool) {
	full := held || b.entries >= most
	return !held, !b.empty() && (due || full)
}

// fits reports whether an item may join a batch of at most most messages. Any item may
// join an empty one: a pack is never divided.
func (b *batch) fits(it *item, most int) bool {
	return b.empty() || b.entries+it.entries() <= most
}

// clock spells the time that a batch is sent at.
type clock struct {
	ms    int64
	stamp time.Time
}

func newClock(now time.Time) clock {
	ms := now.UnixMilli()
	return clock{ms: ms, stamp: time.UnixMilli(ms)}
}
