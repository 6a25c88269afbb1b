package fanout

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReadingsMissedWhileAwayAreSentFirst(t *testing.T) {
	b := newBench(t, Limits{})
	at := time.Now().UnixMilli() + 1000 // after the portal's start
	p := b.dial()
	p.send(`{"type":"subscribe","device_ids":["d1","d2"]}`)
	p.synced()
	b.push(entry("d1", at, 1), entry("d2", at, 1))
	p.expectDevice("d1", at)
	p.expectDevice("d2", at)
	require.NoError(t, p.ws.Close())
	for i := range int64(20) {
		b.push(entry("d1", at+i+1, 1), entry("x", at+i+1, 1))
	}
	q := b.dial()
	q.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d1","d2","never"],"since":%d}`, at))
	for i := range int64(20) {
		q.expectDevice("d1", at+i+1)
	}
	q.quiet()
	b.push(entry("d1", at+100, 1))
	q.expectDevice("d1", at+100)
	q.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d1"],"since":%d}`, at)) // it is subscribed: nothing was missed
	q.quiet()

	all := b.dial()
	all.send(fmt.Sprintf(`{"type":"subscribe_all","since":%d}`, at+18))
	newest := map[string][]int64{}
	for range 5 {
		id, ts := all.read().device(t)
		newest[id] = append(newest[id], ts)
	}
	require.Equal(t, map[string][]int64{"d1": {at + 19, at + 20, at + 100}, "x": {at + 19, at + 20}}, newest)
	all.quiet()
}

func TestManyMissedReadingsComeInOrderWithNews(t *testing.T) {
	b := newBench(t, Limits{})
	at := time.Now().UnixMilli() + 1000
	const missed = 400
	for i := range int64(missed) { // more than one batch
		b.push(entry("d1", at+i, 2000), entry("d2", at+i, 2000))
	}
	p := b.dial()
	p.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d1","d2"],"since":%d}`, at-1))
	last := map[string]int64{"d1": at - 1, "d2": at - 1}
	for n := range 2*missed + 1 {
		if n == 10 {
			b.push(entry("d2", at+missed, 10))
		}
		id, ts := p.read().device(t)
		require.Equal(t, last[id]+1, ts, "none is left out or doubled")
		last[id] = ts
	}
	p.quiet()
}

func TestUnsubscribeEndsTheReplay(t *testing.T) {
	b := newBench(t, Limits{WriteStallTimeout: time.Hour})
	at := time.Now().UnixMilli() + 1000
	for i := range int64(300) {
		b.push(entry("d1", at+i, 20_000))
	}
	p := b.dial()
	p.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d1"],"since":%d}`, at))
	p.send(`{"type":"unsubscribe","device_ids":["d1"]}`)
	p.send(`{"type":"?"}`)
	for n := 0; ; n++ {
		if m := p.read(); m.Type == "error" {
			break
		}
		require.Less(t, n, 299)
	}
}

func TestWhatIsNotHeldIsSaid(t *testing.T) {
	b := newBench(t, Limits{})
	now := time.Now().UnixMilli()
	b.push(entry("d1", now, 1))
	p := b.dial()
	p.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d1"],"since":%d}`, now-3600_000))
	got := map[string]bool{}
	for range 2 {
		m := p.read()
		got[m.Type+m.Code] = true
	}
	require.Equal(t, map[string]bool{"error" + codeNotRecoverable: true, "device_data": true}, got)
	p.send(`{"type":"subscribe","device_ids":["d1"],"since":"yesterday"}`)
	p.expectError(codeBadRequest)
	none := newBench(t, Limits{RecentBytes: -1})
	q := none.dial()
	none.push(entry("d1", now+5000, 1))
	q.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d1"],"since":%d}`, now+1000))
	clear(got)
	for range 2 { // in any order
		m := q.read()
		got[m.Type+m.Code] = true
	}
	require.Equal(t, map[string]bool{"error" + codeNotRecoverable: true, "device_data": true}, got)
}
