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

// Point is a stage of an exchange.
type Point uint8

// Points.
const (
	// BeforeRequest: the client has sent the request, the broker does not have it.
	BeforeRequest Point = iota
	// BeforeResponse: the broker has executed the request, the client has no answer.
	BeforeResponse
	// AfterResponse: the answer is on its way to the client. The verdict can only cut.
	AfterResponse
)

// Verdict is what happens next to an exchange.
type Verdict uint8

// Verdicts.
const (
	// Pass continues it.
	Pass Verdict = iota
	// Drop discards the request or the answer. The connection stays open, and the client waits.
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

// Mentions matches requests that contain text, such as a topic or a transactional id.
func Mentions(text string) func(Exchange) bool {
	return func(x Exchange) bool { return bytes.Contains(x.Request, []byte(text)) }
}

// Hook decides about an exchange. It may block; ctx ends when the proxy is closed.
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

// Trap holds the next exchange with that key (or AnyKey) for which match, if not nil, returns
// true.
func (p *Proxy) Trap(at Point, key int16, match func(Exchange) bool) *Trap {
	t := &Trap{caught: make(chan Exchange, 1), free: make(chan Verdict, 1)}
	var once sync.Once
	set := make(chan struct{}) // closed when t.remove is set: the hook may run before On returns
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

// Wait returns the trapped exchange. Call it once.
func (t *Trap) Wait(ctx context.Context) (Exchange, error) {
	select {
	case x := <-t.caught:
		return x, nil
	case <-ctx.Done():
		return Exchange{}, ctx.Err()
	}
}

// Release decides about the trapped exchange and removes the trap, also when it has trapped
// nothing yet. Further calls do nothing.
func (t *Trap) Release(v Verdict) {
	t.once.Do(func() {
		t.remove()
		t.free <- v
	})
}
