package kafkaproxy

import (
	"bytes"
	"context"
	"sync"
)

// Keys of requests, from the Kafka protocol guide.
const (
	AnyKey             int16 = -1
	Produce            int16 = 0
	Fetch              int16 = 1
	Metadata           int16 = 3
	FindCoordinator    int16 = 10
	InitProducerID     int16 = 22
	AddPartitionsToTxn int16 = 24
	AddOffsetsToTxn    int16 = 25
	EndTxn             int16 = 26
	TxnOffsetCommit    int16 = 28
	describeCluster    int16 = 60
)

// Point is how far an exchange has come.
type Point uint8

// Points.
const (
	// BeforeRequest: the client has sent the request, the broker does not have it.
	BeforeRequest Point = iota
	// BeforeResponse: the broker has done what was asked, the client does not know it.
	BeforeResponse
	// AfterResponse: the answer is on its way to the client. The verdict can only cut.
	AfterResponse
)

// Verdict is what happens next to an exchange.
type Verdict uint8

// Verdicts.
const (
	// Pass lets it go on.
	Pass Verdict = iota
	// Drop loses the request or the answer. The connection stays, and the client waits.
	Drop
	// Cut ends the connection on both sides; nothing more passes.
	Cut
)

// Exchange is one request and its answer.
type Exchange struct {
	Key         int16
	Version     int16
	Correlation int32
	// Request is the whole request without its length.
	Request []byte
}

// Mentions returns a match for requests that contain text, as a topic's name or a
// transactional id, somewhere.
func Mentions(text string) func(Exchange) bool {
	return func(x Exchange) bool { return bytes.Contains(x.Request, []byte(text)) }
}

// Hook decides about an exchange. It may wait; ctx ends when the proxy is closed.
type Hook func(ctx context.Context, x Exchange) Verdict

type hook struct {
	at   Point
	key  int16
	call Hook
}

// Trap holds one exchange.
type Trap struct {
	caught chan Exchange
	free   chan Verdict
	remove func()
	once   sync.Once
}

// Trap makes a trap that holds the next exchange with that key (or AnyKey) that match, if
// not nil, says yes to.
func (p *Proxy) Trap(at Point, key int16, match func(Exchange) bool) *Trap {
	t := &Trap{caught: make(chan Exchange, 1), free: make(chan Verdict, 1)}
	var once sync.Once
	set := make(chan struct{}) // closed when t.remove is there: the hook works before On returns
	t.remove = p.On(at, key, func(ctx context.Context, x Exchange) (v Verdict) {
		if match != nil && !match(x) {
			return Pass
		}
		once.Do(func() {
			<-set
			v = t.hold(ctx, x)
		})
		return v
	})
	close(set)
	return t
}

func (t *Trap) hold(ctx context.Context, x Exchange) Verdict {
	t.remove()
	t.caught <- x
	select {
	case v := <-t.free:
		return v
	case <-ctx.Done():
		return Cut
	}
}

// Wait returns what was caught. It is called once.
func (t *Trap) Wait(ctx context.Context) (Exchange, error) {
	select {
	case x := <-t.caught:
		return x, nil
	case <-ctx.Done():
		return Exchange{}, ctx.Err()
	}
}

// Release decides about what is held and removes the trap. A trap that has caught nothing
// yet catches nothing any more. Further calls do nothing.
func (t *Trap) Release(v Verdict) {
	t.once.Do(func() {
		t.remove()
		t.free <- v
	})
}
