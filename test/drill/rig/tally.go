package rig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/oracle"
)

// tallies compare the acknowledged readings with device-data, one tally for each fault. A
// reading counts for the fault during which the device made it, so that a record that
// arrives after a tally was settled still counts against that tally. Safe for concurrent
// use.
type tallies struct {
	reader *kafkatest.Reader

	offsets map[string]int64 // of the devices' clocks, ms

	mu        sync.Mutex
	all       []*tally // by their start, the newest last
	arrived   map[string]int
	broken    error                  // a record that is no reading
	ignored   func(*kgo.Record) bool // invalid records that are no error
	observers map[*func(oracle.Record)]struct{}

	stop context.CancelFunc
	done chan struct{}
}

// tally is the readings of one fault.
type tally struct {
	from    int64 // ms
	oracle  *oracle.Oracle
	settled *oracle.Verdict // nil before
}

// openTallies returns tallies of a topic, which need not exist yet.
func openTallies(brokers []string, topic string, offsets map[string]int64) (*tallies, error) {
	reader, err := kafkatest.NewReader(brokers, topic)
	if err != nil {
		return nil, err
	}
	return &tallies{reader: reader, offsets: offsets, arrived: map[string]int{}, observers: map[*func(oracle.Record)]struct{}{}}, nil
}

// open starts a new tally.
func (t *tallies) open() *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &tally{from: time.Now().UnixMilli(), oracle: oracle.New()}
	t.all = append(t.all, a)
	return a
}

// follow reads in the background until pause. Only one goroutine may read at a time.
func (t *tallies) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop, t.done = cancel, make(chan struct{})
	go func() {
		defer close(t.done)
		for ctx.Err() == nil {
			if err := t.reader.Poll(ctx, t.add); err != nil {
				t.mu.Lock()
				if ctx.Err() == nil {
					t.broken = errors.Join(t.broken, err)
				}
				t.mu.Unlock()
			}
		}
	}()
}

// pause ends following.
func (t *tallies) pause() {
	if t.stop == nil {
		return
	}
	t.stop()
	<-t.done
	t.stop = nil
}

// add counts one record.
func (t *tallies) add(rec *kgo.Record) error {
	x, err := oracle.Decode(rec)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if t.ignored != nil && t.ignored(rec) {
			return nil
		}
		return err
	}
	t.arrived[x.Origin.Gateway]++
	t.tallyOf(x.Timestamp - t.offsets[x.Device]).oracle.Stored(x)
	for w := range t.observers {
		(*w)(x)
	}
	return nil
}

// tallyOf returns the tally of the fault during which a reading was made, by a right clock.
func (t *tallies) tallyOf(timestamp int64) *tally {
	for i := len(t.all) - 1; i > 0; i-- {
		if timestamp >= t.all[i].from {
			return t.all[i]
		}
	}
	return t.all[0]
}

// ClockOffset returns how far a device's clock is ahead, in ms.
func (s *Scene) ClockOffset(device string) int64 { return s.tallies.offsets[device] }

// count returns how many records of a gateway were read so far.
func (t *tallies) count(gateway string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.arrived[gateway]
}

// counts returns how many records of each gateway were read so far.
func (t *tallies) counts() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.arrived)
}

// quietTime is how long no record may arrive before a tally is settled: longer than a
// transaction or a replay takes to start.
const quietTime = 1500 * time.Millisecond

// settle waits until every acknowledged reading has arrived and no more records arrive, and
// judges. With mayLose it waits only for the latter. Following must be paused.
func (t *tallies) settle(ctx context.Context, a *tally, ledgers []string, mayLose bool) (oracle.Verdict, error) {
	for _, name := range ledgers {
		if err := a.oracle.ReadLedgerFile(name); err != nil {
			return oracle.Verdict{}, err
		}
	}
	limit, cancel := context.WithTimeout(ctx, WaitTimeout)
	defer cancel()
	var last oracle.Verdict
	for quiet := 0; ; quiet++ {
		if err := t.reader.CatchUp(limit, t.add); err != nil {
			if ctx.Err() == nil && limit.Err() != nil {
				err = fmt.Errorf("the end of the topic not reached within %s: %w", WaitTimeout, err)
			}
			return a.oracle.Verdict(), err
		}
		now := a.oracle.Verdict()
		if now.Records != last.Records || last.Acked == 0 {
			quiet = 0
		}
		last = now
		if quiet > 0 && (now.Lost == 0 || (mayLose && quiet > 3)) {
			break
		}
		if Sleep(limit, quietTime) != nil {
			break // missing readings will not arrive any more
		}
	}
	a.settled = &last
	return last, t.reopened(a)
}

// reopened returns an error when earlier, settled tallies got duplicates or disorder since.
func (t *tallies) reopened(current *tally) error {
	errs := []error{t.broken}
	for _, a := range t.all {
		if a == current || a.settled == nil {
			continue
		}
		now := a.oracle.Verdict()
		if now.Duplicated > a.settled.Duplicated || now.OutOfOrder > a.settled.OutOfOrder {
			errs = append(errs, fmt.Errorf("readings of an earlier fault arrived again: verdict was %s, is now %s", a.settled, &now))
		}
		a.settled = &now
	}
	t.broken = nil
	return errors.Join(errs...)
}
