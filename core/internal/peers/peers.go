// Package peers exchanges state between core instances through the hub once a second:
// which gateways are expected, which alarms explain a gateway's silent devices, the offsets
// of wrong clocks, and the sensor values of shared rooms. All of it is best effort and may be missing or seconds
// old; nothing that must be exact is exchanged here. Only Run blocks.
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
	"industrial-iot-monitor/internal/wire"
)

const (
	// every is the time between two messages.
	every = time.Second
	// validFor is how long a peer's state counts, in ms.
	validFor = 5_000
	// roomsPerMessage and valuesPerMessage keep a message below the hub's limit of 1 MiB: a
	// value takes up to 25 bytes.
	roomsPerMessage  = 500
	valuesPerMessage = 20_000
	// offsetsPerMessage does the same: an offset takes up to 90 bytes.
	offsetsPerMessage = 5_000
	// offsetsEvery is the number of rounds after which all offsets are sent again.
	offsetsEvery = 60
	// maxPeerRooms bounds the rooms that a peer can make this instance keep, maxPeerValues the values
	// that all of them can, maxPeers how many there can be: core has as many instances as device-data
	// has partitions at most.
	maxPeerRooms  = 50_000
	maxPeerValues = 2_000_000
	maxPeers      = 64
	// maxMember is the longest name of a member in bytes.
	maxMember = 64
)

// Message is a part of one instance's state. Messages with one Round make a whole.
type Message struct {
	Member string `json:"member"`
	Round  int64  `json:"round"`
	First  bool   `json:"first,omitempty"` // has everything but rooms
	// Gateways are those named in its devices' records.
	Gateways []string `json:"gateways,omitempty"`
	// Live is when a live reading of each gateway last came through, in ms.
	Live map[string]int64 `json:"live,omitempty"`
	// Down has the alarm id of each gateway that is down.
	Down  map[string]string `json:"down,omitempty"`
	Rooms []rooms.Values    `json:"rooms,omitempty"`
	// Offsets are those of clocks, in ms: what changed; all when a peer
	// appeared and once a minute.
	Offsets map[string]int64 `json:"offsets,omitempty"`
}

// Exchange holds the newest state of this instance and its peers. It is safe for
// concurrent use.
type Exchange struct {
	log      *slog.Logger
	member   string
	gateways Gateways
	offsets  Offsets

	mu     sync.Mutex
	greet  bool // a peer appeared that has no offsets yet
	round  int64
	own    map[int32]ownState // by partition
	others map[string]*peerState
}

// ownState is the state of one of our own partitions.
type ownState struct {
	down  map[string]string
	rooms []rooms.Values
}

// peerState is the state of another instance.
type peerState struct {
	round int64
	at    int64 // ms by the clock
	down  map[string]string
	rooms map[string]*rooms.Values
	held  int // values in rooms
}

// Options of an Exchange. All are required.
type Options struct {
	Log      *slog.Logger
	Gateways Gateways
	Offsets  Offsets
}

// Offsets is where the offsets of clocks to send to peers come from, and where those received
// from them go.
type Offsets interface {
	Changes() map[string]int64
	All() map[string]int64
	Apply(offsets map[string]int64)
}

// Gateways is where the gateways to send to peers come from, and where those received
// from them go.
type Gateways interface {
	Names() []string
	Expect(names ...string)
	Live() map[string]int64
	Alive(name string, at int64)
}

// New returns an Exchange. Nothing is sent or received until Run.
func New(o Options) (*Exchange, error) {
	if o.Log == nil || o.Gateways == nil || o.Offsets == nil {
		return nil, errors.New("peers: Log, Gateways and Offsets are required")
	}
	return &Exchange{
		log: o.Log.With("component", "peers"), member: rand.Text(), gateways: o.Gateways, offsets: o.Offsets,
		own: make(map[int32]ownState), others: make(map[string]*peerState),
	}, nil
}

// Run sends and receives on nc until ctx ends.
func (e *Exchange) Run(ctx context.Context, nc *nats.Conn) error {
	sub, err := nc.Subscribe(wire.PeersSubject, func(m *nats.Msg) { e.receive(m.Data, time.Now().UnixMilli()) })
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
			for _, m := range e.messages() {
				e.publish(nc, m)
			}
		}
	}
}

func (e *Exchange) publish(nc *nats.Conn, m Message) {
	data, err := json.Marshal(m)
	if err == nil {
		err = nc.Publish(wire.PeersSubject, data)
	}
	if err != nil {
		e.log.Debug("publishing to peers failed", "err", err)
	}
}

// Set sets the state of a partition: the alarms of gateways that are down, and its rooms.
// It keeps both arguments.
func (e *Exchange) Set(partition int32, down map[string]string, own []rooms.Values) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own[partition] = ownState{down: down, rooms: own}
}

// Forget removes a partition that is no longer ours.
func (e *Exchange) Forget(partition int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.own, partition)
}

// DownAlarm returns the id of the alarm for a gateway that is down; empty when no instance
// has one.
func (e *Exchange) DownAlarm(gateway string, now int64) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.own {
		if id := p.down[gateway]; id != "" {
			return id
		}
	}
	for _, o := range e.others {
		if id := o.down[gateway]; id != "" && now-o.at < validFor {
			return id
		}
	}
	return ""
}

// RoomValues returns a function that returns the values of a room's sensors that are not
// in the partition.
func (e *Exchange) RoomValues(partition int32, now int64) func(room, parameter string) []float64 {
	all := e.outside(partition, now)
	return func(room, parameter string) []float64 {
		if values := all[room]; values != nil {
			return values.Of(parameter)
		}
		return nil
	}
}

func (e *Exchange) outside(partition int32, now int64) map[string]*rooms.Values {
	all := make(map[string]*rooms.Values)
	add := func(v *rooms.Values) {
		sum := all[v.Room]
		if sum == nil {
			sum = new(rooms.Values)
			all[v.Room] = sum
		}
		sum.AddAll(v)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, p := range e.own {
		if k != partition {
			for i := range p.rooms {
				add(&p.rooms[i])
			}
		}
	}
	for name, o := range e.others {
		if now-o.at >= validFor {
			delete(e.others, name)
			continue
		}
		for _, v := range o.rooms {
			add(v)
		}
	}
	return all
}

// messages returns this second's messages.
func (e *Exchange) messages() []Message {
	names, live := e.gateways.Names(), e.gateways.Live()
	slices.Sort(names)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.round++
	first := Message{Member: e.member, Round: e.round, First: true, Gateways: names, Live: live, Down: make(map[string]string)}
	var all []rooms.Values
	for _, p := range e.own {
		maps.Copy(first.Down, p.down)
		all = append(all, p.rooms...)
	}
	out := []Message{first}
	for len(all) > 0 {
		n := nextMessage(all)
		out = append(out, Message{Member: e.member, Round: e.round, Rooms: all[:n]})
		all = all[n:]
	}
	return append(out, e.offsetMessages()...)
}

// offsetMessages returns the messages with offsets of clocks. e.mu is held.
func (e *Exchange) offsetMessages() (out []Message) {
	offsets := e.offsets.Changes()
	if e.greet || e.round%offsetsEvery == 0 {
		all := e.offsets.All()
		maps.Copy(all, offsets)
		offsets, e.greet = all, false
	}
	part := make(map[string]int64)
	for device, offset := range offsets {
		part[device] = offset
		if len(part) == offsetsPerMessage {
			out = append(out, Message{Member: e.member, Round: e.round, Offsets: part})
			part = make(map[string]int64)
		}
	}
	if len(part) > 0 {
		out = append(out, Message{Member: e.member, Round: e.round, Offsets: part})
	}
	return out
}

// nextMessage returns how many of the first rooms fit into a message, at least one.
func nextMessage(all []rooms.Values) int {
	values := 0
	for i := range all {
		values += all[i].Len()
		if i > 0 && values > valuesPerMessage || i == roomsPerMessage {
			return i
		}
	}
	return len(all)
}

// receive applies a peer's message.
func (e *Exchange) receive(data []byte, now int64) {
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		e.log.Debug("message of a peer is unreadable", "err", err)
		return
	}
	if m.Member == e.member || m.Member == "" || len(m.Member) > maxMember || !e.knows(m.Member, now) {
		return
	}
	e.gateways.Expect(m.Gateways...)
	for name, at := range m.Live {
		e.gateways.Alive(name, min(at, now))
	}
	e.offsets.Apply(m.Offsets)
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.others[m.Member]
	if o == nil || m.Round != o.round {
		next := &peerState{round: m.Round, rooms: make(map[string]*rooms.Values)}
		if o != nil {
			next.down = o.down // until its first message comes
		} else {
			e.greet = true
		}
		o = next
		e.others[m.Member] = o
	}
	if m.First {
		o.down = m.Down
	}
	o.at = now
	room := maxPeerValues
	for _, other := range e.others {
		room -= other.held
	}
	for i := range m.Rooms {
		if room -= m.Rooms[i].Len(); room < 0 {
			return
		}
		o.add(&m.Rooms[i])
	}
}

// knows reports whether a member is known, or there is room for one more: those that fell silent
// are forgotten.
func (e *Exchange) knows(member string, now int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, o := range e.others {
		if now-o.at >= validFor {
			delete(e.others, name)
		}
	}
	return e.others[member] != nil || len(e.others) < maxPeers
}

// add adds values of a room, which several partitions may share.
func (o *peerState) add(v *rooms.Values) {
	sum := o.rooms[v.Room]
	if sum == nil {
		if len(o.rooms) >= maxPeerRooms {
			return
		}
		sum = &rooms.Values{Room: v.Room}
		o.rooms[v.Room] = sum
	}
	sum.AddAll(v)
	o.held += v.Len()
}
