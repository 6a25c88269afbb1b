// Package peers is what the members of core tell each other once a second through the
// hub: which gateways there ought to be, which alarms explain a gateway's silent
// devices, and what the sensors of shared rooms show. All of it is a help that may be
// missing or seconds old; nothing that must be exact goes this way. Only Run blocks.
package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// every is the time between two messages.
	every = time.Second
	// validFor is how long what a member said counts, in ms.
	validFor = 5_000
	// roomsPerMessage keeps a message below the hub's limit.
	roomsPerMessage = 500
)

// Message is one member's word. Several with one Round make a whole.
type Message struct {
	Member string `json:"member"`
	Round  int64  `json:"round"`
	First  bool   `json:"first,omitempty"` // the one with everything but rooms
	// Gateways are those that its devices' records name.
	Gateways []string `json:"gateways,omitempty"`
	// Live is when a live reading of each gateway last came through, in ms.
	Live map[string]int64 `json:"live,omitempty"`
	// Down has the id of the alarm of each gateway it knows to be down.
	Down  map[string]string `json:"down,omitempty"`
	Rooms []rooms.Values    `json:"rooms,omitempty"`
}

// Board holds what was said last. Its methods may be called from any goroutine.
type Board struct {
	log    *slog.Logger
	member string
	watch  Gateways

	mu     sync.Mutex
	round  int64
	own    map[int32]part // by partition
	others map[string]*other
}

// part is what one of our own partitions says.
type part struct {
	down  map[string]string
	rooms []rooms.Values
}

// other is what another member said.
type other struct {
	round int64
	at    int64 // ms by the clock
	down  map[string]string
	rooms map[string]rooms.Values
}

// Options of a Board. All are required.
type Options struct {
	Log      *slog.Logger
	Gateways Gateways
}

// Gateways is what a member knows of gateways: what it tells the others, and what it
// takes in from them.
type Gateways interface {
	Known() []string
	Know(names ...string)
	Live() map[string]int64
	Alive(name string, at int64)
}

// New returns a Board. It says and hears nothing until Run.
func New(o Options) (*Board, error) {
	if o.Log == nil || o.Gateways == nil {
		return nil, errors.New("peers: Log and Gateways are required")
	}
	return &Board{
		log: o.Log.With("component", "peers"), member: rand.Text(), watch: o.Gateways,
		own: make(map[int32]part), others: make(map[string]*other),
	}, nil
}

// Run speaks and listens on nc until ctx ends.
func (b *Board) Run(ctx context.Context, nc *nats.Conn) error {
	sub, err := nc.Subscribe(wire.PeersSubject, func(m *nats.Msg) { b.hear(m.Data, time.Now().UnixMilli()) })
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.PeersSubject, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			for _, m := range b.say() {
				b.publish(nc, m)
			}
		}
	}
}

func (b *Board) publish(nc *nats.Conn, m Message) {
	data, err := json.Marshal(m)
	if err == nil {
		err = nc.Publish(wire.PeersSubject, data)
	}
	if err != nil {
		b.log.Debug("the others could not be told", "err", err)
	}
}

// Tell sets what the members are told of a partition: alarms of gateways that are down,
// and its rooms. It keeps both.
func (b *Board) Tell(partition int32, down map[string]string, own []rooms.Values) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.own[partition] = part{down: down, rooms: own}
}

// Forget removes a partition that is no longer ours.
func (b *Board) Forget(partition int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.own, partition)
}

// DownAlarm returns the id of the alarm that says that a gateway is down, as its owner
// told; empty when nobody did.
func (b *Board) DownAlarm(gateway string, now int64) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.own {
		if id := p.down[gateway]; id != "" {
			return id
		}
	}
	for _, o := range b.others {
		if id := o.down[gateway]; id != "" && now-o.at < validFor {
			return id
		}
	}
	return ""
}

// Room returns a function that tells what the sensors of a room show that are not in
// the partition.
func (b *Board) Room(partition int32, now int64) func(room string, p telemetry.Parameter) []float64 {
	all := b.outside(partition, now)
	return func(room string, p telemetry.Parameter) []float64 {
		if values := all[room]; values != nil {
			return values[p]
		}
		return nil
	}
}

func (b *Board) outside(partition int32, now int64) map[string]*[telemetry.NumAnalog][]float64 {
	all := make(map[string]*[telemetry.NumAnalog][]float64)
	add := func(v rooms.Values) {
		sum := all[v.Room]
		if sum == nil {
			sum = new([telemetry.NumAnalog][]float64)
			all[v.Room] = sum
		}
		for p := range v.Values {
			sum[p] = append(sum[p], v.Values[p]...)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, p := range b.own {
		if k != partition {
			for _, v := range p.rooms {
				add(v)
			}
		}
	}
	for name, o := range b.others {
		if now-o.at >= validFor {
			delete(b.others, name)
			continue
		}
		for _, v := range o.rooms {
			add(v)
		}
	}
	return all
}

// say returns this second's messages.
func (b *Board) say() []Message {
	names, live := b.watch.Known(), b.watch.Live()
	slices.Sort(names)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.round++
	first := Message{Member: b.member, Round: b.round, First: true, Gateways: names, Live: live, Down: make(map[string]string)}
	var all []rooms.Values
	for _, p := range b.own {
		maps.Copy(first.Down, p.down)
		all = append(all, p.rooms...)
	}
	out := []Message{first}
	for chunk := range slices.Chunk(all, roomsPerMessage) {
		out = append(out, Message{Member: b.member, Round: b.round, Rooms: chunk})
	}
	return out
}

// hear takes in a message.
func (b *Board) hear(data []byte, now int64) {
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		b.log.Debug("message of another member is unreadable", "err", err)
		return
	}
	if m.Member == b.member {
		return
	}
	b.watch.Know(m.Gateways...)
	for name, at := range m.Live {
		b.watch.Alive(name, min(at, now))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.others[m.Member]
	if o == nil || m.Round != o.round {
		next := &other{round: m.Round, rooms: make(map[string]rooms.Values)}
		if o != nil {
			next.down = o.down // until its first message comes
		}
		o = next
		b.others[m.Member] = o
	}
	if m.First {
		o.down = m.Down
	}
	o.at = now
	for _, v := range m.Rooms {
		o.add(v)
	}
}

// add takes in the values of a room, of which several partitions may hold some.
func (o *other) add(v rooms.Values) {
	sum := o.rooms[v.Room]
	sum.Room = v.Room
	for p := range v.Values {
		sum.Values[p] = append(sum.Values[p], v.Values[p]...)
	}
	o.rooms[v.Room] = sum
}
