// Package handover hands each gateway what the centre says of its devices (access.Device), as records
// stand in Kafka, until the gateway has stored it. It does not judge devices, and reads no Kafka itself.
// Nothing in it blocks but Close, which waits for the answers of gateways.
package handover

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

const (
	// maxBusy bounds the gateways that are handed something at the same time.
	maxBusy = 16
	// maxBytes bounds one message; a gateway takes no longer ones than 1.25 MiB.
	maxBytes = 256 << 10
	// answerWithin is how long a gateway may take to store one.
	answerWithin = 3 * time.Second
)

// Options of a Handover. All are required.
type Options struct {
	// Line returns the connection into the account of a gateway.
	Line func(gateway string) (*nats.Conn, error)
	// Serves reports whether it is this bridge that hands a gateway its records.
	Serves   func(gateway string) bool
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Handover has the records of all gateways. It is safe for concurrent use.
type Handover struct {
	o      Options
	log    *slog.Logger
	failed prometheus.Counter

	mu       sync.Mutex
	topic    string
	read     bool // all records that there were at the start
	closed   bool
	gateways map[string]*book
	busy     map[string]bool
	working  sync.WaitGroup
	bad      ops.LogLimit
	untaken  ops.LogLimit
}

// book is what the centre says of the devices of one gateway.
type book struct {
	newest  int64 // version
	devices map[string]wire.DeviceRecord
}

// New returns a Handover without records.
func New(o Options) (*Handover, error) {
	if o.Line == nil || o.Serves == nil || o.Log == nil || o.Registry == nil {
		return nil, errors.New("handover: Options.Line, Serves, Log and Registry are required")
	}
	h := &Handover{
		o: o, log: o.Log.With("component", "handover"), gateways: map[string]*book{}, busy: map[string]bool{},
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_device_records_failed_total", Help: "Attempts to hand a gateway what the centre says of its devices that it did not confirm; they are repeated each second.",
		}),
	}
	return h, o.Registry.Register(h.failed)
}

// Start forgets all records: those of a topic with this id follow.
func (h *Handover) Start(topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topic, h.read = topic, false
	clear(h.gateways)
}

// Complete notes that all records there were at the start have been applied.
func (h *Handover) Complete() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read = true
}

// Apply takes a record of the topic with its version. Those of others than devices are skipped. A nil value
// is no longer handed over; a gateway that has it keeps it.
func (h *Handover) Apply(key string, value []byte, version int64) {
	gateway, device, ok := access.OfDeviceRecordKey(key)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.gateways[gateway]
	if value == nil {
		if b != nil {
			delete(b.devices, device)
		}
		return
	}
	_, err := access.DecodeDeviceRecord(key, value)
	if err == nil && b != nil && len(b.devices) >= access.MaxDevices && b.devices[device].Version == 0 {
		err = errMany
	}
	if err != nil {
		if skipped, ok := h.bad.Allow(); ok {
			h.log.Error("record of a device is unusable, the one before it stays in force", "key", fmt.Sprintf("%.80s", key), "err", err, "skipped", skipped)
		}
		return
	}
	if b == nil {
		b = &book{devices: map[string]wire.DeviceRecord{}}
		h.gateways[gateway] = b
	}
	b.newest = version
	b.devices[device] = wire.DeviceRecord{Version: version, Record: value}
}

var errMany = fmt.Errorf("more than %d devices of one gateway", access.MaxDevices)

// Beat takes what a gateway's heartbeat says that it has stored, nil if it takes no records. If it lacks some it
// is handed them now: so it is after each change, after each failure, and as soon as it connects.
func (h *Handover) Beat(gateway string, have *wire.DeviceVersion) {
	if have == nil || !h.has(gateway) || !h.o.Serves(gateway) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.gateways[gateway]
	if b == nil || !have.Lacks(h.topic, b.newest) || h.busy[gateway] || len(h.busy) >= maxBusy || h.closed {
		return
	}
	topic, lacking := h.topic, b.since(h.topic, *have)
	h.busy[gateway] = true
	h.working.Go(func() {
		err := h.hand(gateway, topic, *have, lacking)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.busy, gateway)
		if err == nil {
			return
		}
		h.failed.Inc()
		if skipped, ok := h.untaken.Allow(); ok {
			h.log.Warn("gateway has not taken what the centre says of its devices, retrying", "gateway", gateway, "err", err, "skipped", skipped)
		}
	})
}

// has reports whether there are records for a gateway, all of them read.
func (h *Handover) has(gateway string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read && h.gateways[gateway] != nil
}

// since returns the records that a gateway lacks, the oldest first.
func (b *book) since(topic string, have wire.DeviceVersion) []wire.DeviceRecord {
	var out []wire.DeviceRecord
	for _, r := range b.devices {
		if have.Lacks(topic, r.Version) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b wire.DeviceRecord) int { return cmp.Compare(a.Version, b.Version) })
	return out
}

// hand gives a gateway records, as many in a message as it takes.
func (h *Handover) hand(gateway, topic string, have wire.DeviceVersion, lacking []wire.DeviceRecord) error {
	if have.Topic != topic {
		have = wire.DeviceVersion{Topic: topic}
	}
	for len(lacking) > 0 {
		m := wire.DeviceRecords{Topic: topic, After: have.Version}
		for n := 0; len(lacking) > 0 && n < maxBytes; lacking = lacking[1:] {
			m.Records = append(m.Records, lacking[0])
			n += len(lacking[0].Record)
		}
		var err error
		if have, err = h.ask(gateway, &m); err != nil {
			return err
		}
		if last := m.Records[len(m.Records)-1].Version; have.Lacks(topic, last) {
			return fmt.Errorf("%w: it has version %d of %d: %.200s", errUntaken, have.Version, last, have.Error)
		}
	}
	return nil
}

var errUntaken = errors.New("not taken")

func (h *Handover) ask(gateway string, m *wire.DeviceRecords) (have wire.DeviceVersion, err error) {
	nc, err := h.o.Line(gateway)
	if err != nil {
		return have, err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return have, fmt.Errorf("encoding records of devices: %w", err)
	}
	answer, err := nc.Request(wire.DevicesSubject(gateway), data, answerWithin)
	if err != nil {
		return have, fmt.Errorf("asking the gateway: %w", err)
	}
	if err := json.Unmarshal(answer.Data, &have); err != nil {
		return have, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return have, nil
}

// Close hands nothing over any more and waits for those that answer still.
func (h *Handover) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.working.Wait()
}
