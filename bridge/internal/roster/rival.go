package roster

import (
	"fmt"
	"strings"
	"time"

	"industrial-iot-monitor/internal/wire"
)

// rivalSilence is how long an installation must say nothing before another one with the
// same gateway id counts as its successor.
const rivalSilence = 5 * time.Second

// rival is a second installation under a gateway's id.
type rival struct {
	instance string
	seen     time.Time
	// what is known of it, "" when there is none.
	what string
	// beats says that its heartbeats arrive here: then whatever is asked of the gateway is
	// answered by both. A rival that the hub keeps out does no harm.
	beats bool
	// successor is its latest heartbeat, which counts once the other is silent.
	successor wire.GatewayStatus
}

// heard reports whether the rival's heartbeats arrive.
func (v *rival) heard() bool { return v.beats && v.what != "" }

// doubled looks whether a heartbeat comes from a second installation, while the first is
// alive. If so it is not the gateway's. r.mu is held.
func (r *Roster) doubled(e *entry, s wire.GatewayStatus) bool {
	if len(e.beats) == 0 {
		return false
	}
	now := e.status()
	if s.Instance == "" || now.Instance == "" || s.Instance == now.Instance || time.Since(e.heard) >= rivalSilence {
		return false
	}
	if !e.rival.heard() {
		r.log.Error("two installations send heartbeats under one gateway id, it is not read until one of them is stopped",
			"gateway", s.Gateway, "instance", now.Instance, "building", now.Building, "other_instance", s.Instance, "other_building", s.Building)
	}
	first := !e.rival.heard()
	e.rival = rival{
		instance: strings.Clone(s.Instance), seen: time.Now(), beats: true, successor: s,
		what: fmt.Sprintf("instance %.40s (building %.80s) sends heartbeats too; nothing is read until one is stopped", s.Instance, s.Building),
	}
	if first {
		r.changed()
	}
	return true
}

// reconcile ends a quarrel when one side has been silent long enough. r.mu is held.
func (r *Roster) reconcile(gateway string, e *entry) {
	v := &e.rival
	if v.what == "" {
		return
	}
	gone := time.Since(v.seen) >= rivalSilence
	if !gone && (!v.beats || time.Since(e.heard) < rivalSilence) {
		return
	}
	if v.beats {
		left := e.status().Instance
		if !gone { // the other one is, and this is its successor
			left = v.instance
			e.heard = v.seen
			e.note(v.successor)
		}
		r.log.Warn("only one installation is left under a gateway id, it is read again", "gateway", gateway, "instance", left)
	}
	e.rival = rival{}
	r.changed()
}

// Refused records that the hub refused another installation under a gateway's id. It is
// shown for a few seconds, so that repeated refusals show as one.
func (r *Roster) Refused(gateway, instance, remote string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.gateways[gateway]
	if e == nil || e.rival.heard() {
		return
	}
	e.rival = rival{
		instance: instance, seen: time.Now(),
		what: fmt.Sprintf("instance %.40s at %.80s was refused by the hub", instance, remote),
	}
}

// Duplicate says what is known of a second installation under a gateway's id, "" when
// there is none.
func (r *Roster) Duplicate(gateway string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.gateways[gateway]; e != nil {
		return e.rival.what
	}
	return ""
}
