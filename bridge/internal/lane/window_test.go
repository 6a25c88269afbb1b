package lane

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestManyGatewaysShareWhatIsUnderWay(t *testing.T) {
	var p pace
	require.Equal(t, window{packs: firstWindow, bytes: maxGatewayBytes, heartbeat: heartbeat}, p.window(1, 0))
	for range 100 {
		p.observe(180 << 10)
	}
	for _, gateways := range []int{1, 2, 5, 20, 40} {
		w := p.window(gateways, 10_000)
		require.LessOrEqual(t, w.packs*gateways*p.size, maxBridgeBytes, "%d gateways", gateways)
	}
	require.Equal(t, 1, p.window(10_000, 10_000).packs, "each may ask for one")
	require.Equal(t, maxGatewayBytes/p.size, p.window(0, 10_000).packs)
}

func TestWindowShrinksUntilALineCarriesIt(t *testing.T) {
	var p pace
	silent := fmt.Errorf("waiting: %w", jetstream.ErrNoHeartbeat)
	want := firstWindow
	for range maxShrink {
		p.finish(3, silent)
		want /= 2
		require.Equal(t, want, p.window(1, 0).packs)
	}
	p.finish(3, silent)
	require.Equal(t, window{packs: 1, bytes: maxGatewayBytes >> maxShrink, heartbeat: maxHeartbeat}, p.window(1, 0))
	require.Less(t, maxHeartbeat, pullExpiry/2)
	p.finish(100, silent)
	p.finish(0, errors.New("no responders"))
	require.Equal(t, maxShrink, p.shrink, "neither speaks of the line's width")
	for range maxShrink + 1 {
		p.finish(1000, silent)
	}
	require.Equal(t, firstWindow, p.window(1, 0).packs)
}

func TestWindowOfSmallPacksGrowsWithWhatHasCome(t *testing.T) {
	var p pace
	for range 100 {
		p.observe(2 << 10)
	}
	require.Equal(t, firstWindow+100, p.window(1, 100).packs)
	require.Equal(t, maxGatewayBytes/p.size, p.window(1, 100_000).packs)
	require.Equal(t, maxBridgeBytes/20/p.size, p.window(20, 100_000).packs)
	p.size = 10
	require.Equal(t, maxWindow, p.window(1, 100_000).packs)
}

func TestLengthOfASessionDecidesWhetherTheWindowChanges(t *testing.T) {
	silent := fmt.Errorf("waiting: %w", jetstream.ErrNoHeartbeat)
	for _, c := range []struct{ packs, change int }{{fewPacks - 1, 1}, {fewPacks, 0}, {manyPacks, 0}, {manyPacks + 1, -1}} {
		p := pace{shrink: 2}
		p.finish(c.packs, silent)
		require.Equal(t, 2+c.change, p.shrink, "%d packs", c.packs)
	}
}
