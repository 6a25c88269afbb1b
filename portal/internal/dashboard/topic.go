package dashboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// kind is what a topic is about. It is also what its metrics are counted under.
type kind uint8

const (
	kindReply kind = iota // hello, ack, error, pong: no topic
	kindFleet
	kindSensor
	kindFact
	kindDevice
	kindBuilding
	kindAlerts
	kindStats
	kindGateways
	kindSensors
	kinds // how many there are
)

var kindNames = [kinds]string{"reply", "fleet", "sensor", "fact", "device", "building", "alerts", "stats", "gateways", "sensors"}

const maxBuildingName = 256

// topicName is a topic as a client names it, parsed.
type topicName struct {
	name string
	kind kind
	arg  string // a device's id, or the name of a building, sensor or fact
}

// parseTopic reads a topic's name. The error is always a *RequestError.
func parseTopic(name string) (topicName, error) {
	head, arg, slash := strings.Cut(name, "/")
	t := topicName{name: name, arg: arg}
	if !slash {
		switch head {
		case "fleet":
			t.kind = kindFleet
		case "alerts":
			t.kind = kindAlerts
		case "stats":
			t.kind = kindStats
		case "gateways":
			t.kind = kindGateways
		case "sensors":
			t.kind = kindSensors
		default:
			return t, unknownTopic(name)
		}
		return t, nil
	}
	switch head {
	case "device":
		if !telemetry.ValidDeviceID(arg) {
			return t, &RequestError{codeBadDevice, fmt.Sprintf("%q is not a device id; want 1 to 64 of A-Z a-z 0-9 _ -", cut(arg))}
		}
		t.kind = kindDevice
	case "building":
		if arg == "" || len(arg) > maxBuildingName || !utf8.ValidString(arg) {
			return t, unknownTopic(name)
		}
		t.kind = kindBuilding
	case "sensor":
		if !telemetry.ValidSensorName(arg) {
			return t, unknownTopic(name)
		}
		t.kind = kindSensor
	case "fact":
		if facts[arg] == nil {
			return t, unknownTopic(name)
		}
		t.kind = kindFact
	default:
		return t, unknownTopic(name)
	}
	return t, nil
}

func unknownTopic(name string) error {
	return &RequestError{codeUnknownTopic, fmt.Sprintf("there is no topic %q; want fleet, alerts, stats, gateways, sensors, device/<id>, building/<name>, fact/<%s> or sensor/<name>, whose name is 1 to 32 of a-z 0-9 _, a letter first", cut(name), strings.Join(factNames(), "|"))}
}

// topic is a subject that clients follow. Everything in it is guarded by Publisher.mu; what
// frames hold never changes.
type topic struct {
	topicName

	quoted []byte // the name as JSON
	subs   []*subscription
	seq    uint64   // of the newest delta
	log    deltaLog // the newest deltas

	snapshot *snapshot
	made     uint64 // snapshots so far
	wanted   bool   // a snapshot is to be made
	dirty    bool   // of kindDevice: there is a reading to be sent
	lastSent int64  // when the last delta was made, ms; of devices, fleet, sensors and facts
}

// snapshot is a topic's whole state as frames.
type snapshot struct {
	number uint64 // counted by topic.made
	seq    uint64 // of the last delta that is in it
	at     int64  // ms
	frames [][]byte
}

// Bounds of the deltas that are kept for clients that are behind. Of topics whose deltas
// are whole in themselves the newest is enough.
const (
	stateDeltas     = 8
	stateDeltaBytes = 1 << 20
)

func (p *Publisher) newTopic(n topicName) *topic {
	quoted, err := json.Marshal(n.name)
	if err != nil { // strings always marshal
		quoted = []byte(`""`)
	}
	t := &topic{topicName: n, quoted: quoted, seq: p.retired}
	switch n.kind {
	case kindAlerts:
		t.log.limit(p.limits.Alerts, p.limits.AlertBytes)
	case kindFleet, kindSensor, kindFact:
		t.log.limit(stateDeltas, stateDeltaBytes)
	default:
		t.log.limit(1, 0)
	}
	return t
}

// lasting reports whether the topic is kept without subscribers.
func (t *topic) lasting() bool {
	return t.kind != kindDevice && t.kind != kindBuilding && t.kind != kindSensor && t.kind != kindFact
}

// whole reports whether each delta is complete in itself, so that only the newest counts.
func (t *topic) whole() bool {
	return t.kind != kindFleet && t.kind != kindSensor && t.kind != kindFact && t.kind != kindAlerts
}

// publish appends a delta. The caller wakes the subscribers.
func (t *topic) publish(frame []byte, received int64) {
	t.seq++
	t.log.push(entry{seq: t.seq, frame: frame, received: received})
}

// current reports whether the snapshot may be given to a client that asks now.
func (t *topic) current(now int64) bool {
	s := t.snapshot
	return s != nil && s.seq == t.seq && (!t.whole() || now-s.at < 1000)
}

// usable reports whether the snapshot serves sub: it is not older than the client asked for,
// and the deltas after it are at hand.
func (t *topic) usable(sub *subscription) bool {
	s := t.snapshot
	return s != nil && s.number >= sub.want && s.seq+1 >= t.log.first(t.seq)
}

func (t *topic) add(sub *subscription) {
	sub.place = len(t.subs)
	t.subs = append(t.subs, sub)
}

func (t *topic) remove(sub *subscription) {
	last := len(t.subs) - 1
	t.subs[sub.place] = t.subs[last]
	t.subs[sub.place].place = sub.place
	t.subs[last] = nil
	t.subs = t.subs[:last]
}
