// Package devicebook knows what the centre says of the devices of each gateway (access.Device), as it
// stands in Kafka. It does not write. Await blocks until its context ends, nothing else does.
package devicebook

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// State is what has become of a record.
type State string

// States. A record is pending until its gateway has stored it.
const (
	Pending State = "pending"
	Held    State = "held"
	Revoked State = "revoked"
)

// Device is a record and where it stands.
type Device struct {
	*access.Device

	Topic   string // its id
	Version int64
}

// State returns what has become of the record at a gateway that has stored this much; nil if it says nothing.
func (d Device) State(stored *wire.DeviceVersion) State {
	switch {
	case stored == nil || stored.Lacks(d.Topic, d.Version):
		return Pending
	case d.Revoked != 0:
		return Revoked
	}
	return Held
}

// Book is safe for concurrent use. It is a tail.Watcher.
type Book struct {
	log *slog.Logger

	mu       sync.Mutex
	topic    string
	read     bool
	gateways map[string]map[string]Device
	enrolled map[string]bool
	changed  chan struct{} // closed with the next change
	bad      ops.LogLimit
}

// New returns a Book without records.
func New(log *slog.Logger) *Book {
	return &Book{log: log, gateways: map[string]map[string]Device{}, enrolled: map[string]bool{}, changed: make(chan struct{})}
}

// Start forgets all records: those of a topic with this id follow.
func (b *Book) Start(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topic, b.read = topic, false
	clear(b.gateways)
	clear(b.enrolled)
}

// Complete notes that all records there were at the start have been applied.
func (b *Book) Complete() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = true
	b.announce()
}

// announce wakes those who wait. b.mu is held.
func (b *Book) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Apply takes a record with its version; a nil value removes it.
func (b *Book) Apply(key string, value []byte, version int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id, ok := access.OfGatewayRecordKey(key); ok {
		b.enrolled[id] = value != nil
		return
	}
	gateway, id, ok := access.OfDeviceRecordKey(key)
	if !ok {
		return
	}
	defer b.announce()
	if value == nil {
		delete(b.gateways[gateway], id)
		return
	}
	d, err := access.DecodeDeviceRecord(key, value)
	if err != nil {
		if skipped, ok := b.bad.Allow(); ok {
			b.log.Error("record of a device is unusable, the one before it stays in force", "key", fmt.Sprintf("%.80s", key), "err", err, "skipped", skipped)
		}
		return
	}
	if b.gateways[gateway] == nil {
		b.gateways[gateway] = map[string]Device{}
	}
	b.gateways[gateway][id] = Device{Device: d, Topic: b.topic, Version: version}
}

// Read reports whether all records there were at the start have been applied.
func (b *Book) Read() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

// Knows reports whether a gateway is enrolled or has devices.
func (b *Book) Knows(gateway string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.enrolled[gateway] || b.gateways[gateway] != nil
}

// Of returns the devices of a gateway, by id.
func (b *Book) Of(gateway string) []Device {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Device, 0, len(b.gateways[gateway]))
	for _, d := range b.gateways[gateway] {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Device returns what the centre says of one device.
func (b *Book) Device(gateway, id string) (Device, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.gateways[gateway][id]
	return d, ok
}

// Owner returns another device of the gateway that has an nkey.
func (b *Book) Owner(gateway, public, besides string) (id string, found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.gateways[gateway] {
		if d.Public == public && d.ID != besides {
			return d.ID, true
		}
	}
	return "", false
}

// Await waits until a record that was written is here, and returns it; false if it is not before ctx ends.
func (b *Book) Await(ctx context.Context, written *access.Device) (Device, bool) {
	want := written.Encode()
	for {
		b.mu.Lock()
		d, ok := b.gateways[written.Gateway][written.ID]
		changed := b.changed
		b.mu.Unlock()
		if ok && bytes.Equal(d.Encode(), want) {
			return d, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Device{}, false
		}
	}
}
