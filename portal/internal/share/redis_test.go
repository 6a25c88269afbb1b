//go:build redis

package share

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/operators"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/state/statetest"
	"industrial-iot-monitor/test/faults/tcpline"
	"industrial-iot-monitor/test/redistest"
)

const t0 = int64(1_700_000_000_000)

// waitTimeout bounds each wait of a test.
const waitTimeout = 180 * time.Second

// portal is a running Share with a model of its own.
type portal struct {
	tb    testing.TB
	model *state.Model
	board *operators.Board
	share *Share
	log   *logtest.Buffer
	stop  func()
}

// idle makes a portal that does not run.
func idle(tb testing.TB, url string, change func(*Options, *Share)) *portal {
	tb.Helper()
	p := &portal{tb: tb, model: state.New(state.Options{}), log: &logtest.Buffer{}}
	p.board = operators.New(fmt.Sprintf("portal-%p", p))
	var err error
	o := Options{URL: url, Prefix: "plant", Model: p.model, Operators: p.board, Log: slog.New(slog.NewTextHandler(p.log, nil)), Registry: prometheus.NewRegistry()}
	if change != nil {
		change(&o, nil)
	}
	p.share, err = New(o)
	require.NoError(tb, err)
	if change != nil {
		change(&o, p.share)
	}
	return p
}

func start(tb testing.TB, url string, change func(*Options, *Share)) *portal {
	tb.Helper()
	p := idle(tb, url, change)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it must end before the server does
	done := make(chan error, 1)
	go func() { done <- p.share.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(waitTimeout):
			require.Fail(tb, "it does not stop")
		}
	})
	tb.Cleanup(p.stop)
	return p
}

// running starts a portal and waits until it is connected.
func running(tb testing.TB, url string) *portal {
	tb.Helper()
	p := start(tb, url, nil)
	p.eventually("connected", func() bool { return p.share.Figures().Up })
	return p
}

func (p *portal) eventually(what string, f func() bool) {
	p.tb.Helper()
	require.Eventually(p.tb, f, waitTimeout, 5*time.Millisecond, what)
}

func (p *portal) settled() {
	p.tb.Helper()
	p.eventually("written", func() bool { return p.share.Figures().Pending == 0 })
}

// reading is a live reading as core sends it.
func reading(id string, ts, received int64) wire.FrameEntry {
	r := &telemetry.Reading{
		DeviceID: id, Timestamp: ts, Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"},
		Info:  telemetry.DeviceInfo{Model: "M2", Firmware: "1.2.3", Battery: telemetry.Some(85.0), SignalStrength: telemetry.Some(-45.0)},
		Flaws: []string{"device_info.battery"},
		Sensors: telemetry.Sensors{
			{Name: "temperature", Unit: "°C", Kind: telemetry.Number, Number: 25.6 + float64(ts%7)},
			{Name: "humidity", Unit: "%", Kind: telemetry.Number, Number: 65.2},
			{Name: "state", Kind: telemetry.Text, Text: "running"},
			{Name: "switch_status", Kind: telemetry.Bool, Number: 1},
		},
	}
	return wire.FrameEntry{Device: id, Timestamp: ts, Received: received, Reading: r, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":{"temperature":{"value":%g,"unit":"°C","status":"normal"},`+
			`"humidity":{"value":65.2,"unit":"%%","status":"normal"},"state":{"value":"running"},"switch_status":{"value":true,"status":"on"}},`+
			`"device_info":{"model":"M2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`, id, ts, 25.6+float64(ts%7))}
}

func (p *portal) apply(entries ...wire.FrameEntry) {
	p.tb.Helper()
	statetest.Apply(p.tb, p.model, "gw-a", entries...)
}

// shown is all that screens can show of a device's reading.
func (p *portal) shown(id string) string {
	text := ""
	p.model.View(func() {
		d := p.model.Device(id)
		if d == nil || !d.HasReading() {
			return
		}
		var r telemetry.Reading
		known := d.Values(&r)
		text = fmt.Sprint(d.Timestamp(), d.Received(), d.ClockOffset(), d.Backfill(), d.Gateway(), string(d.Payload()), d.Location(), d.Info(), d.Flaws(), known, r)
	})
	return text
}

func client(tb testing.TB, server *redistest.Server) *redis.Client {
	tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c
}

func TestPortalThatStartsHasTheReadingsOfSilentDevices(t *testing.T) {
	server := redistest.Start(t)
	first := running(t, server.URL())
	offset := reading("d2", t0+5, t0)
	offset.ClockOffset, offset.Backfill = 3000, true
	bare := reading("d3", t0, t0)
	bare.Reading, bare.Payload = nil, []byte(`{"device_id":"d3","timestamp":"of a newer core"}`)
	first.apply(reading("d1", t0, t0), offset, bare)
	first.settled()
	second := running(t, server.URL())
	for _, id := range []string{"d1", "d2", "d3"} {
		require.NotEmpty(t, first.shown(id))
		require.Equal(t, first.shown(id), second.shown(id))
	}
	require.EqualValues(t, 3, second.share.Figures().Loaded)
}

// TestNewestReadingWinsInRedis compares Redis with a model that got the same readings.
func TestNewestReadingWinsInRedis(t *testing.T) {
	server := redistest.Start(t)
	other := func(e wire.FrameEntry) wire.FrameEntry {
		e.Payload = bytes.Replace(e.Payload, []byte("65.2"), []byte("65.3"), 1)
		return e
	}
	late := func(e wire.FrameEntry) wire.FrameEntry { e.Backfill = true; return e }
	ahead := func(e wire.FrameEntry) wire.FrameEntry { e.ClockOffset = 60_000; return e }
	for name, order := range map[string][]wire.FrameEntry{
		"in order":                       {reading("d", t0, t0), reading("d", t0+1, t0+1)},
		"older":                          {reading("d", t0, t0), reading("d", t0-1, t0+1)},
		"same again":                     {reading("d", t0, t0), reading("d", t0, t0)},
		"same time, later":               {reading("d", t0, t0), other(reading("d", t0, t0+9))},
		"same time, earlier":             {reading("d", t0, t0), other(reading("d", t0, t0-9))},
		"late and newer":                 {reading("d", t0, t0), late(reading("d", t0+1, t0+100_000))},
		"clock was put right":            {ahead(reading("d", t0, t0)), reading("d", t0-50_000, t0+10)},
		"clock was put right, late":      {ahead(reading("d", t0, t0)), late(reading("d", t0-50_000, t0+10))},
		"clock was put right, earlier":   {ahead(reading("d", t0, t0)), reading("d", t0-50_000, t0-10)},
		"from the future":                {reading("d", t0+5001, t0), reading("d", t0+1, t0+1)},
		"from the future, not very far":  {reading("d", t0+5000, t0), reading("d", t0+1, t0+1)},
		"from the future, received late": {reading("d", t0+5001, t0), reading("d", t0+1, t0)},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, client(t, server).FlushAll(t.Context()).Err())
			want := idle(t, server.URL(), nil)
			want.apply(order...)
			for _, e := range order { // each through a portal that knows no other
				p := idle(t, server.URL(), nil)
				p.apply(e)
				require.NoError(t, p.share.flush(t.Context()))
				require.NoError(t, p.share.close())
			}
			got := idle(t, server.URL(), nil)
			require.NoError(t, got.share.load(t.Context()))
			require.Equal(t, want.shown("d"), got.shown("d"))
			require.NoError(t, got.share.close())
			require.NoError(t, want.share.close())
		})
	}
}

func TestRemovedDeviceIsNotBroughtBack(t *testing.T) {
	server := redistest.Start(t)
	now := time.Now().UnixMilli()
	old, fresh := running(t, server.URL()), running(t, server.URL())
	old.apply(reading("d1", now, now), reading("d2", now, now))
	old.settled()
	fresh.share.Remove("d1", now)
	fresh.share.Remove("d2", now-1)
	c := client(t, server)
	fresh.eventually("removed", func() bool { return !c.HExists(t.Context(), fresh.share.keys.newest, "d1").Val() })
	old.share.markAll() // it has not heard of the removal
	old.settled()
	third := running(t, server.URL())
	require.Empty(t, third.shown("d1"))
	require.NotEmpty(t, third.shown("d2"), "its reading came after the removal")
	old.apply(reading("d1", now+1, now+1))
	old.settled()
	require.Equal(t, old.shown("d1"), running(t, server.URL()).shown("d1"), "it is back")
}

func TestRemovalsAndReadingsExpire(t *testing.T) {
	server := redistest.Start(t)
	now := time.Now().UnixMilli()
	p := running(t, server.URL())
	p.apply(reading("d1", now, now))
	p.share.Remove("recent", now)
	p.share.Remove("past", now-keptFor.Milliseconds()-1000)
	c := client(t, server)
	p.eventually("written", func() bool { return c.Exists(t.Context(), p.share.keys.newest, p.share.keys.removed).Val() == 2 })
	require.Equal(t, []string{"recent"}, c.ZRange(t.Context(), p.share.keys.removed, 0, -1).Val())
	for _, key := range []string{p.share.keys.newest, p.share.keys.removed} {
		require.InDelta(t, keptFor.Seconds(), c.TTL(t.Context(), key).Val().Seconds(), 60, key)
	}
}

func TestDeviceThatCoreDoesNotKnowIsDropped(t *testing.T) {
	server := redistest.Start(t)
	first := running(t, server.URL())
	first.apply(reading("known", t0, t0), reading("gone", t0, t0), reading("sends", t0, t0))
	first.settled()
	second := start(t, server.URL(), func(o *Options, s *Share) {
		o.Confirmed = func() bool { return true }
		if s != nil {
			s.patience = 2 * time.Second
		}
	})
	second.eventually("loaded", func() bool { return second.share.Figures().Loaded == 3 })
	second.model.ApplyState(telemetry.DeviceState{DeviceID: "known", Presence: telemetry.PresenceOffline})
	second.apply(reading("sends", t0+1, t0+1))
	require.NotEmpty(t, second.shown("gone"))
	second.eventually("dropped", func() bool { return second.shown("gone") == "" })
	require.NotEmpty(t, second.shown("known"))
	require.NotEmpty(t, second.shown("sends"))
	c := client(t, server)
	second.eventually("removed", func() bool { return !c.HExists(t.Context(), second.share.keys.newest, "gone").Val() })
}

func TestForgedRecordsAreDropped(t *testing.T) {
	server := redistest.Start(t)
	first := running(t, server.URL())
	first.apply(reading("d1", t0, t0))
	first.settled()
	c := client(t, server)
	good := c.HGet(t.Context(), first.share.keys.newest, "d1").Val()
	require.NoError(t, c.HSet(t.Context(), first.share.keys.newest, "d2", good, "d3", "x", "d4", good[:len(good)-3], "d5", good[:recordHead]+"IOTF", "d6", "").Err())
	second := running(t, server.URL())
	require.NotEmpty(t, second.shown("d1"))
	require.Equal(t, 1, second.model.Stats().Devices.Total)
	second.apply(reading("d3", t0, t0), reading("d6", t0, t0))
	second.settled()
	require.Equal(t, second.shown("d3"), running(t, server.URL()).shown("d3"), "what is damaged is replaced")
}

func TestOperatorsOfAllPortalsAreSeenAtEach(t *testing.T) {
	server := redistest.Start(t)
	first, second := running(t, server.URL()), running(t, server.URL())
	first.board.Join("李工")
	second.board.Join("王工")
	second.board.Join("")
	for _, p := range []*portal{first, second} {
		p.eventually("three", func() bool { return len(p.board.List()) == 3 })
	}
	require.Equal(t, first.board.List(), second.board.List())
	second.stop()
	first.eventually("one", func() bool { return len(first.board.List()) == 1 })
}

func TestLimitHoldsOverAllPortals(t *testing.T) {
	server := redistest.Start(t)
	first, second := running(t, server.URL()), running(t, server.URL())
	take := func(p *portal) time.Duration {
		var wait time.Duration
		require.Eventually(t, func() (ok bool) {
			var err error
			wait, err = p.share.Take(t.Context(), "commands:192.0.2.1", 0.01, 4, 1)
			return err == nil
		}, waitTimeout, 10*time.Millisecond) // the machine may be too busy for 50 ms
		return wait
	}
	for range 2 {
		require.Zero(t, take(first))
		require.Zero(t, take(second))
	}
	for _, p := range []*portal{first, second} {
		require.InDelta(t, 100, take(p).Seconds(), 5)
	}
	wait, err := first.share.Take(t.Context(), "commands:192.0.2.2", 0.01, 4, 1)
	require.NoError(t, err)
	require.Zero(t, wait)
	c := client(t, server)
	require.InDelta(t, 401, c.PTTL(t.Context(), first.share.keys.limits+"commands:192.0.2.2").Val().Seconds(), 5, "and is forgotten once it is full")
}

// TestRedisThatWasKilledIsFilledAgain kills Redis, which has nothing after its restart.
func TestRedisThatWasKilledIsFilledAgain(t *testing.T) {
	server := redistest.Start(t)
	first := running(t, server.URL())
	first.board.Join("李工")
	for i := range 600 {
		first.apply(reading(fmt.Sprint("d", i), t0, t0))
	}
	first.settled()
	for range 2 {
		server.Kill()
		first.eventually("down", func() bool { return !first.share.Figures().Up })
		began := time.Now()
		for range 100 {
			_, err := first.share.Take(t.Context(), "k", 1, 1, 1)
			require.Error(t, err)
		}
		require.Less(t, time.Since(began), 10*time.Second, "100 requests do not wait 100 times")
		first.apply(reading("d7", t0+1, t0+1))
		require.NoError(t, server.Restart(t.Context()))
		first.eventually("up", func() bool { return first.share.Figures().Up })
		first.settled()
		second := running(t, server.URL())
		second.eventually("all", func() bool { return second.model.Stats().Devices.Total == 600 })
		require.Equal(t, first.shown("d7"), second.shown("d7"))
		second.eventually("operators", func() bool { return len(second.board.List()) == 1 })
		second.stop()
	}
	require.Equal(t, 2, strings.Count(first.log.String(), "redis failed"), "an outage is one line")
	require.Equal(t, 3, strings.Count(first.log.String(), "redis answers"))
}

// TestRedisThatLostEverythingUnseenIsFilledAgain empties Redis while the connection stays.
func TestRedisThatLostEverythingUnseenIsFilledAgain(t *testing.T) {
	server := redistest.Start(t)
	first := running(t, server.URL())
	first.apply(reading("silent", t0, t0), reading("d1", t0, t0))
	first.settled()
	require.NoError(t, client(t, server).FlushAll(t.Context()).Err())
	first.apply(reading("d1", t0+1, t0+1))
	second := start(t, server.URL(), nil)
	c := client(t, server)
	first.eventually("filled", func() bool { return c.HExists(t.Context(), first.share.keys.newest, "silent").Val() })
	second.stop()
}

// hasty makes a portal load again soon.
func hasty(_ *Options, s *Share) {
	if s != nil {
		s.patience = 100 * time.Millisecond
	}
}

// TestPortalThatStartedWithoutRedisCatchesUp connects it before the portal that has something to write.
func TestPortalThatStartedWithoutRedisCatchesUp(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	second := start(t, server.URL(), hasty)
	second.eventually("it failed", func() bool { return strings.Count(second.log.String(), "redis failed") == 1 })
	require.NoError(t, server.Restart(t.Context()))
	second.eventually("up", func() bool { return second.share.Figures().Up })
	require.Empty(t, second.shown("silent"))
	first := start(t, server.URL(), nil)
	first.apply(reading("silent", t0, t0))
	second.eventually("the reading", func() bool { return second.shown("silent") == first.shown("silent") })
	require.EqualValues(t, 1, second.share.Figures().Loaded, "once")
}

// TestPortalGetsFromRedisWhatTheHubDidNotBring has a reading that one portal missed.
func TestPortalGetsFromRedisWhatTheHubDidNotBring(t *testing.T) {
	server := redistest.Start(t)
	first, second := running(t, server.URL()), start(t, server.URL(), hasty)
	for _, p := range []*portal{first, second} {
		p.apply(reading("d", t0, t0))
	}
	first.apply(reading("d", t0+1, t0+1))
	second.eventually("the newer one", func() bool { return second.shown("d") == first.shown("d") })
}

// TestSlowRedisHoldsNothingUp has Redis behind a line that delays, and that is silent.
func TestSlowRedisHoldsNothingUp(t *testing.T) {
	server := redistest.Start(t)
	line, err := tcpline.New(server.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, line.Close()) })
	p := running(t, "redis://"+line.Addr())
	p.apply(reading("d", t0, t0))
	p.settled()
	for name, breakIt := range map[string]func(){
		"slow": func() { line.Slow(200 * time.Millisecond) }, "very slow": func() { line.Slow(3 * time.Second) }, "silent": line.Silence,
		"suspended": func() { require.NoError(t, server.Pause()) },
	} {
		t.Run(name, func(t *testing.T) {
			breakIt()
			waited := time.Duration(0)
			for i := range 200 {
				began := time.Now()
				_, err := p.share.Take(t.Context(), "k", 1000, 1000, 1)
				require.Error(t, err)
				waited += time.Since(began)
				p.apply(reading("d", t0+int64(i), t0+int64(i)))
			}
			require.Less(t, waited, 5*time.Second, "after a failure requests do not ask: 200 × 50 ms are 10 s")
			line.Slow(0)
			require.NoError(t, server.Resume())
			require.NoError(t, line.Restore())
			p.eventually("up", func() bool { return p.share.Figures().Up })
			p.settled()
			p.eventually("requests ask again", func() bool {
				_, err := p.share.Take(t.Context(), "k", 1000, 1000, 1)
				return err == nil
			})
		})
	}
	require.Equal(t, p.shown("d"), running(t, server.URL()).shown("d"))
}

// TestRedisIsKilledWhileReadingsPourIn ends with every newest reading there.
func TestRedisIsKilledWhileReadingsPourIn(t *testing.T) {
	server := redistest.Start(t)
	ports := []*portal{running(t, server.URL()), running(t, server.URL())}
	ctx, cancel := context.WithCancel(t.Context())
	var pouring sync.WaitGroup
	var last int64
	pouring.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ts := t0; ctx.Err() == nil; ts++ {
			for i := range 50 {
				for _, p := range ports {
					p.apply(reading(fmt.Sprint("d", (int(ts)*50+i)%700), ts, ts))
				}
			}
			last = ts
			<-tick.C
		}
	})
	for range 3 {
		written := ports[0].share.Figures().Written
		ports[0].eventually("it is being written", func() bool { return ports[0].share.Figures().Written > written+700 })
		server.Kill()
		ports[0].eventually("down", func() bool { return !ports[0].share.Figures().Up })
		require.NoError(t, server.Restart(t.Context()))
	}
	cancel()
	pouring.Wait()
	for _, p := range ports {
		p.eventually("up", func() bool { return p.share.Figures().Up })
		p.settled()
		require.Less(t, p.share.Figures().Pending, 700, "a device waits once")
	}
	require.Greater(t, last, t0+100)
	third := running(t, server.URL())
	for i := range 700 {
		id := fmt.Sprint("d", i)
		require.Equal(t, ports[0].shown(id), third.shown(id))
	}
}
