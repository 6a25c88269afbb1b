package lane

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxBridgeBytes bounds the unread packs of all gateways of a bridge. They arrive over one
	// connection: status messages wait behind them, and a session without any ends.
	maxBridgeBytes = 8 << 20
	// maxGatewayBytes bounds those of one gateway. Its newest packs, which go ahead of the
	// backlog, wait behind them.
	maxGatewayBytes = 1 << 20
	// firstWindow is the window of a new session in packs. It grows by one with every pack, up
	// to maxWindow: with small packs the limit is neither memory nor the line but the round
	// trip.
	firstWindow, maxWindow = 32, 1024
	// firstGuess is the assumed size of packs before the first one, in bytes.
	firstGuess = 32 << 10
	// maxShrink bounds how often a window is halved.
	maxShrink = 5
	// maxHeartbeat is the longest heartbeat requested; the server refuses more than half of
	// pullExpiry.
	maxHeartbeat = 4500 * time.Millisecond
	// A session that fell silent before it received fewPacks requested too much at once; one
	// that received more than manyPacks did not.
	fewPacks, manyPacks = 64, 256
)

// window is how much is requested at once.
type window struct {
	packs     int
	bytes     int // limit of a request; a single pack may be larger
	heartbeat time.Duration
}

// pace adapts the window to the line of one gateway. Lines differ by a factor of a thousand:
// on a thin one a few packs take longer than two heartbeats, and repeating the same request
// would never end.
type pace struct {
	size   int // of a pack, in bytes, moving average
	shrink int
}

// window returns the window of a session that received so many packs, with so many gateways
// at the bridge.
func (p *pace) window(gateways, taken int) window {
	size := p.size
	if size == 0 {
		size = firstGuess
	}
	share := min(maxGatewayBytes, maxBridgeBytes/max(gateways, 1))
	packs := min(share/size, firstWindow+taken, maxWindow)
	return window{packs: max(1, packs>>p.shrink), bytes: share >> p.shrink, heartbeat: min(heartbeat<<p.shrink, maxHeartbeat)}
}

// observe records the size of a pack.
func (p *pace) observe(size int) {
	if p.size == 0 {
		p.size = size
	}
	p.size = max(1, p.size+(size-p.size)/8)
}

// finish adapts to a session that received so many packs and ended with err.
func (p *pace) finish(packs int, err error) {
	switch {
	case errors.Is(err, jetstream.ErrNoHeartbeat) && packs < fewPacks:
		p.shrink = min(p.shrink+1, maxShrink)
	case packs > manyPacks:
		p.shrink = max(p.shrink-1, 0)
	}
}
