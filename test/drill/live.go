package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/faults/kafkaproxy"
	"industrial-iot-monitor/test/viewer"
)

// liveFaults check the live path after an outage.
func liveFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "live-first", Breaks: "every line is down for 5 min (quick: 15 s); the backlog waits some seconds for Kafka, then drains",
		Expects: "the newest reading on the screen stays at most 1 s old", Times: 1, Quick: 1, Site: common(), Run: liveFirst,
	}}
}

func liveFirst(ctx context.Context, r *rig.Round) error {
	base, err := takeBaseline(ctx, r)
	if err != nil {
		return err
	}
	if err := cutAll(r); err != nil {
		return err
	}
	r.Happened()
	if err := rig.Sleep(ctx, r.Short(15*time.Second, 5*time.Minute)); err != nil {
		return err
	}
	s, err := openScreen(ctx, r.WebSocketURL())
	if err != nil {
		return err
	}
	defer s.close()
	release := holdCommits(r)
	defer release()
	if err := restoreAll(r); err != nil {
		return err
	}
	start := time.Now()
	b, err := base.backlog(ctx, r)
	if err != nil {
		return err
	}
	took, err := rig.Await(ctx, "fresh readings of every building on the screen", func() error { return s.fresh(r) })
	if err != nil {
		return err
	}
	r.Recovered("a fresh reading of every building on the screen after the lines were restored", took, resumeLimit+screenLimit)
	if err := watch(ctx, r, s, time.Duration(r.Slack())*screenLimit+2*time.Second, "age of the newest reading on the screen while the backlog waited for Kafka"); err != nil {
		return err
	}
	r.Check(b.drained(r) != nil, "the backlog reached Kafka although no commit did: nothing was checked")
	release()
	var worst time.Duration
	drained, err := rig.Await(ctx, "the backlog in Kafka", func() error {
		worst = max(worst, s.oldest(r))
		return b.drained(r)
	})
	if err != nil {
		return err
	}
	r.Note("the backlog of %d readings was drained in %s, %s after the lines were restored", b.waiting, drained.Round(10*time.Millisecond), time.Since(start).Round(10*time.Millisecond))
	r.Recovered("age of the newest reading on the screen while the backlog drained", worst, screenLimit)
	return nil
}

// holdCommits keeps the bridge's commits from Kafka until release is called: a backlog drains
// so fast that a screen could hardly be watched meanwhile. It holds those of a retry too, which
// a trap would let pass.
func holdCommits(r *rig.Round) (release func()) {
	released := make(chan struct{})
	remove := r.Proxy.On(kafkaproxy.BeforeRequest, kafkaproxy.EndTxn, func(ctx context.Context, _ kafkaproxy.Exchange) kafkaproxy.Verdict {
		select {
		case <-released:
		case <-ctx.Done():
		}
		return kafkaproxy.Pass
	})
	return sync.OnceFunc(func() {
		remove()
		close(released)
	})
}

// screen is a WebSocket client that keeps the newest reading of each building.
type screen struct {
	v    *viewer.Viewer
	done chan struct{}

	mu     sync.Mutex
	newest map[string]int64 // ms, by building
	shown  map[shown]bool   // readings shown
	broken error
}

// shown is a reading on a screen.
type shown struct {
	device string
	made   int64 // ms, by the device's clock
}

func openScreen(ctx context.Context, url string) (*screen, error) {
	v, err := viewer.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := v.SubscribeAll(); err != nil {
		return nil, err
	}
	s := &screen{v: v, done: make(chan struct{}), newest: map[string]int64{}, shown: map[shown]bool{}}
	go s.run()
	return s, nil
}

func (s *screen) run() {
	defer close(s.done)
	for {
		m, err := s.v.Read()
		s.mu.Lock()
		if err != nil {
			s.broken = err
			s.mu.Unlock()
			return
		}
		made, building, ok := peek(m.Payload)
		if device, found := between(m.Payload, `"device_id":"`, `"`); ok && found && m.Type == viewer.TypeReading {
			s.shown[shown{string(device), made}] = true
		}
		if ok && m.Type == viewer.TypeReading && time.Until(time.UnixMilli(made)) < time.Minute { // not a clock that is ahead
			s.newest[building] = max(s.newest[building], made)
		}
		s.mu.Unlock()
	}
}

func (s *screen) close() {
	_ = s.v.Close() // it may have ended by itself
	<-s.done
}

// oldest returns the age of the newest reading of the building that is furthest behind.
func (s *screen) oldest(r *rig.Round) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var worst time.Duration
	for i := range r.Site.Gateways {
		worst = max(worst, time.Since(time.UnixMilli(s.newest[cluster.Building(i)])))
	}
	return worst
}

// fresh returns nil when the newest reading of every building is at most half of screenLimit
// old: one that is just young enough may not stay so until the next one.
func (s *screen) fresh(r *rig.Round) error {
	age := s.oldest(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if age > screenLimit/2 {
		err := fmt.Errorf("the newest reading of some building is %s old; the screen shows %v",
			age.Round(time.Millisecond), slices.Sorted(maps.Keys(s.newest)))
		return errors.Join(err, s.broken)
	}
	return nil
}

// peek finds a reading's timestamp and building without parsing the rest: the cost of the
// client must not distort the measurement.
func peek(reading []byte) (made int64, building string, ok bool) {
	text, ok1 := between(reading, `"timestamp":`, ",}")
	name, ok2 := between(reading, `"building":"`, `"`)
	made, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return made, string(name), ok1 && ok2 && err == nil
}

func between(text []byte, key, end string) ([]byte, bool) {
	_, rest, ok := bytes.Cut(text, []byte(key))
	i := bytes.IndexAny(rest, end)
	if !ok || i < 0 {
		return nil, false
	}
	return rest[:i], true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
