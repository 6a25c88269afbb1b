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

// books compare what devices were promised with what reached Kafka, one account for each
// fault. A reading belongs to the account in whose time the device made it, so that a
// record that comes after an account was closed is held against that account. It is safe
// for concurrent use.
type books struct {
	reader *kafkatest.Reader

	mu       sync.Mutex
	accounts []*account // by their start, the newest last
	arrived  map[string]int
	broken   error // a record that is no reading
	strange  func(*kgo.Record) bool
	watchers map[*func(oracle.Record)]struct{}

	stop context.CancelFunc
	done chan struct{}
}

// account is one fault's share of the books.
type account struct {
	from   int64 // ms
	oracle *oracle.Oracle
	closed *oracle.Verdict // as it was closed, nil before
}

// openBooks starts to read a topic. The topic need not exist yet.
func openBooks(brokers []string, topic string) (*books, error) {
	reader, err := kafkatest.NewReader(brokers, topic)
	if err != nil {
		return nil, err
	}
	return &books{reader: reader, arrived: map[string]int{}, watchers: map[*func(oracle.Record)]struct{}{}}, nil
}

// open begins a new account.
func (b *books) open() *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &account{from: time.Now().UnixMilli(), oracle: oracle.New()}
	b.accounts = append(b.accounts, a)
	return a
}

// follow reads in the background until it is told to rest. Only one may read at a time.
func (b *books) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop, b.done = cancel, make(chan struct{})
	go func() {
		defer close(b.done)
		for ctx.Err() == nil {
			if err := b.reader.Poll(ctx, b.enter); err != nil {
				b.mu.Lock()
				if ctx.Err() == nil {
					b.broken = errors.Join(b.broken, err)
				}
				b.mu.Unlock()
			}
		}
	}()
}

// rest ends following.
func (b *books) rest() {
	if b.stop == nil {
		return
	}
	b.stop()
	<-b.done
	b.stop = nil
}

// enter books one record.
func (b *books) enter(rec *kgo.Record) error {
	x, err := oracle.Decode(rec)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if b.strange != nil && b.strange(rec) {
			return nil
		}
		return err
	}
	b.arrived[x.Origin.Gateway]++
	b.accountOf(x.Timestamp).oracle.Stored(x)
	for w := range b.watchers {
		(*w)(x)
	}
	return nil
}

// accountOf returns the account in whose time a reading was made.
func (b *books) accountOf(timestamp int64) *account {
	for i := len(b.accounts) - 1; i > 0; i-- {
		if timestamp >= b.accounts[i].from {
			return b.accounts[i]
		}
	}
	return b.accounts[0]
}

// count returns how many records of a gateway were read so far.
func (b *books) count(gateway string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrived[gateway]
}

// counts returns how many records of each gateway were read so far.
func (b *books) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.arrived)
}

// settle is how long nothing more may come before an account is closed: longer than a
// transaction, or a replay, takes to begin.
const settle = 1500 * time.Millisecond

// close waits until everything that was acknowledged has come and nothing more comes, and
// judges. When something may be lost it waits only for the latter. The books must rest.
func (b *books) close(ctx context.Context, a *account, ledgers []string, mayLose bool) (oracle.Verdict, error) {
	for _, name := range ledgers {
		if err := a.oracle.ReadLedgerFile(name); err != nil {
			return oracle.Verdict{}, err
		}
	}
	limit, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var last oracle.Verdict
	for quiet := 0; ; quiet++ {
		if err := b.reader.CatchUp(limit, b.enter); err != nil {
			if ctx.Err() == nil && limit.Err() != nil {
				err = fmt.Errorf("the topic could not be read to its end within %s: %w", Patience, err)
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
		if Sleep(limit, settle) != nil {
			break // what is missing does not come any more
		}
	}
	a.closed = &last
	return last, b.reopened(a)
}

// reopened says what changed in accounts that had been closed before.
func (b *books) reopened(current *account) error {
	errs := []error{b.broken}
	for _, a := range b.accounts {
		if a == current || a.closed == nil {
			continue
		}
		now := a.oracle.Verdict()
		if now.Duplicated > a.closed.Duplicated || now.OutOfOrder > a.closed.OutOfOrder {
			errs = append(errs, fmt.Errorf("readings of an earlier fault came again: then %s, now %s", a.closed, &now))
		}
		a.closed = &now
	}
	b.broken = nil
	return errors.Join(errs...)
}
