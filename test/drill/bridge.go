package main

import (
	"context"
	"fmt"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/faults/kafkaproxy"
)

// bridgeFaults break the bridge in the middle of its transactions.
func bridgeFaults() []rig.Fault {
	return []rig.Fault{
		{
			Name: "bridge-kill", Breaks: "the bridge is killed (kill -9) at each of six points of its transaction (quick: three of them)",
			Expects: "it resumes where it stopped", Times: 100, Quick: 3, Site: common(), Run: killBridge,
		},
		{
			Name: "kafka-lost-answers", Breaks: "Kafka executes a request of the bridge, and the answer is lost",
			Expects: "readings arrive again", Times: 20, Quick: 2, Site: common(), Run: loseAnswers,
		},
		{
			Name: "hung-transaction", Breaks: "the bridge is killed within a transaction and stays down",
			Expects: "readers of device-data are blocked for at most 15 s", Times: 5, Quick: 1, Site: common(), Run: hangTransaction,
		},
	}
}

// point is a moment of a transaction.
type point struct {
	name  string
	at    kafkaproxy.Point
	key   int16
	topic func(r *rig.Round) string // named by the request, nil for any request
}

func data(r *rig.Round) string        { return r.Topics.DeviceData }
func checkpoints(r *rig.Round) string { return r.Topics.Checkpoints }

// points are the six moments at which a transaction can be interrupted.
func points() []point {
	return []point{
		{"before produce", kafkaproxy.BeforeRequest, kafkaproxy.Produce, data},
		{"after produce", kafkaproxy.BeforeResponse, kafkaproxy.Produce, data},
		{"before the checkpoint", kafkaproxy.BeforeRequest, kafkaproxy.AddPartitionsToTxn, checkpoints},
		{"before the commit", kafkaproxy.BeforeRequest, kafkaproxy.EndTxn, nil},
		{"commit without an answer", kafkaproxy.BeforeResponse, kafkaproxy.EndTxn, nil},
		{"after the commit", kafkaproxy.AfterResponse, kafkaproxy.EndTxn, nil},
	}
}

// reach waits until the proxy holds a transaction of the bridge at a point.
func (p point) reach(ctx context.Context, r *rig.Round) (*kafkaproxy.Trap, error) {
	var match func(kafkaproxy.Exchange) bool
	if p.topic != nil {
		match = kafkaproxy.Mentions(p.topic(r))
	}
	trap := r.Proxy.Trap(p.at, p.key, match)
	limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
	defer cancel()
	if _, err := trap.Wait(limit); err != nil {
		trap.Release(kafkaproxy.Pass)
		return nil, fmt.Errorf("no transaction reached the point %q: %w", p.name, err)
	}
	return trap, nil
}

func killBridge(ctx context.Context, r *rig.Round) error {
	all := points()
	r.Rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	for i := range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		trap, err := all[i%len(all)].reach(ctx, r)
		if err != nil {
			return err
		}
		err = r.Kill(cluster.Bridge)
		trap.Release(kafkaproxy.Cut)
		if err != nil {
			return err
		}
		r.Happened()
		if err := bringBack(ctx, r, cluster.Bridge, false); err != nil {
			return fmt.Errorf("killed %s: %w", all[i%len(all)].name, err)
		}
	}
	return nil
}

// loseAnswers lets the broker execute a request and drops its answer, in turn with the
// connection and without.
func loseAnswers(ctx context.Context, r *rig.Round) error {
	for i := range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		p := points()[1] // after produce
		if i%2 == 1 {
			p = points()[4] // commit without an answer
		}
		trap, err := p.reach(ctx, r)
		if err != nil {
			return err
		}
		v, how := kafkaproxy.Cut, "with its connection"
		if i/2%2 == 1 {
			v, how = kafkaproxy.Drop, "alone"
		}
		trap.Release(v)
		r.Happened()
		took, err := r.AwaitNew(ctx)
		if err != nil {
			return fmt.Errorf("after an answer was lost %s: %w", how, err)
		}
		r.Recovered(fmt.Sprintf("readings after the answer %q was lost %s", p.name, how), took, 0)
	}
	return nil
}

const unblockLimit = 15 * time.Second

// hangTransaction leaves a transaction open until the broker aborts it.
func hangTransaction(ctx context.Context, r *rig.Round) error {
	for range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		trap, err := points()[3].reach(ctx, r) // before the commit
		if err != nil {
			return err
		}
		err = r.Kill(cluster.Bridge)
		trap.Release(kafkaproxy.Cut)
		if err != nil {
			return err
		}
		r.Happened()
		blocked, err := r.Blocked(ctx)
		if err != nil {
			return err
		}
		r.Check(len(blocked) > 0, "no partition was blocked by an open transaction")
		took, err := rig.Await(ctx, "the end of the open transaction", func() error {
			blocked, err := r.Blocked(ctx)
			if err == nil && len(blocked) > 0 {
				err = fmt.Errorf("readers are blocked in partitions %v", blocked)
			}
			return err
		})
		if err != nil {
			return err
		}
		r.Recovered("readers of device-data, blocked by an open transaction", took, unblockLimit)
		if err := bringBack(ctx, r, cluster.Bridge, false); err != nil {
			return err
		}
	}
	return nil
}
