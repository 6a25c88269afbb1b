package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/resend"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// answered is a Responder that keeps the answers of one message.
type answered struct {
	outcome
	duplicate bool
}

type answerer chan answered

func (w answerer) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) {
	w <- answered{outcome{seq, r}, t.Duplicate}
}

// note returns a message of a device with any payload.
func note(to Responder, device, payload string) *Message {
	m := &Message{Device: device, Payload: []byte(payload), Received: time.Now(), Ticket: Ticket{To: to}}
	m.identify(wire.Sender{ID: device}, m.Payload)
	return m
}

// noteBatch returns a message of three entries.
func noteBatch(to Responder, device, payload string) *Message {
	m := &Message{Received: time.Now(), Ticket: Ticket{To: to}}
	m.Batch()
	for i := range 3 {
		m.Add(device, fmt.Appendf(nil, "%s.%d", payload, i), nil, "")
	}
	m.identify(wire.Sender{ID: device}, []byte(payload))
	return m
}

func TestResendGetsTheOutcomeOfTheFirst(t *testing.T) {
	hold := make(chan error)
	store := &memStore{keep: true}
	synctest.Test(t, func(t *testing.T) {
		hold = make(chan error)
		held := atomic.Bool{}
		store.put = func(context.Context, int) error {
			if held.Load() {
				return <-hold
			}
			return nil
		}
		c := New(Options{Store: store, Log: discard(), Linger: 10 * time.Millisecond, StallAfter: time.Hour, RetryEvery: time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()

		offer := func(payload string) answerer {
			w := make(answerer, 1)
			require.Nil(t, c.Offer(note(w, "d", payload)))
			return w
		}
		// Of a message in the open pack, then in the pack being stored, then stored.
		held.Store(true)
		first, open := offer("a"), offer("a")
		pass(20 * time.Millisecond)
		flying := offer("a")
		require.Empty(t, flying, "no answer before the first has one")
		hold <- nil
		synctest.Wait()
		held.Store(false)
		require.Equal(t, answered{outcome{seq: 1}, false}, <-first)
		for _, w := range []answerer{open, flying, offer("a")} {
			require.Equal(t, answered{outcome{seq: 1}, true}, <-w)
		}
		require.Equal(t, Stats{Accepted: 1, Duplicates: 3}, c.Stats())

		// A pack that is not stored takes its messages with it.
		held.Store(true)
		store.full = true
		first, open = offer("b"), offer("b")
		pass(20 * time.Millisecond)
		flying = offer("b")
		next := offer("c")
		hold <- broker.ErrFull
		synctest.Wait()
		for _, w := range []answerer{first, open, flying, next} {
			got := <-w
			require.Equal(t, telemetry.ReasonBufferFull, got.r.Reason)
			require.Zero(t, got.seq)
			require.False(t, got.duplicate)
		}
		require.Equal(t, answered{outcome{seq: 1}, true}, <-offer("a"), "a stored message is known while the buffer is full")
		held.Store(false)
		store.mu.Lock()
		store.full = false
		store.mu.Unlock()
		pass(time.Second)
		for i, payload := range []string{"b", "c"} {
			w := offer(payload)
			pass(20 * time.Millisecond)
			require.Equal(t, answered{outcome{seq: uint64(2 + i)}, false}, <-w)
		}
		cancel()
		require.NoError(t, <-done)
	})
	require.Len(t, store.packs, 3)
}

func TestDeadLetterSentAgainGetsItsRefusalAndIsStoredOnce(t *testing.T) {
	store := &memStore{keep: true}
	_, nc := natsIntake(t, store)
	bad := []byte(`{"device_id":7}`)
	first := request(t, nc, &nats.Msg{Subject: "devices.device_001.telemetry", Data: bad})
	require.Equal(t, telemetry.ReasonInvalidReading, first.Error.Reason)
	require.Equal(t, first, request(t, nc, &nats.Msg{Subject: "devices.device_001.telemetry", Data: bad}))
	require.Equal(t, 1, store.readings(t))
	// What was refused for its header is no resend without it.
	msg := nats.NewMsg("devices.device_001.telemetry")
	msg.Data = []byte(fresh("device_001"))
	msg.Header.Set(nats.ExpectedStreamHdr, "OTHER")
	answer, err := nc.RequestMsg(msg, waitTimeout)
	require.NoError(t, err)
	require.Contains(t, string(answer.Data), `"reason":"wrong_stream"`) // in the form for JetStream clients
	msg.Header.Del(nats.ExpectedStreamHdr)
	require.Equal(t, wire.Reply{Stream: "S", Seq: 3}, request(t, nc, msg))
}

func TestMessageIDsRecogniseAResend(t *testing.T) {
	store := &memStore{keep: true}
	c, nc := natsIntake(t, store)
	send := func(id, payload string) wire.Reply {
		msg := nats.NewMsg("devices.device_001.telemetry")
		msg.Data = []byte(payload)
		msg.Header.Set(nats.MsgIdHdr, id)
		return request(t, nc, msg)
	}
	same := fresh("device_001")
	require.Equal(t, wire.Reply{Stream: "S", Seq: 1}, send("1", same))
	require.Equal(t, wire.Reply{Stream: "S", Seq: 1, Duplicate: true}, send("1", fresh("device_001")), "whatever is in it")
	require.Equal(t, wire.Reply{Stream: "S", Seq: 2}, send("2", same), "an id says that it is another")
	require.NotNil(t, send("3", "{").Error)
	require.Equal(t, wire.Reply{Stream: "S", Seq: 4}, send("3", fresh("device_001")), "the id of a refused message can be used again")
	batch := "[" + fresh("device_001") + ",7]"
	require.EqualValues(t, 5, send("4", batch).Seq)
	again := send("4", batch)
	require.True(t, again.Duplicate)
	require.Equal(t, []int{5, 1, 1}, []int{int(again.Seq), again.Accepted, len(again.Refused)})

	m := startMQTT(t, c)
	five := connectMQTT(t, m, 5, nil)
	for id, want := range []int{5 + 1, 6, 7} {
		five.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 5, PacketID: uint16(id + 1),
			TopicName: topic, Payload: []byte(fresh("device_001")),
			Properties: packets.Properties{User: []packets.UserProperty{{Key: "message-id", Val: []string{"m1", "m1", "m2"}[id]}}},
		})
		require.Zero(t, five.Read().ReasonCode)
		require.Equal(t, want, store.count())
	}
	// A message is counted after it was answered.
	require.Eventually(t, func() bool { return c.Stats() == Stats{Accepted: 6, Refused: 2, Duplicates: 4} }, waitTimeout, time.Millisecond)
}

func TestOldMessagesAreForgotten(t *testing.T) {
	store := &memStore{keep: true}
	collect(t, Options{Store: store}, func(c *Collector) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // of the bubble
		done := make(chan error, 1)
		go func() { done <- c.KeepResends(ctx) }()
		offer := func() answered {
			w := make(answerer, 1)
			require.Nil(t, c.Offer(note(w, "d", "a")))
			pass(time.Second)
			return <-w
		}
		require.False(t, offer().duplicate)
		pass(resend.Keep - 5*time.Second)
		require.True(t, offer().duplicate, "known for ten minutes")
		pass(2 * time.Minute)
		require.Zero(t, c.senders(), "an idle sender costs nothing")
		require.Equal(t, answered{outcome{seq: 2}, false}, offer())
		cancel()
		require.NoError(t, <-done)
	})
}

// A stream that lost packs uses their sequences again.
func TestMessagesOfLostPacksAreForgotten(t *testing.T) {
	store := &memStore{keep: true}
	collect(t, Options{Store: store}, func(c *Collector) {
		for i := range 5 {
			w := make(answerer, 1)
			require.Nil(t, c.Offer(note(w, "d", fmt.Sprint(i))))
			pass(time.Second)
			require.EqualValues(t, i+1, (<-w).seq)
		}
		store.mu.Lock()
		store.packs = store.packs[:3]
		store.mu.Unlock()
		w := make(answerer, 1)
		require.Nil(t, c.Offer(note(w, "d", "new")))
		pass(time.Second)
		require.EqualValues(t, 4, (<-w).seq)
		for i, want := range []bool{true, true, true, false, false} {
			w := make(answerer, 1)
			require.Nil(t, c.Offer(note(w, "d", fmt.Sprint(i))))
			pass(time.Second)
			require.Equal(t, want, (<-w).duplicate, i)
		}
		w = make(answerer, 1)
		require.Nil(t, c.Offer(note(w, "d", "new")))
		require.Equal(t, answered{outcome{seq: 4}, true}, <-w)
	})
}

// plant is devices that send each message until they get an answer, a gateway that fails,
// stops and is killed at random, and a bridge that trims.
type plant struct {
	t       *testing.T
	rnd     *rand.Rand
	store   *memStore
	file    string
	trimmed uint64
	dead    atomic.Bool // the present life was killed: it stores nothing more

	mu         sync.Mutex
	c          *Collector
	duplicates int
}

func (p *plant) gateway() *Collector {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.c
}

// life runs the gateway for a while.
func (p *plant) life(d time.Duration, kill bool) {
	p.dead.Store(false)
	p.store.mu.Lock()
	packs := slices.Clone(p.store.packs)
	p.store.mu.Unlock()
	r := Resends{Last: uint64(len(packs)), File: p.file}
	var err error
	r.Memory, r.Kept, r.Eras, err = resend.Load(p.file, r.Last)
	require.NoError(p.t, err)
	require.GreaterOrEqual(p.t, r.Kept, p.trimmed, "the bridge trims nothing that a restart needs")
	for seq := r.Kept + 1; seq <= r.Last; seq++ {
		require.NoError(p.t, r.Replay(seq, packs[seq-1]))
	}
	c := New(Options{
		Store: p.store, Epoch: p.rnd.Uint64(), Log: discard(), Linger: 3 * time.Millisecond, StuckAfter: time.Hour,
		StallAfter: 200 * time.Millisecond, Resends: r,
	})
	p.mu.Lock()
	p.c = c
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = c.Run(ctx) })
	parts.Go(func() { _ = c.KeepResends(ctx) })
	<-time.After(d)
	if keep := c.KeepFrom(); keep > 0 { // some time after the heartbeat
		p.trimmed = max(p.trimmed, keep-1)
	}
	p.dead.Store(kill)
	cancel()
	parts.Wait()
	if !kill {
		c.SaveResends()
	}
}

// send sends a message until it is acknowledged. Some answers get lost on the way.
func (p *plant) send(rnd *rand.Rand, make2 func(to Responder) *Message) {
	for {
		w := make(answerer, 1)
		if p.gateway().Offer(make2(w)) != nil {
			<-time.After(time.Duration(50+rnd.IntN(100)) * time.Millisecond)
			continue
		}
		select {
		case got := <-w:
			if got.duplicate {
				p.mu.Lock()
				p.duplicates++
				p.mu.Unlock()
			}
			if got.r == nil && rnd.IntN(3) > 0 {
				return
			}
		case <-time.After(time.Second):
		}
		<-time.After(time.Duration(rnd.IntN(30)) * time.Millisecond)
	}
}

// TestEveryMessageIsStoredExactlyOnce sends over failures, resends, stops and kills, with a
// bridge that trims as far as the gateway allows.
func TestEveryMessageIsStoredExactlyOnce(t *testing.T) {
	for seed := range uint64(12) {
		file := filepath.Join(t.TempDir(), "resends")
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			p := &plant{t: t, rnd: rnd, store: unreliableStore(rand.New(rand.NewPCG(seed, 3))), file: file}
			flaky := p.store.putPack
			p.store.putPack = func(ctx context.Context, pack []byte) error {
				if p.dead.Load() {
					return errors.New("killed")
				}
				return flaky(ctx, pack)
			}
			settle := p.store.settle
			p.store.settle = func() (bool, error) {
				if p.dead.Load() {
					return false, errors.New("killed")
				}
				return settle()
			}
			p.c = New(Options{Store: p.store, Log: discard()})
			p.c.refuseAll(retryLater(telemetry.ReasonUnavailable, isStopping)) // until the first life
			var devices sync.WaitGroup
			const each = 12
			for d := range 6 {
				devices.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, uint64(10+d)))
					id := fmt.Sprintf("device_%d", d)
					for n := range each {
						p.send(rnd, func(to Responder) *Message {
							if n%4 == 3 {
								return noteBatch(to, id, fmt.Sprint(n))
							}
							m := note(to, id, fmt.Sprint(n))
							if n%4 == 1 {
								m.ID = fmt.Sprint("id ", n)
								m.identify(wire.Sender{ID: id}, m.Payload)
							}
							return m
						})
					}
				})
			}
			done := make(chan struct{})
			go func() { devices.Wait(); close(done) }()
			for running := true; running; {
				p.life(time.Duration(100+rnd.IntN(7000))*time.Millisecond, rnd.IntN(2) == 0)
				select {
				case <-done:
					running = false
				default:
				}
			}
			want := map[string][]string{}
			for d := range 6 {
				for n := range each {
					id := fmt.Sprintf("device_%d", d)
					if n%4 != 3 {
						want[id] = append(want[id], fmt.Sprint(n))
						continue
					}
					for i := range 3 {
						want[id] = append(want[id], fmt.Sprintf("%d.%d", n, i))
					}
				}
			}
			got := map[string][]string{}
			for _, pack := range p.store.packs {
				_, all := entries(t, pack)
				for _, e := range all {
					got[e.Device] = append(got[e.Device], string(e.Payload))
				}
			}
			require.Equal(t, want, got, "seed %d", seed)
			require.NotZero(t, p.duplicates)
		})
	}
}

// What Replay computes from the entries of a pack is what was offered.
func TestReplayKnowsWhatWasOffered(t *testing.T) {
	long := make([]byte, 100<<10)
	var v validator
	for name, tt := range map[string]struct {
		from    wire.Sender
		id      string
		payload string
		want    bool
	}{
		"reading":                   {wire.Sender{ID: "device_001"}, "", fresh("device_001"), true},
		"reading with an id":        {wire.Sender{ID: "device_001"}, "x", fresh("device_001"), true},
		"refused":                   {wire.Sender{ID: "device_001"}, "", "{", true},
		"refused with an id":        {wire.Sender{ID: "device_001"}, "x", "{", true},
		"refused and cut":           {wire.Sender{ID: "device_001"}, "", string(long), true},
		"refused, of a long name":   {wire.Sender{ID: string(long[:100])}, "", "{", true},
		"batch":                     {wire.Sender{ID: "device_001"}, "", "[" + fresh("device_001") + ",7," + fresh("device_001") + "]", true},
		"batch of a concentrator":   {wire.Sender{ID: "c", Concentrator: true}, "", fresh("a") + "\n" + fresh("b"), true},
		"refused of a concentrator": {wire.Sender{ID: "c", Concentrator: true}, "", "[", true},
	} {
		t.Run(name, func(t *testing.T) {
			store := &memStore{keep: true}
			var m Message
			collect(t, Options{Store: store}, func(c *Collector) {
				m = Message{Received: time.Now(), ID: tt.id}
				v.accept(&m, tt.from, []byte(tt.payload), "")
				require.Nil(t, c.Offer(&m))
			})
			r := Resends{Memory: resend.New()}
			require.NoError(t, r.Replay(9, store.packs[0]))
			seq, ok := r.Memory.Find(m.identity)
			require.True(t, ok)
			require.EqualValues(t, 9, seq)
			require.Equal(t, 1, r.Memory.Len(), "one message, one sender")
		})
	}
	r := Resends{Memory: resend.New()}
	require.Error(t, r.Replay(1, []byte("no pack")))
}

// The bridge may trim everything rather than let the buffer fill.
func TestPacksAreGivenUpWhenTheFileCannotBeWritten(t *testing.T) {
	store := &memStore{keep: true}
	file := filepath.Join(t.TempDir(), "gone", "resends")
	collect(t, Options{Store: store, Resends: Resends{File: file}}, func(c *Collector) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // of the bubble
		done := make(chan error, 1)
		go func() { done <- c.KeepResends(ctx) }()
		pass(time.Second)
		require.EqualValues(t, 1, c.KeepFrom())
		pass(keepLimit + 2*saveEvery)
		require.Zero(t, c.KeepFrom())
		cancel()
		require.NoError(t, <-done)
	})
}

// What the file lacks stays in the stream and in the server's memory: much of it makes a save
// due before its time.
func TestManyBytesAreSavedEarly(t *testing.T) {
	for name, tt := range map[string]struct {
		most, bytes int
		early       bool
	}{
		"few":               {0, saveBytes - 1<<20, false},
		"many":              {0, saveBytes + 1<<20, true},
		"few for a buffer":  {1 << 20, 1<<20 - 1<<17, false},
		"many for a buffer": {1 << 20, 1<<20 + 1<<17, true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resends")
			collect(t, Options{Store: &memStore{}, Resends: Resends{File: file, MostBytes: uint64(tt.most)}}, func(c *Collector) {
				ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // of the bubble
				done := make(chan error, 1)
				go func() { done <- c.KeepResends(ctx) }()
				pass(checkEvery / 2)
				first := c.KeepFrom()
				const size = 1 << 16
				for range tt.bytes / size {
					m := Message{Device: "device_001", Received: time.Now(), Payload: make([]byte, size)}
					require.Nil(t, c.Offer(&m))
				}
				pass(2 * checkEvery)
				require.Equal(t, tt.early, c.KeepFrom() > first)
				pass(saveEvery)
				require.Greater(t, c.KeepFrom(), first)
				cancel()
				require.NoError(t, <-done)
			})
		})
	}
}
