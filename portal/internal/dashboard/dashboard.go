// Package dashboard is what the dashboard's WebSocket dialect, iot.v1.json, says: its topics,
// their snapshots and deltas, and where each client is in them. It knows no connections:
// package hub carries the frames.
//
// Every message of a topic is encoded once, as a whole WebSocket frame that never changes
// and that all clients of the topic share. A topic keeps its newest deltas in a log; a
// client is a place in it. So a client that does not read costs a few bytes for each
// topic: when the log has moved on it is told how much it missed and gets a fresh snapshot
// (conflation). Alerts are never left out: a client that is too far behind in them is given
// up.
//
// One goroutine, Run, looks at the plant once a second and makes all snapshots and deltas
// but those of alerts; it holds the plant for a millisecond or two at a time. What clients
// and the plant call waits for nothing but short locks. The plant's lock is taken before
// the board's, never the other way round.
package dashboard

import (
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

// Limits of a board. A zero field takes the default.
type Limits struct {
	Topics      int           // a client may follow; default 2000
	FrameBytes  int           // longest message sent; default 256 KiB
	QueueBytes  int           // of alerts that may wait for a client; default 1 MiB
	Alerts      int           // newest alert records kept for those who come back; default 10,000
	AlertBytes  int           // and their size; default 16 MiB
	Replies     int           // answers that may wait for a client; default 100
	Every       time.Duration // between deltas; default 1 s
	DeviceEvery time.Duration // between deltas of one device; default 100 ms
}

func (l Limits) withDefaults() Limits {
	num := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
	}
	num(&l.Topics, 2000)
	num(&l.FrameBytes, 256<<10)
	num(&l.QueueBytes, 1<<20)
	num(&l.Alerts, 10_000)
	num(&l.AlertBytes, 16<<20)
	num(&l.Replies, 100)
	if l.Every == 0 {
		l.Every = time.Second
	}
	if l.DeviceEvery == 0 {
		l.DeviceEvery = 100 * time.Millisecond
	}
	return l
}

// Options of a board. Model, Log and Registry are required.
type Options struct {
	Model    *state.Model
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Stats and Gateways return the data of the topics of these names, to be encoded as
	// JSON; nil means an empty object.
	Stats, Gateways func() any
	Limits          Limits
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

	work chan struct{} // there is something that does not wait for the next second

	mu      sync.Mutex
	topics  map[string]*topic
	devices map[string]*topic // the topics of devices, by id
	byIndex []*topic          // the same by the device's number; nil: nobody wants it
	retired uint64            // highest number in a topic that is no more
	alerts  *topic
	open    map[string]*state.Alert // that are not normal, by id
	news    bool                    // alerts were published that nobody was woken for
	wanted  []*topic                // snapshots to be made
	dirty   []*topic                // devices with a reading to be sent
	clients int

	// heard says when a device's newest reading arrived, ms by our clock, whatever the
	// clock of its gateway says; 0: none did. It is guarded by the plant's lock.
	heard []int64

	// The rest belongs to Run.
	cells            []cell
	changes          changes
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
	p.byIndex = append(p.byIndex, p.devices[d.ID]) // devices are numbered from 0 without gaps
	p.heard = append(p.heard, 0)
}

// Readings implements state.Observer.
func (p *Publisher) Readings(updated []*state.Device) {
	now := p.model.Now()
	for _, d := range updated {
		p.heard[d.Index] = now
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

// alertData returns {"alert":{…}}. What an alarm says of its past is left out when it would
// not fit.
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

// poke makes Run look for work.
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

// topicFor returns the topic, made if need be. It is called with the plant in view and the
// board locked.
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

// release forgets a topic that nobody follows. It is called as topicFor is.
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

// refused is returned by what a client may not do; other errors are ours.
func refused(err error) *RequestError {
	if r, ok := errors.AsType[*RequestError](err); ok {
		return r
	}
	return &RequestError{"internal", "something went wrong here; the log of the portal says what"}
}

func tooMany(n, limit int) error {
	return &RequestError{codeTooMany, fmt.Sprintf("%d topics would be followed, %d at most can be; nothing was changed; topics fleet and sensor/<name> cover all devices", n, limit)}
}
