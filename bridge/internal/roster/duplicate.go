package roster

import (
	"fmt"
	"time"

	"industrial-iot-monitor/internal/wire"
)

// successionAfter is how long an installation must be silent before another one with the
// same gateway id counts as its successor.
const successionAfter = 5 * time.Second

// duplicate is a second installation under a gateway's id. The zero value is none.
type duplicate struct {
	seen time.Time
	text string // what Roster.Duplicate returns
	// beats is set when its heartbeats arrive: then both installations answer every request
	// to the gateway. A duplicate that the hub refuses does no harm.
	beats bool
	// latest is its latest heartbeat, which counts once the other one is silent.
	latest wire.GatewayStatus
}

// checkDuplicate reports whether a heartbeat comes from a second installation while the
// first is alive. If so it does not count. r.mu is held.
func (r *Roster) checkDuplicate(e *entry, s wire.GatewayStatus) bool {
	if len(e.beats) == 0 {
		return false
	}
	now := e.status()
	if s.Instance == "" || now.Instance == "" || s.Instance == now.Instance || time.Since(e.heard) >= successionAfter {
		return false
	}
	first := !e.duplicate.beats
	e.duplicate = duplicate{
		seen: time.Now(), beats: true, latest: s,
		text: fmt.Sprintf("instance %.40s (building %.80s) sends heartbeats too; nothing is read until one is stopped", s.Instance, s.Building),
	}
	if first {
		// The instances are left out: they serve as passwords at the hub.
		r.log.Error("duplicate gateway id, its packs are not read until one installation is stopped",
			"gateway", s.Gateway, "building", now.Building, "other_building", s.Building)
		r.notify()
	}
	return true
}

// settleDuplicate ends a duplicate when one side has been silent long enough. r.mu is held.
func (r *Roster) settleDuplicate(gateway string, e *entry) {
	d := &e.duplicate
	if d.text == "" {
		return
	}
	gone := time.Since(d.seen) >= successionAfter
	if !gone && (!d.beats || time.Since(e.heard) < successionAfter) {
		return
	}
	if d.beats {
		if !gone { // the other one is, and this is its successor
			e.heard = d.seen
			e.note(d.latest)
		}
		r.log.Warn("duplicate gateway id resolved, reading its packs again", "gateway", gateway, "building", e.status().Building)
	}
	e.duplicate = duplicate{}
	r.notify()
}

// Refused records that the hub refused another installation under a gateway's id. It is
// shown for a few seconds, so that repeated refusals show as one.
func (r *Roster) Refused(gateway, instance, remote string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.gateways[gateway]
	if e == nil || e.duplicate.beats {
		return
	}
	e.duplicate = duplicate{
		seen: time.Now(),
		text: fmt.Sprintf("instance %.40s at %.80s was refused by the hub", instance, remote),
	}
}

// Duplicate describes the second installation under a gateway's id, "" when there is none.
func (r *Roster) Duplicate(gateway string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.gateways[gateway]; e != nil {
		return e.duplicate.text
	}
	return ""
}
