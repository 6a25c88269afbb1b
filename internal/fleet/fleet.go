// Package fleet simulates devices: their readings at a given time and their faults. A
// reading is a pure function of (seed, device, timestamp), so a fleet keeps no history, a
// run is reproducible byte for byte, and a reading need not be kept for a resend. The
// package sends nothing and uses no clock; package publisher does. Nothing here blocks.
package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Limits of a fleet.
const (
	MaxDevices  = 100_000
	MinInterval = 10 * time.Millisecond
)

// Options of a fleet. Devices is required; every other field has a usable zero value.
type Options struct {
	Devices int // 1 to MaxDevices
	// First is the number of the first device. Fleets with the same Seed and disjoint
	// numbers are parts of one larger fleet.
	First int
	Seed  uint64
	// Variance scales the noise of every sensor: 0 is none, 0.1 typical of a good sensor.
	Variance float64
	// Interval between two readings of a device; 0 means 5 s. It only determines the length
	// of faults, so that each lasts for several readings.
	Interval time.Duration
	// Buildings get the devices in contiguous blocks of equal size. None means A栋.
	Buildings []string
	// Mixed makes a fleet of five models with different sensors and units; otherwise every
	// device has the sensors of the contract in their usual units.
	Mixed bool
	// Clocks are the offsets of the first devices' clocks: positive ones are ahead.
	Clocks []time.Duration
	// Faults is the mean number of labelled faults per minute in the whole fleet.
	Faults float64
	// Rhythm gives the plant a week: shifts, quiet weekends, batches of work that the machines of
	// a room share, a climate that its devices share, and stops for maintenance. Rooms then have
	// several devices. Without it every device goes its own way.
	Rhythm bool
	// Anomalies is the mean number of labelled anomalies per device and day.
	Anomalies float64
	// Kinds are those that Anomalies are drawn from, in equal shares; none means AnomalyKinds.
	Kinds []telemetry.AnomalyKind
	// AnomaliesFrom is the time in ms since 1970 before which there is none.
	AnomaliesFrom int64
}

// Fleet is an immutable set of devices, safe for concurrent use.
type Fleet struct {
	devices   []device
	seed      uint64
	variance  float64
	buildings []string
	plan      faultPlan
	anomalies anomalyPlan
	rhythm    bool
}

// New returns a fleet.
func New(o Options) (*Fleet, error) {
	if o.Interval == 0 {
		o.Interval = 5 * time.Second
	}
	if len(o.Buildings) == 0 {
		o.Buildings = []string{"A栋"}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	f := &Fleet{
		devices:   make([]device, o.Devices),
		seed:      o.Seed,
		variance:  o.Variance,
		buildings: o.Buildings,
		plan:      newFaultPlan(o),
		anomalies: newAnomalyPlan(&o),
		rhythm:    o.Rhythm,
	}
	for b, name := range o.Buildings {
		from, to := f.Block(b)
		for i := from; i < to; i++ {
			f.devices[i] = newDevice(o.Seed, o.First+i, o.Mixed, place(name, i-from, to-from, o.perRoom()))
			if o.Rhythm {
				f.devices[i].join(o.Seed)
			}
		}
	}
	f.findRooms()
	for i, offset := range o.Clocks {
		f.devices[i].clock = offset.Milliseconds()
	}
	return f, nil
}

func (o Options) check() error {
	switch {
	case o.Devices < 1 || o.Devices > MaxDevices:
		return fmt.Errorf("devices: %d is not in 1..%d", o.Devices, MaxDevices)
	case o.First < 0:
		return errors.New("first device number: must not be negative")
	case o.Interval < MinInterval:
		return fmt.Errorf("interval: %s is shorter than %s", o.Interval, MinInterval)
	case !(o.Variance >= 0 && o.Variance <= 10):
		return fmt.Errorf("variance: %v is not in 0..10", o.Variance)
	case !(o.Faults >= 0 && o.Faults <= 1e6):
		return fmt.Errorf("faults: %v per minute is not in 0..1000000", o.Faults)
	case !(o.Anomalies >= 0 && o.Anomalies <= maxAnomalies):
		return fmt.Errorf("anomalies: %v per device and day is not in 0..%d", o.Anomalies, maxAnomalies)
	case len(o.Clocks) > o.Devices:
		return fmt.Errorf("clocks: %d for %d devices, want at most one per device", len(o.Clocks), o.Devices)
	case len(o.Buildings) > o.Devices:
		return fmt.Errorf("buildings: %d for %d devices, want at most one per device", len(o.Buildings), o.Devices)
	}
	for _, k := range o.Kinds {
		if !slices.Contains(AnomalyKinds, k) {
			return fmt.Errorf("anomaly kind %q: want one of %v", k, AnomalyKinds)
		}
	}
	return nil
}

// Len returns the number of devices.
func (f *Fleet) Len() int { return len(f.devices) }

// ID returns the device_id of device i, 0 ≤ i < Len.
func (f *Fleet) ID(i int) string { return f.devices[i].id }

// Timestamp returns the time by the clock of device i at t (ms since 1970).
func (f *Fleet) Timestamp(i int, t int64) int64 { return t + f.devices[i].clock }

// Buildings returns the names of the buildings.
func (f *Fleet) Buildings() []string { return f.buildings }

// Room returns the devices that share the room of device i: from ≤ i < to.
func (f *Fleet) Room(i int) (from, to int) { return f.devices[i].from, f.devices[i].to }

// findRooms notes which devices share a room; they are neighbours by number.
func (f *Fleet) findRooms() {
	for from := 0; from < len(f.devices); {
		to := from + 1
		for to < len(f.devices) && f.devices[to].loc == f.devices[from].loc {
			to++
		}
		for i := from; i < to; i++ {
			f.devices[i].from, f.devices[i].to = from, to
		}
		from = to
	}
}

// comparable reports whether a channel of d can be compared with those of its neighbours: it measures
// the room, and so do at least two of the others with that sensor, and more than half of them.
func (f *Fleet) comparable(d *device, c *channel) bool {
	others, alike := 0, 0
	for i := d.from; i < d.to; i++ {
		o := &f.devices[i]
		k := o.model.channel(c.name)
		if o.id == d.id || k < 0 {
			continue
		}
		others++
		if o.model.channels[k].room {
			alike++
		}
	}
	return c.room && alike >= 2 && 2*alike > others
}

// Block returns the devices of building b: from ≤ i < to.
func (f *Fleet) Block(b int) (from, to int) {
	n, k := len(f.devices), len(f.buildings)
	return b * n / k, (b + 1) * n / k
}

// DeviceID returns the id of a device by its number: device_007, device_12345.
func DeviceID(number int) string { return fmt.Sprintf("device_%03d", number) }

// Limits of a building's shape.
const (
	floors        = 10
	roomsPerFloor = 40
)

// perRoom returns how many devices a room has at least, where there are as many.
func (o *Options) perRoom() int {
	if o.Rhythm {
		return 5
	}
	return 1
}

// place puts device k of n in a building: floor by floor, at least perRoom to a room.
func place(building string, k, n, perRoom int) telemetry.Location {
	perFloor := max((n+floors-1)/floors, perRoom)
	rooms := max(1, min(perFloor/perRoom, roomsPerFloor))
	floor := 1 + k/perFloor
	room := 1 + k%perFloor*rooms/perFloor
	return telemetry.Location{
		Building: building,
		Floor:    floor,
		Room:     strconv.Itoa(floor*100 + room),
	}
}
