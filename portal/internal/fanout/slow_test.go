package fanout

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestSlowClientGetsTheNewestReadingsAndEveryAlert(t *testing.T) {
	b := newBench(t, Limits{WriteStallTimeout: time.Hour})
	p := b.dial()
	p.send(`{"type":"subscribe_all"}`)
	p.synced()
	clog(b, 1) // it has stopped reading
	const alerts, last = 500, int64(1 << 40)
	for i := range int64(alerts) {
		b.raise(fmt.Sprintf("a%03d", i), "d00", telemetry.AlertActive, i)
	}
	var es []wire.FrameEntry
	for d := range 50 {
		es = append(es, entry(fmt.Sprintf("d%02d", d), last, 10))
	}
	b.push(es...)

	newest, next := map[string]int64{}, 0
	for fresh := 0; fresh < 50 || next < alerts; {
		m := p.read()
		if m.Type == "alert" {
			var a telemetry.Alert
			require.NoError(t, json.Unmarshal(m.Payload, &a))
			require.Equal(t, fmt.Sprintf("a%03d", next), a.AlertID, "alerts come whole and in order")
			next++
			continue
		}
		id, ts := m.device(t)
		require.Greater(t, ts, newest[id], "a device never goes back in time")
		newest[id] = ts
		if ts == last {
			fresh++
		}
	}
	require.Positive(t, b.broadcaster.Stats().Conflated)
}

func TestStalledClientIsClosedWith4008WithoutHarmToOthers(t *testing.T) {
	b := newBench(t, Limits{WriteStallTimeout: 300 * time.Millisecond, CloseTimeout: 2 * waitTimeout})
	slow, fast := b.dial(), b.dial()
	slow.send(`{"type":"subscribe_all"}`)
	slow.synced()
	fast.send(`{"type":"subscribe","device_ids":["quick"]}`)
	fast.synced()

	var others sync.WaitGroup
	others.Go(func() {
		for ts := range int64(200) {
			fast.expectDevice("quick", ts+1)
		}
	})
	for ts := range int64(200) {
		b.push(entry("quick", ts+1, 1), entry("big", ts+1, 60_000))
		// The fast client must have its reading before the next one comes: it is
		// never conflated because of the slow one.
		require.Eventually(t, func() bool { return listersServed(b) }, waitTimeout, time.Millisecond)
	}
	others.Wait()
	ts := int64(1000)
	require.Eventually(t, func() bool { // on a busy machine it is closed before
		ts++
		b.push(entry("big", ts, 60_000))
		return b.broadcaster.Stats().ClosedSlow == 1
	}, waitTimeout, 5*time.Millisecond)
	slow.expectClose(CloseSlow) // it reads on, up to the close frame
	b.push(entry("quick", 1000, 1))
	fast.expectDevice("quick", 1000)
}

// listersServed tells whether no client that lists devices has anything waiting.
func listersServed(b *bench) bool {
	idle := true
	r := b.broadcaster.router
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range r.lists {
		for _, c := range list {
			c.mu.Lock()
			idle = idle && c.queue.length() == 0 && len(c.alerts) == 0
			c.mu.Unlock()
		}
	}
	return idle
}

func TestClientThatDoesNotTakeAlertsIsClosedWith4008(t *testing.T) {
	b := newBench(t, Limits{WriteStallTimeout: time.Hour, Alerts: 100})
	p, q := b.dial(), b.dial()
	p.send(`{"type":"subscribe_all"}`)
	p.synced()
	clog(b, 1)
	q.send(`{"type":"subscribe","device_ids":["x"]}`)
	q.synced()
	for i := range 101 {
		b.raise(fmt.Sprint(i), "x", telemetry.AlertActive, int64(i))
		require.Eventually(t, func() bool { return listersServed(b) }, waitTimeout, time.Millisecond)
	}
	p.expectClose(CloseSlow)
	require.Equal(t, int64(1), b.broadcaster.Stats().ClosedSlow)
	for range 101 {
		require.Equal(t, "alert", q.read().Type)
	}
	q.quiet()
}

func TestClientThatDoesNotTakeErrorsIsClosedWith4008(t *testing.T) {
	b := newBench(t, Limits{WriteStallTimeout: time.Hour, RateBurst: 1e6})
	p := b.dial()
	p.send(`{"type":"subscribe_all"}`)
	p.synced()
	clog(b, 1)
	refused := b.broadcaster.Stats().Rejected
	for range maxNotes + 2 {
		p.send(`{"type":"bad"}`)
	}
	// Only then does it read on: before, that would make room for the errors.
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Rejected == refused+maxNotes+2 }, waitTimeout, time.Millisecond)
	p.expectClose(CloseSlow)
}

// Every change of a device comes at most once and in order to every client, however
// subscriptions and news fall together; and the newest one always comes.
func TestNoReadingComesTwiceAndTheNewestAlwaysComes(t *testing.T) {
	const devices, rounds, clients = 20, 400, 6
	b := newBench(t, Limits{RateBurst: 1e9})
	var all sync.WaitGroup
	for k := range clients {
		p := b.dial()
		if k%2 == 0 {
			p.send(`{"type":"subscribe_all"}`)
		}
		all.Go(func() {
			newest := map[string]int64{}
			for done := 0; done < devices; {
				m, err := p.tryRead(waitTimeout)
				if err != nil {
					t.Errorf("client %d: %v", k, err)
					return
				}
				id, ts := m.device(t)
				if ts <= newest[id] {
					t.Errorf("client %d: %s came with %d after %d", k, id, ts, newest[id])
					return
				}
				newest[id] = ts
				if ts == rounds {
					done++
				}
			}
		})
		if k%2 == 1 {
			all.Go(func() {
				for d := range devices { // while readings come in
					p.send(fmt.Sprintf(`{"type":"subscribe","device_ids":["d%02d"]}`, d))
				}
			})
		}
	}
	for ts := range int64(rounds) {
		var es []wire.FrameEntry
		for d := range devices {
			es = append(es, entry(fmt.Sprintf("d%02d", d), ts+1, 10))
		}
		b.apply(es...)
	}
	all.Wait()
}
