package sparkplug

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Limits of the announced metrics. A birth beyond them is refused, unless a node has been
// silent for idleAfter: then the one that was silent longest is forgotten.
const (
	MaxTables    = 10_000  // edge nodes and devices
	MaxAnnounced = 200_000 // metrics of all of them
	idleAfter    = time.Hour
)

// Message is the topic of a payload (section 4.1).
type Message struct {
	Group  string
	Type   string // NBIRTH, DDATA, …
	Node   string
	Device string // empty: the edge node itself
}

// ParseTopic returns the message of the levels behind spBv1.0.
func ParseTopic(levels []string) (Message, bool) {
	switch len(levels) {
	case 3:
		return Message{Group: levels[0], Type: levels[1], Node: levels[2]}, true
	case 4:
		return Message{Group: levels[0], Type: levels[1], Node: levels[2], Device: levels[3]}, true
	default:
		return Message{}, false
	}
}

// Errors of Apply.
var (
	// ErrBeforeBirth means that the metrics of a data message were not announced.
	ErrBeforeBirth = errors.New("data before the birth that announces its metrics")
	// ErrFull means that no more metrics can be remembered.
	ErrFull = errors.New("no room for more metrics")
	// ErrType means that the topic's message type is unknown.
	ErrType = errors.New("unknown message type")
)

// Outcome is what a message means.
type Outcome struct {
	Values  bool     // the metrics have values of Message
	Gone    []string // devices that are offline now; "" is the edge node itself
	Unknown int      // metrics with an alias that was not announced; they have no name
	Gap     bool     // messages before this one are missing
}

// metric is an announced metric.
type metric struct {
	name string
	kind DataType
	unit string
}

// table is the metrics of a node or device.
type table struct {
	aliases map[uint64]*metric
	names   map[string]*metric
}

// node is an edge node.
type node struct {
	own     *table // nil before its birth
	devices map[string]*table
	seq     uint64
	counted bool // seq is known
	session float64
	heard   time.Time
}

// Nodes are the edge nodes and what they have announced. It is safe for concurrent use.
type Nodes struct {
	mu     sync.Mutex
	nodes  map[string]*node
	tables int
	total  int // metrics
}

// New returns Nodes that know none.
func New() *Nodes { return &Nodes{nodes: map[string]*node{}} }

// Size returns the number of tables and of metrics.
func (n *Nodes) Size() (tables, metrics int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tables, n.total
}

// Apply records what msg announces, and gives the metrics of data their names, types and
// units.
func (n *Nodes) Apply(msg Message, p *Payload, now time.Time) (Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := msg.Group + "/" + msg.Node
	x := n.nodes[key]
	if (msg.Device == "") != (msg.Type != "" && msg.Type[0] == 'N') {
		return Outcome{}, fmt.Errorf("%w: %s with device %q", ErrType, msg.Type, msg.Device)
	}
	switch msg.Type {
	case "NBIRTH", "DBIRTH":
		return n.birth(key, x, msg, p, now)
	case "NDATA", "DDATA":
		return data(x, msg, p, now)
	case "NDEATH", "DDEATH":
		return n.death(key, x, msg, p, now), nil
	default:
		return Outcome{}, fmt.Errorf("%w: %q", ErrType, msg.Type)
	}
}

func (n *Nodes) birth(key string, x *node, msg Message, p *Payload, now time.Time) (Outcome, error) {
	for i := range p.Metrics {
		if p.Metrics[i].Name == "" {
			return Outcome{}, fmt.Errorf("%w: metric %d of the birth has no name", ErrPayload, i)
		}
	}
	if msg.Device == "" && x != nil {
		n.forget(key, x)
		x = nil
	} else if x != nil {
		n.drop(x.devices[msg.Device])
		delete(x.devices, msg.Device)
	}
	if !n.room(len(p.Metrics), key, now) {
		return Outcome{}, fmt.Errorf("%w: %d of %d nodes and devices, %d of %d metrics are in use", ErrFull, n.tables, MaxTables, n.total, MaxAnnounced)
	}
	if x == nil {
		x = &node{devices: map[string]*table{}}
		n.nodes[strings.Clone(key)] = x
	}
	t := announce(p)
	n.tables++
	n.total += len(t.names)
	out := Outcome{Values: true, Gap: x.step(p)}
	if msg.Device == "" {
		x.own, x.session = t, session(p)
	} else {
		x.devices[strings.Clone(msg.Device)] = t
	}
	x.heard = now
	return out, nil
}

// announce returns the table of a birth.
func announce(p *Payload) *table {
	t := &table{aliases: make(map[uint64]*metric), names: make(map[string]*metric, len(p.Metrics))}
	for i := range p.Metrics {
		m := &p.Metrics[i]
		x := &metric{name: strings.Clone(m.Name), kind: m.Type, unit: strings.Clone(m.Unit)}
		t.names[x.name] = x
		if m.HasAlias {
			t.aliases[m.Alias] = x
		}
	}
	return t
}

// session returns the number of a node's session, by which a late death is recognised.
func session(p *Payload) float64 {
	for i := range p.Metrics {
		if p.Metrics[i].Name == "bdSeq" {
			return p.Metrics[i].Num
		}
	}
	return -1
}

func data(x *node, msg Message, p *Payload, now time.Time) (Outcome, error) {
	var t *table
	if x != nil {
		if t = x.own; msg.Device != "" {
			t = x.devices[msg.Device]
		}
	}
	if t == nil {
		if x != nil {
			x.step(p)
			x.heard = now
		}
		return Outcome{}, ErrBeforeBirth
	}
	x.heard = now
	out := Outcome{Values: true, Gap: x.step(p)}
	for i := range p.Metrics {
		if !t.resolve(&p.Metrics[i]) {
			out.Unknown++
		}
	}
	return out, nil
}

// resolve gives a metric its name, type and unit. It returns false for an unknown alias. A
// new name is accepted: it says what it is.
func (t *table) resolve(m *Metric) bool {
	x := t.names[m.Name]
	if m.Name == "" {
		if x = t.aliases[m.Alias]; !m.HasAlias || x == nil {
			return false
		}
		m.Name = x.name
	}
	if x == nil {
		return true
	}
	if m.Type == 0 {
		m.Type = x.kind
		m.value()
	}
	if m.Unit == "" {
		m.Unit = x.unit
	}
	return true
}

func (n *Nodes) death(key string, x *node, msg Message, p *Payload, now time.Time) Outcome {
	if msg.Device != "" {
		if x != nil {
			n.drop(x.devices[msg.Device])
			delete(x.devices, msg.Device)
			x.heard = now
			return Outcome{Gone: []string{msg.Device}, Gap: x.step(p)}
		}
		return Outcome{Gone: []string{msg.Device}}
	}
	if x == nil {
		return Outcome{Gone: []string{""}}
	}
	if s := session(p); s >= 0 && x.session >= 0 && s != x.session {
		return Outcome{} // of a former session: the node is back
	}
	gone := []string{""}
	for device := range x.devices {
		gone = append(gone, device)
	}
	n.forget(key, x)
	return Outcome{Gone: gone}
}

// step notes the sequence number and reports whether some before it are missing.
func (x *node) step(p *Payload) (gap bool) {
	if !p.HasSeq {
		return false
	}
	gap = x.counted && p.Seq != x.seq && p.Seq != (x.seq+1)%256
	x.seq, x.counted = p.Seq, true
	return gap
}

// room reports whether a table of so many metrics may be added, and makes room if a node
// is idle.
func (n *Nodes) room(metrics int, key string, now time.Time) bool {
	for n.tables >= MaxTables || n.total+metrics > MaxAnnounced {
		oldest := ""
		for k, x := range n.nodes {
			if k != key && (oldest == "" || x.heard.Before(n.nodes[oldest].heard)) {
				oldest = k
			}
		}
		if oldest == "" || now.Sub(n.nodes[oldest].heard) < idleAfter {
			return false
		}
		n.forget(oldest, n.nodes[oldest])
	}
	return true
}

// forget removes a node and its devices.
func (n *Nodes) forget(key string, x *node) {
	n.drop(x.own)
	for _, t := range x.devices {
		n.drop(t)
	}
	delete(n.nodes, key)
}

// drop subtracts a table.
func (n *Nodes) drop(t *table) {
	if t != nil {
		n.tables--
		n.total -= len(t.names)
	}
}
