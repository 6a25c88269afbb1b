package main

import (
	"context"
	"sync"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/oracle"
)

const (
	// screenLimit is how old the newest reading of a building may be on a screen while Kafka
	// is away or a backlog drains.
	screenLimit = time.Second
	// darkLimit is how long screens may be dark after the bridge, which is also the hub, was
	// killed while Kafka is away.
	darkLimit = 15 * time.Second
)

// watchWithoutKafka stops Kafka while a screen is watched, kills the bridge in the middle of
// the outage, and compares in the end: what was shown is in Kafka.
func watchWithoutKafka(ctx context.Context, r *rig.Round) error {
	recorded := newRecorded(r)
	remove := r.Observe(recorded.observe)
	s, err := openScreen(ctx, r.WebSocketURL())
	if err != nil {
		remove()
		return err
	}
	defer s.close()
	r.AtEnd(func(context.Context) error {
		remove()
		missing := recorded.missing(s)
		r.Note("%d readings were shown, of which %d are not in Kafka", len(s.shown), missing)
		r.Check(missing == 0, "%d of %d readings on the screen are not in Kafka", missing, len(s.shown))
		return nil
	})
	if _, err := rig.Await(ctx, "fresh readings of every building on the screen", func() error { return s.fresh(r) }); err != nil {
		return err
	}
	if err := r.Kafka.Stop(); err != nil {
		return err
	}
	r.Happened()
	half := r.Short(8*time.Second, 150*time.Second)
	if err := watch(ctx, r, s, half, "age of the newest reading on the screen after Kafka was stopped"); err != nil {
		return err
	}
	if err := r.Kill(cluster.Bridge); err != nil {
		return err
	}
	killed := time.Now()
	if err := r.Launch(cluster.Bridge); err != nil {
		return err
	}
	if err := rig.Sleep(ctx, screenLimit); err != nil { // what was on its way
		return err
	}
	if _, err := rig.Await(ctx, "fresh readings on the screen without Kafka after the bridge was killed", func() error { return s.fresh(r) }); err != nil {
		return err
	}
	r.Recovered("the screen is live after the bridge was killed, without Kafka", time.Since(killed), darkLimit)
	if err := watch(ctx, r, s, half, "age of the newest reading on the screen, the bridge was started without Kafka"); err != nil {
		return err
	}
	if err := r.Kafka.Start(ctx); err != nil {
		return err
	}
	took, err := r.AwaitNew(ctx)
	if err != nil {
		return err
	}
	r.Recovered("readings of every gateway after Apache Kafka was back", took, kafkaResumeLimit)
	r.CheckMemory(bridgeMemoryLimit, cluster.Bridge)
	return nil
}

// watch looks at the screen for a time.
func watch(ctx context.Context, r *rig.Round, s *screen, d time.Duration, what string) error {
	var worst time.Duration
	for end := time.Now().Add(d); time.Now().Before(end); {
		worst = max(worst, s.oldest(r))
		if err := rig.Sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	r.Recovered(what, worst, screenLimit)
	return nil
}

// recorded are the readings in device-data.
type recorded struct {
	from   int64                     // ms: readings made later are known
	offset func(device string) int64 // of its clock

	mu  sync.Mutex
	all map[shown]bool
}

func newRecorded(r *rig.Round) *recorded {
	return &recorded{from: time.Now().UnixMilli(), offset: r.ClockOffset, all: map[shown]bool{}}
}

func (k *recorded) observe(x oracle.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[shown{x.Device, x.Timestamp}] = true
}

// missing counts the readings that a screen showed and Kafka has not.
func (k *recorded) missing(s *screen) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for x := range s.shown {
		if !k.all[x] && x.made-k.offset(x.device) >= k.from {
			n++
		}
	}
	return n
}
