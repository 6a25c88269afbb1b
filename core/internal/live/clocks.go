package live

import (
	"strings"

	"industrial-iot-monitor/core/internal/clock"
)

const (
	// maxClocks bounds the clocks kept, about 10 MB. Beyond it they are learned again.
	maxClocks = 50_000
	// clocksIdle is the time in ms without packs sent ahead after which clocks are
	// forgotten: the outage is over.
	clocksIdle = 60_000
)

// clocks are those of the devices whose readings were sent ahead. They are learned from
// these alone: a pack goes to one core of several, and not to the owner of its devices.
type clocks struct {
	devices map[string]*clock.Clock
	used    int64 // ms by the clock
}

// get returns the clock of a device at now, in ms by the clock.
func (c *clocks) get(device string, now int64) *clock.Clock {
	if now-c.used > clocksIdle || len(c.devices) >= maxClocks && c.devices[device] == nil {
		c.devices = nil
	}
	c.used = now
	found := c.devices[device]
	if found == nil {
		if c.devices == nil {
			c.devices = make(map[string]*clock.Clock)
		}
		found = new(clock.Clock)
		c.devices[strings.Clone(device)] = found // a pack's strings share its bytes
	}
	return found
}
