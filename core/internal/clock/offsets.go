package clock

import (
	"maps"
	"sync"
)

// step is the change of an offset in ms that Offsets notes.
const step = 1_000

// maxOffsets bounds the devices of Offsets, about 10 MB. Beyond it, offsets are unknown.
const maxOffsets = 100_000

// Offsets are the offsets of the devices whose clocks are wrong, as those who process the
// devices' readings in order found them. Others, who see some of the readings, read a clock
// from here. It is safe for concurrent use.
type Offsets struct {
	mu      sync.RWMutex
	devices map[string]int64
	changed map[string]int64 // since the last call of Changes; 0: the clock is right
}

// NewOffsets returns an Offsets without any.
func NewOffsets() *Offsets {
	return &Offsets{devices: make(map[string]int64), changed: make(map[string]int64)}
}

// Clock returns the clock of a device.
func (o *Offsets) Clock(device string) Clock {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return Restore(o.devices[device])
}

// Set notes the offset of a device, 0 for a right clock.
func (o *Offsets) Set(device string, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.devices[device]
	if (was == 0) == (offset == 0) && max(was-offset, offset-was) < step {
		return
	}
	if o.put(device, offset) {
		o.changed[device] = offset
	}
}

// Apply notes what another instance found.
func (o *Offsets) Apply(offsets map[string]int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for device, offset := range offsets {
		o.put(device, offset)
	}
}

// put stores an offset if there is room. o.mu is held.
func (o *Offsets) put(device string, offset int64) bool {
	if offset == 0 {
		delete(o.devices, device)
		return true
	}
	if _, known := o.devices[device]; !known && len(o.devices) >= maxOffsets {
		return false
	}
	o.devices[device] = offset
	return true
}

// Changes returns what was set since the last call.
func (o *Offsets) Changes() map[string]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.changed) == 0 {
		return nil
	}
	changes := o.changed
	o.changed = make(map[string]int64)
	return changes
}

// All returns every offset.
func (o *Offsets) All() map[string]int64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return maps.Clone(o.devices)
}
