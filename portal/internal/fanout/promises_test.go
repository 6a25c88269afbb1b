package fanout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// TestLongSubscriptionListsAreNotFree has an allowance of three messages, of which a list of 300
// devices takes all.
func TestLongSubscriptionListsAreNotFree(t *testing.T) {
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = fmt.Sprintf("%q", fmt.Sprint("d", i))
	}
	list := strings.Join(ids, ",")
	for _, kind := range []string{typeSubscribe, typeUnsubscribe} {
		b := newBench(t, Limits{RatePerSecond: 0.001, RateBurst: 3})
		p := b.dial()
		p.send(`{"type":"` + kind + `","device_ids":[` + list + `]}`)
		p.send(`{"type":"unsubscribe","device_ids":["d1"]}`)
		p.expectError(codeRateLimited)
		require.Equal(t, int64(1), b.broadcaster.counts.accepted.Load(), kind)
	}

	b := newBenchWith(t, Limits{RatePerSecond: 0.001, RateBurst: 3}, quickPublisher())
	d := b.dashboard() // of the dashboard's topics, one with a large snapshot does the same
	require.Equal(t, "ack", d.ask(wants{Type: "subscribe", ID: "1", Topics: []string{"fleet"}}).Type)
	d.send(`{"type":"unsubscribe","id":"2","topics":["fleet"]}`)
	m := d.until(func(m dashMessage) bool { return m.Type == "error" })
	require.Equal(t, codeRateLimited, m.Code)
}

// delivered returns how many readings were sent to clients, and how many of these with an
// age.
func (b *bench) delivered() (all int64, aged uint64) {
	b.tb.Helper()
	families, err := b.reg.Gather()
	require.NoError(b.tb, err)
	for _, f := range families {
		if f.GetName() == "portal_delivery_age_seconds" {
			aged = f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	b.broadcaster.meterMu.Lock()
	defer b.broadcaster.meterMu.Unlock()
	return b.broadcaster.pushed.Total(), aged
}

// TestBackfilledReadingsAreNotCountedAsLive: their age says how long they waited in a gateway, not
// how fast the portal delivers.
func TestBackfilledReadingsAreNotCountedAsLive(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	simple, dash := b.dial(), b.dashboard()
	simple.send(`{"type":"subscribe_all"}`)
	simple.synced()
	dash.subscribe("device/old")
	dash.snapshot("device/old") // what comes before it would be in it, and not sent
	dash.subscribe("device/new")
	dash.snapshot("device/new")
	hour := time.Hour.Milliseconds()
	old, now := entry("old", 1000, 1), entry("new", 1000, 1)
	old.Received, old.Backfill = time.Now().UnixMilli()-hour, true
	b.push([]wire.FrameEntry{old, now}...)
	require.Eventually(t, func() bool { all, _ := b.delivered(); return all == 4 }, 180*time.Second, 5*time.Millisecond, "both, to both clients")
	_, aged := b.delivered()
	require.Equal(t, uint64(2), aged, "only the live one, to both clients")
	require.Less(t, b.broadcaster.pushed.Recent(time.Now().UnixMilli()+1000).Mean, float64(hour)/10)
}
