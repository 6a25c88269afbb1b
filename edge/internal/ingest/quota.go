package ingest

import (
	"industrial-iot-monitor/edge/internal/quota"
	"industrial-iot-monitor/internal/telemetry"
)

// overQuota refuses a message for now if one of its devices stores too much. c.mu is held.
func (c *Collector) overQuota(m *Message) *telemetry.Refusal {
	if c.o.Quota == nil {
		return nil
	}
	c.uses = c.uses[:0]
	if m.Ticket.Batch == nil {
		c.uses = append(c.uses, quota.Use{Device: m.Device, Bytes: len(m.Payload), Dead: m.Refusal != nil})
	} else {
		for i := range m.Entries {
			e := &m.Entries[i]
			c.uses = append(c.uses, quota.Use{Device: e.Device, Bytes: len(e.Payload), Dead: e.Refusal != nil})
		}
	}
	r := c.o.Quota.Take(m.Received, c.uses)
	if r == nil {
		return nil
	}
	if skipped, ok := c.overUse.Allow(); ok {
		c.log.Warn("a device sends more than it may", "err", r, "protocol", m.Ticket.Protocol, "skipped", skipped)
	}
	return r
}
