package fanout

import (
	"sync"

	"industrial-iot-monitor/portal/internal/state"
)

// event is a device with a new reading.
type event struct {
	device *state.Device // for ID and Index, which never change
	seq    uint64        // of the reading, see state.Device.Seq
	folded int           // earlier readings that it replaced in the inbox
}

// inbox collects changes of the model until the router distributes them. Its lock is the
// only one of the fan-out that is taken while the model is locked; it is held for a few
// nanoseconds per reading, however many clients there are. Readings are conflated, so the
// inbox is bounded by the number of devices even if the router falls behind.
type inbox struct {
	ready chan struct{} // there is something

	mu     sync.Mutex
	events []event
	at     []uint32 // by device number: 1 + its place in events; 0: not in it
	alerts []*state.Alert
	gone   []*state.Device // removed
	seq    uint64          // of the newest reading of the model
}

func newInbox() inbox { return inbox{ready: make(chan struct{}, 1)} }

// addReadings notes new readings, or only the newest seq without subscriptions.
func (in *inbox) addReadings(updated []*state.Device, wanted bool) {
	in.mu.Lock()
	in.seq = updated[len(updated)-1].Seq()
	if !wanted {
		in.mu.Unlock()
		return
	}
	for _, d := range updated {
		for d.Index >= len(in.at) {
			in.at = append(in.at, 0)
		}
		if place := in.at[d.Index]; place > 0 {
			e := &in.events[place-1]
			e.seq = d.Seq()
			e.folded++
			continue
		}
		in.events = append(in.events, event{device: d, seq: d.Seq()})
		in.at[d.Index] = uint32(len(in.events))
	}
	in.mu.Unlock()
	poke(in.ready)
}

func (in *inbox) addRemoved(d *state.Device) {
	in.mu.Lock()
	in.gone = append(in.gone, d)
	in.mu.Unlock()
	poke(in.ready)
}

func (in *inbox) addAlert(a *state.Alert) {
	in.mu.Lock()
	in.alerts = append(in.alerts, a)
	in.mu.Unlock()
	poke(in.ready)
}

// contents are those of an inbox: every reading up to seq, and after these the devices that
// were removed.
type contents struct {
	events []event
	alerts []*state.Alert
	gone   []*state.Device
	seq    uint64
}

// drain empties the inbox. spare becomes its next list of events.
func (in *inbox) drain(spare []event) contents {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := contents{in.events, in.alerts, in.gone, in.seq}
	in.events, in.alerts, in.gone = spare[:0], nil, nil
	for i := range out.events {
		in.at[out.events[i].device.Index] = 0
	}
	return out
}

// drainAlerts empties the inbox of alerts alone.
func (in *inbox) drainAlerts() []*state.Alert {
	in.mu.Lock()
	defer in.mu.Unlock()
	alerts := in.alerts
	in.alerts = nil
	return alerts
}

// poke fills a channel unless it is full already.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
