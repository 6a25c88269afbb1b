// Package dashboard implements the dashboard's WebSocket dialect, iot.v1.json: its topics,
// their snapshots and deltas, and each client's position in them. It has no connections:
// package fanout delivers the frames.
//
// Every message of a topic is encoded once, as a whole WebSocket frame that is immutable and
// shared by all clients of the topic. A topic keeps its newest deltas in a log; a client is a
// position in it. So a client that does not read costs a few bytes per topic: once its
// position has left the log it gets the number of missed deltas and a fresh snapshot
// (conflation). Alerts are never left out: a client too far behind in them is closed.
//
// One goroutine, Run, scans the model once a second and makes all snapshots and deltas but
// those of alerts; it locks the model for a millisecond or two at a time. Methods called by
// clients and the model block on short locks only. The model's lock is taken before the
// publisher's, never the other way round.
package dashboard

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// Subprotocol is the name of the dialect in the WebSocket handshake.
const Subprotocol = "iot.v1.json"

// Limits of a publisher. Everywhere 0 means the default.
type Limits struct {
	Topics      int           // a client may follow; default 2000
	FrameBytes  int           // longest message sent; default 256 KiB
	QueueBytes  int           // of alerts that may wait for a client; default 1 MiB
	Alerts      int           // newest alert records kept for clients that resume; default 10,000
	AlertBytes  int           // and their size; default 16 MiB
	Replies     int           // that may wait for a client; default 100
	Every       time.Duration // between deltas; default 1 s
	DeviceEvery time.Duration // between deltas of one device; default 100 ms
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Topics:      cmp.Or(l.Topics, 2000),
		FrameBytes:  cmp.Or(l.FrameBytes, 256<<10),
		QueueBytes:  cmp.Or(l.QueueBytes, 1<<20),
		Alerts:      cmp.Or(l.Alerts, 10_000),
		AlertBytes:  cmp.Or(l.AlertBytes, 16<<20),
		Replies:     cmp.Or(l.Replies, 100),
		Every:       cmp.Or(l.Every, time.Second),
		DeviceEvery: cmp.Or(l.DeviceEvery, 100*time.Millisecond),
	}
}

// Options of a publisher. Model, Log and Registry are required.
type Options struct {
	Model    *state.Model
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Stats, Gateways and Sensors return the data of the topics of these names, to be encoded
	// as JSON; nil means an empty object. Sensors returns what changes seldom: it goes out
	// when it has changed.
	Stats, Gateways, Sensors func() any
	Limits                   Limits
	Insecure                 []string // words of INSECURE, for the page to warn
}

// Publisher owns the topics. It is a state.Observer.
type Publisher struct {
	model   *state.Model
	log     *slog.Logger
	opts    Options
	limits  Limits
	metrics *metrics
	epoch   string
	started int64 // ms

	work chan struct{} // there is work that cannot wait for the next tick

	mu      sync.Mutex
	topics  map[string]*topic
	devices map[string]*topic // the topics of devices, by id
	byIndex []*topic          // the same by the device's number; nil: no subscriber
	retired uint64            // highest number in a topic that is no more
	alerts  *topic
	open    map[string]*state.Alert // that are not normal, by id
	news    bool                    // alerts were published since wakeForAlerts
	wanted  []*topic                // snapshots to make
	dirty   []*topic                // devices with a reading to send
	clients int

	// arrived is when a device's newest reading arrived, in ms by the portal's clock, not
	// its gateway's; 0: none did. It is guarded by the model's lock.
	arrived []int64

	// The rest belongs to Run.
	cells            []cell
	changes          changes
	columns          columns
	facts            map[string]*column // by their name
	rounds           int                // of everySecond
	inventory        []byte             // the last data of topic sensors
	tallies          tallies
	reading          telemetry.Reading
	scanned, decoded int64 // ms
	buf              []byte
}

var errMissing = errors.New("dashboard: Model, Log and Registry are required")

// New returns a publisher that observes o.Model.
func New(o Options) (*Publisher, error) {
	if o.Model == nil || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, err
	}
	b := &Publisher{
		model: o.Model, log: o.Log.With("component", "dashboard"), opts: o, limits: o.Limits.withDefaults(), metrics: m,
		epoch: randomHex(), started: o.Model.Now(), work: make(chan struct{}, 1),
		topics: make(map[string]*topic), devices: make(map[string]*topic), open: make(map[string]*state.Alert),
	}
	b.alerts = b.newTopic(topicName{name: "alerts", kind: kindAlerts})
	b.topics["alerts"] = b.alerts
	o.Model.Observe(b)
	return b, nil
}

// Epoch names this start of the portal: 16 hex digits.
func (p *Publisher) Epoch() string { return p.epoch }

func randomHex() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // it never fails, see its documentation
	return hex.EncodeToString(raw[:])
}

// Added implements state.Observer.
func (p *Publisher) Added(d *state.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Index == len(p.byIndex) { // else it is that of a removed device
		p.byIndex, p.arrived = append(p.byIndex, nil), append(p.arrived, 0)
	}
	p.byIndex[d.Index], p.arrived[d.Index] = p.devices[d.ID], 0
}

// Removed implements state.Observer.
func (p *Publisher) Removed(d *state.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renew(p.devices[d.ID])
}

// Described implements state.Observer.
func (p *Publisher) Described(d *state.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renew(p.devices[d.ID])
}

// renew sends a fresh snapshot to the followers of a topic, which may be nil. It is called with
// mu held.
func (p *Publisher) renew(t *topic) {
	if t == nil {
		return
	}
	t.snapshot = nil
	for _, sub := range t.subs {
		sub.askSnapshot()
	}
}

// Readings implements state.Observer.
func (p *Publisher) Readings(updated []*state.Device) {
	now := p.model.Now()
	for _, d := range updated {
		p.arrived[d.Index] = now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.devices) == 0 {
		return
	}
	before := len(p.dirty)
	for _, d := range updated {
		if t := p.byIndex[d.Index]; t != nil && !t.dirty {
			t.dirty = true
			p.dirty = append(p.dirty, t)
		}
	}
	if len(p.dirty) > before {
		p.poke()
	}
}

// Alert implements state.Observer.
func (p *Publisher) Alert(a *state.Alert) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isOpen(a) {
		p.open[a.AlertID] = a
	} else {
		delete(p.open, a.AlertID)
	}
	t := p.alerts
	data := p.alertData(a)
	t.publish(deltaFrame(t, t.seq+1, p.model.Now(), data), 0)
	p.news = true
	p.poke()
}

// alertData returns {"alert":{…}}, without comments and history if these do not fit.
func (p *Publisher) alertData(a *state.Alert) []byte {
	raw := p.alertText(a)
	data := make([]byte, 0, len(raw)+len(`{"alert":}`))
	data = append(data, `{"alert":`...)
	data = append(data, raw...)
	return append(data, '}')
}

func (p *Publisher) alertText(a *state.Alert) []byte {
	if len(a.Raw) < p.limits.FrameBytes-2*envelopeRoom {
		return a.Raw
	}
	short := a.Alert
	short.Comments, short.History = nil, nil
	return p.encode(short)
}

// poke wakes Run.
func (p *Publisher) poke() {
	select {
	case p.work <- struct{}{}:
	default:
	}
}

// Clients returns how many clients there are.
func (p *Publisher) Clients() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients
}

// topicFor returns the topic, created if needed. It is called within View and with mu held.
func (p *Publisher) topicFor(n topicName) *topic {
	if t := p.topics[n.name]; t != nil {
		return t
	}
	t := p.newTopic(n)
	p.topics[n.name] = t
	if n.kind == kindDevice {
		p.devices[n.arg] = t
		if d := p.model.Device(n.arg); d != nil {
			p.byIndex[d.Index] = t
		}
	}
	return t
}

// release removes a topic without subscribers. It is called as topicFor is.
func (p *Publisher) release(t *topic) {
	if len(t.subs) > 0 || t.lasting() {
		return
	}
	delete(p.topics, t.name)
	p.retired = max(p.retired, t.seq)
	if t.kind == kindDevice {
		delete(p.devices, t.arg)
		if d := p.model.Device(t.arg); d != nil {
			p.byIndex[d.Index] = nil
		}
	}
}

// refused returns err if it is meant for the client, and hides internal errors.
func refused(err error) *RequestError {
	if r, ok := errors.AsType[*RequestError](err); ok {
		return r
	}
	return &RequestError{"internal", "something went wrong here; the log of the portal says what"}
}

func tooMany(n, limit int) error {
	return &RequestError{codeTooMany, fmt.Sprintf("%d topics would be followed, %d at most can be; nothing was changed; topics fleet and sensor/<name> cover all devices", n, limit)}
}
