package lane

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// underway is how many bytes of packs all gateways of a bridge together may have on the
	// way. They come over one connection: whatever is asked for beyond what is taken in the
	// meantime stands before every sign of life, and a gateway that gives none is given up.
	underway = 8 << 20
	// most is how many of them one gateway may have. Its newest packs, which go ahead, stand
	// behind these.
	most = 1 << 20
	// firstWindow is how many packs a session asks for at first. As many as have come are
	// added, up to maxWindow: what bounds a window of small packs is neither memory nor the
	// line but the time that a request takes to and fro.
	firstWindow, maxWindow = 32, 1024
	// firstGuess is how large packs are taken to be before one was seen, in bytes.
	firstGuess = 32 << 10
	// maxShrink bounds how often a window is halved.
	maxShrink = 5
	// maxHeartbeat is the longest pause between signs of life that is asked for; it must be
	// less than half of pullExpiry.
	maxHeartbeat = 4500 * time.Millisecond
	// A session that brought fewer packs than this before it went silent asked for too
	// much at once; one that brought more than that did not.
	fewPacks, manyPacks = 64, 256
)

// window says how packs are asked for.
type window struct {
	packs     int
	bytes     int // that a request allows; a single pack may be larger
	heartbeat time.Duration
}

// pace finds how much one gateway can be asked for at once. Lines differ by a factor of a
// thousand: on a thin one a few packs take longer than the time in which a sign of life is
// due, and asking again for the same would never end.
type pace struct {
	size   int // of a pack, in bytes, moving average
	shrink int
}

// window returns what to ask for while so many gateways share the bridge, in a session that
// has brought so many packs.
func (p *pace) window(gateways, taken int) window {
	size := p.size
	if size == 0 {
		size = firstGuess
	}
	share := min(most, underway/max(gateways, 1))
	packs := min(share/size, firstWindow+taken, maxWindow)
	return window{packs: max(1, packs>>p.shrink), bytes: share >> p.shrink, heartbeat: min(heartbeat<<p.shrink, maxHeartbeat)}
}

// saw takes the size of a pack.
func (p *pace) saw(size int) {
	if p.size == 0 {
		p.size = size
	}
	p.size = max(1, p.size+(size-p.size)/8)
}

// ended learns from a session that brought so many packs and ended with err.
func (p *pace) ended(packs int, err error) {
	switch {
	case errors.Is(err, jetstream.ErrNoHeartbeat) && packs < fewPacks:
		p.shrink = min(p.shrink+1, maxShrink)
	case packs > manyPacks:
		p.shrink = max(p.shrink-1, 0)
	}
}
