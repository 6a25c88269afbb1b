package replay

import (
	"strings"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/telemetry"
)

// player is the alarm engine with the rooms and the clock that core gives it.
type player struct {
	o       Options
	result  Result
	devices map[string]*device
	alarms  map[string]*Occurrence // the newest by alert id
	rooms   *rooms.Table
	clock   int64 // ms, when the newest record was written
	ticked  int64 // clock of the last tick

	view    alarm.RoomView
	changes []alarm.Transition
}

type device struct {
	state alarm.State
	clock clock.Clock
	room  rooms.Device
	// neighbour is set for a device that is only there to be compared with.
	neighbour bool
}

func newPlayer(o Options) *player {
	p := &player{o: o, result: Result{Sensors: make(map[string]bool)}, devices: make(map[string]*device), alarms: make(map[string]*Occurrence), rooms: rooms.New()}
	p.rooms.Compare(o.Rules.RoomParameters())
	return p
}

// advance sets the clock to when m was written.
func (p *player) advance(m *sarama.ConsumerMessage) {
	written := m.Timestamp.UnixMilli()
	if p.result.Since == 0 {
		p.result.Since = written
	}
	if written > p.clock {
		p.clock = written
		p.tick()
	}
}

// wants reports whether m matters. The other devices of a room count even when one device
// is asked for.
func (p *player) wants(m *sarama.ConsumerMessage) bool {
	return p.o.Device == "" || string(m.Key) == p.o.Device || p.o.Rules.NeedsRoom()
}

// take plays one record; ok is false of one that is no reading.
func (p *player) take(rec record, ok bool) {
	if !ok {
		p.result.Refused++
		return
	}
	r := rec.in.Reading
	d := p.device(r.DeviceID)
	in, _ := rec.place(&d.clock)
	if p.o.Rules.NeedsRoom() && in.Waited == 0 {
		p.rooms.Put(&d.room, in.PlantTime(), r)
		in.Room = p.rooms.View(&d.room, &p.view)
	}
	if d.neighbour {
		p.step(d, in) // its alarms decide whether its values count
		return
	}
	p.result.Readings++
	for i := range r.Sensors {
		if name := r.Sensors[i].Name; !p.result.Sensors[name] {
			p.result.Sensors[strings.Clone(name)] = true // it shares the reading's text
		}
	}
	p.step(d, in)
	p.note()
}

func (p *player) step(d *device, in alarm.Input) {
	d.state, p.changes, _ = p.o.Rules.Step(d.state, in, p.changes[:0])
	p.rooms.Mark(&d.room, &d.state)
}

func (p *player) device(id string) *device {
	d := p.devices[id]
	if d == nil {
		d = &device{neighbour: p.o.Device != "" && id != p.o.Device}
		p.devices[strings.Clone(id)] = d
	}
	return d
}

// tick runs the delays that are over by the clock, at most once a second as in core.
func (p *player) tick() {
	if p.clock-p.ticked < 1000 {
		return
	}
	p.ticked = p.clock
	if p.o.Rules.NeedsRoom() {
		p.rooms.Rebuild(p.clock, nil)
	}
	for _, d := range p.devices {
		if due := d.state.Due(); due != 0 && due <= p.clock {
			d.state, p.changes, _ = p.o.Rules.Tick(d.state, p.clock, p.changes[:0])
			p.rooms.Mark(&d.room, &d.state)
			if !d.neighbour {
				p.note()
			}
		}
	}
}

// note records the changes of each alarm. Without acknowledgements an alarm that returns
// keeps its id; each occurrence is listed.
func (p *player) note() {
	for i := range p.changes {
		a := &p.changes[i].Alert
		known := p.alarms[a.AlertID]
		switch {
		case known == nil:
			known = &Occurrence{Start: a.RaisedAt}
		case a.Event == telemetry.EventRepeated:
			known = &Occurrence{Start: a.Timestamp}
		default:
			known.Alert = *a
			continue
		}
		known.Alert = *a
		p.alarms[a.AlertID] = known
		p.result.Raised = append(p.result.Raised, known)
	}
}
