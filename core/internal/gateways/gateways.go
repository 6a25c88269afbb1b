// Package gateways judges the state of gateways by their heartbeats and ledgers on the hub
// and by the readings that arrive: whether a gateway is up, and its faults. Judge is pure:
// observations and clock in, verdicts out. Watchdog feeds a Judge from the hub; only its
// Run blocks.
package gateways

import (
	"fmt"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Kinds of alarms about a gateway.
const (
	Down      = "gateway_down"
	Full      = "gateway_buffer_full"
	Horizon   = "gateway_buffer_horizon"
	Ledger    = "gateway_ledger"
	Damaged   = "gateway_damaged"
	Duplicate = "gateway_duplicate"
	Clock     = "gateway_clock"
)

// OnTheWay is how long a reading may take from its gateway to here, in ms. Flows cannot
// be judged for a shorter silence.
const OnTheWay = 5_000

const (
	// doubt is the silence after which a gateway's devices are not judged until it is
	// clear whether the gateway is down.
	doubt = 3_000
	// grace is the time gateways have to reconnect after our own start and after an
	// outage of the hub, in addition to the silence that is always allowed.
	grace = 10_000
	// unheard is the silence allowed to a gateway that never sent a heartbeat.
	unheard = 60_000
	// settle is how long a finding that may be transient must hold.
	settle = 5_000
	// horizonSettle is the same for a rate, which fluctuates.
	horizonSettle = 60_000
	// horizonBack times the limit is where the horizon is long enough again.
	horizonBack = 1.25
	// damageShown is how long damage is shown after it last grew.
	damageShown = 3_600_000
	// clockOff is how far a gateway's clock may be off ours, in ms.
	clockOff = 60_000
	// maxGateways bounds the gateways that other hub clients can make a Judge keep.
	maxGateways = 10_000
)

// Presence is whether a gateway is up.
type Presence uint8

// Presences.
const (
	Unknown  Presence = iota // the hub is unreachable, or no heartbeat has arrived yet
	Up                       // heartbeats arrive
	Doubtful                 // silent, but not for long enough
	Gone                     // silent for too long
)

// Options of a Judge. Silence is required.
type Options struct {
	// Silence is how long heartbeats may be missing before a gateway is down.
	Silence time.Duration
	// Horizon is the time for which a gateway's buffer should last; 0 for any.
	Horizon time.Duration
}

// Verdict is the state of a gateway at one moment.
type Verdict struct {
	Gateway  string
	Building string
	Presence Presence
	// Heard is the time, by the clock, of the last sign of life; now for an unexpected
	// gateway.
	Heard int64
	// Back is the time, by the clock, since which gateway and hub have been reachable
	// without a break; the Judge's start if neither was ever away.
	Back int64
	// Flows is whether the readings that the gateway accepts arrive here: while they do
	// not, a device's silence may be due to Kafka, the bridge or a backlog.
	Flows    bool
	Findings []Finding // of conditions that can be judged now
}

// Finding is one condition and whether it holds.
type Finding struct {
	Type      string
	Holds     bool
	Severity  telemetry.Severity
	Threshold telemetry.Threshold
	Value     float64
	// SilentSince is when it was last heard of, in ms, if the condition is its silence and that is
	// known.
	SilentSince int64
	Message     string // while it holds
}

// Judge keeps the last signs of life of every gateway. It is not safe for concurrent use.
// Times are ms by the caller's clock.
type Judge struct {
	silence, horizon int64
	quiet            int64 // silence counts from here at the earliest
	linked           bool
	gateways         map[string]*gateway
}

type gateway struct {
	name     string
	beat     bool // a heartbeat has arrived
	heard    int64
	back     int64
	live     int64 // when a live reading last arrived
	grew     int64 // when the gateway last reported more accepted readings, 0: never
	status   wire.GatewayStatus
	statusAt int64
	ledger   wire.GatewayLedger
	ledgerAt int64 // 0: none

	damage  uint64 // of the last ledger
	damaged int64  // when damage last grew, 0: never
	full    spell
	horizon spell
	differs spell
	clock   spell
}

// New returns a Judge that starts at now.
func New(o Options, now int64) *Judge {
	return &Judge{
		silence: o.Silence.Milliseconds(), horizon: o.Horizon.Milliseconds(),
		quiet: now + grace, gateways: make(map[string]*gateway),
	}
}

// Link sets whether the hub is reachable. While it is not, silence means nothing.
func (j *Judge) Link(up bool, now int64) {
	if up && !j.linked {
		j.quiet = max(j.quiet, now+grace)
		for _, g := range j.gateways {
			g.back = now // the bridge may have been away too
		}
	}
	j.linked = up
}

// Expect adds a gateway that records name, so that its silence is a fault.
func (j *Judge) Expect(name string) {
	j.get(name)
}

// Names returns the names of all gateways.
func (j *Judge) Names() []string {
	names := make([]string, 0, len(j.gateways))
	for name := range j.gateways {
		names = append(names, name)
	}
	return names
}

// Alive records a live reading that arrived at a time, a sign of life. It does not make
// the gateway an expected one.
func (j *Judge) Alive(name string, at int64) {
	if g := j.gateways[name]; g != nil {
		g.live = max(g.live, at)
		g.sign(at, j)
	}
}

// Live returns when a live reading of each gateway last arrived.
func (j *Judge) Live() map[string]int64 {
	out := make(map[string]int64)
	for name, g := range j.gateways {
		if g.live != 0 {
			out[name] = g.live
		}
	}
	return out
}

// Heartbeat records a heartbeat that arrived now.
func (j *Judge) Heartbeat(s wire.GatewayStatus, now int64) {
	g := j.get(s.Gateway)
	if g == nil {
		return
	}
	g.sign(now, j)
	if g.beat && s.Epoch == g.status.Epoch && s.Accepted > g.status.Accepted {
		g.grew = now
	}
	if s.DamagedBytes > 0 && (!g.beat || s.Epoch != g.status.Epoch || s.DamagedBytes > g.status.DamagedBytes) {
		g.damaged = now
	}
	g.beat, g.status, g.statusAt = true, s, now
	g.full.see(s.BufferFull, now)
	g.clock.see(abs(s.Time-now) > clockOff, now)
	left := s.HorizonSeconds * 1000
	switch {
	case j.horizon == 0 || left < 0:
		g.horizon.see(false, now)
	case left < j.horizon:
		g.horizon.see(true, now)
	case float64(left) > float64(j.horizon)*horizonBack:
		g.horizon.see(false, now)
	}
}

// Ledger records a ledger that arrived now.
func (j *Judge) Ledger(l wire.GatewayLedger, now int64) {
	g := j.get(l.Gateway)
	if g == nil {
		return
	}
	damage := l.Total.Damaged + l.Total.DamagedPacks
	if g.ledgerAt != 0 && damage > g.damage {
		g.damaged = now
	}
	g.damage, g.ledger, g.ledgerAt = damage, l, now
	g.differs.see(l.Difference != 0, now)
}

func (j *Judge) get(name string) *gateway {
	if g := j.gateways[name]; g != nil {
		return g
	}
	if len(j.gateways) >= maxGateways || !telemetry.ValidDeviceID(name) {
		return nil
	}
	g := &gateway{name: name, back: j.quiet - grace}
	j.gateways[name] = g
	return g
}

// sign records a sign of life.
func (g *gateway) sign(at int64, j *Judge) {
	if at <= g.heard {
		return
	}
	if at-max(g.heard, j.quiet) > j.silence {
		g.back = at
	}
	g.heard = at
}

// Check returns the verdict about a gateway at now, and whether the gateway is expected.
func (j *Judge) Check(name string, now int64) (Verdict, bool) {
	g := j.gateways[name]
	if g == nil {
		// It is not expected, so it is not missing.
		v := Verdict{Gateway: name, Presence: Up, Heard: now, Flows: true, Back: j.quiet - grace}
		if !j.linked || now < j.quiet {
			v.Presence = Unknown
		}
		return v, false
	}
	v := Verdict{
		Gateway: name, Building: g.status.Building, Heard: g.heard, Flows: g.grew == 0 || g.grew-g.live <= OnTheWay, Back: g.back, Presence: j.presence(g, now),
	}
	v.Findings = j.findings(g, v.Presence, now)
	return v, true
}

func (j *Judge) presence(g *gateway, now int64) Presence {
	silent := now - max(g.heard, j.quiet)
	allowed := j.silence
	if !g.beat {
		allowed = max(allowed, unheard) // only records name it
	}
	switch {
	case !j.linked:
		return Unknown
	case silent > allowed:
		return Gone
	case now-g.heard <= doubt:
		return Up
	case g.heard == 0 || now < j.quiet:
		return Unknown
	default:
		return Doubtful
	}
}

func (j *Judge) findings(g *gateway, p Presence, now int64) []Finding {
	var out []Finding
	add := func(f Finding) { out = append(out, f) }
	if p == Up || p == Gone {
		add(j.down(g, p, now))
	}
	if p != Up {
		return out // its last heartbeat is out of date
	}
	if g.beat && now-g.statusAt <= doubt {
		g.fromStatus(j, now, add)
	}
	if g.ledgerAt != 0 && now-g.ledgerAt <= settle {
		g.fromLedger(now, add)
	}
	if g.damaged != 0 || g.ledgerAt != 0 {
		add(g.damageFinding(now))
	}
	return out
}

func (j *Judge) down(g *gateway, p Presence, now int64) Finding {
	silent := float64(now-max(g.heard, j.quiet)) / 1000
	return Finding{
		Type: Down, Holds: p == Gone, Severity: telemetry.SeverityCritical,
		Threshold: limit("heartbeat_age_seconds", ">", float64(j.silence)/1000), Value: max(silent, 0), SilentSince: g.heard,
		Message: fmt.Sprintf("no heartbeat from gateway %s for %s", g.name, time.Duration(j.silence)*time.Millisecond),
	}
}

func (g *gateway) fromStatus(j *Judge, now int64, add func(Finding)) {
	s := &g.status
	used := 100.0
	if s.BufferLimit > 0 {
		used = 100 * float64(s.BufferBytes) / float64(s.BufferLimit)
	}
	add(Finding{
		Type: Full, Holds: g.full.holds(now, 0), Severity: telemetry.SeverityCritical,
		Threshold: limit("buffer_percent", ">=", 100), Value: used,
		Message: fmt.Sprintf("gateway %s refuses readings: its buffer is full", g.name),
	})
	if j.horizon > 0 {
		left := float64(s.HorizonSeconds) / 3600
		add(Finding{
			Type: Horizon, Holds: g.horizon.holds(now, horizonSettle), Severity: telemetry.SeverityLow,
			Threshold: limit("buffer_horizon_hours", "<", float64(j.horizon)/3_600_000), Value: left,
			Message: fmt.Sprintf("gateway %s has buffer for an outage of %.1f h at this rate", g.name, left),
		})
	}
	off := float64(s.Time-g.statusAt) / 1000
	add(Finding{
		Type: Clock, Holds: g.clock.holds(now, settle), Severity: telemetry.SeverityMedium,
		Threshold: limit("clock_offset_seconds", ">", clockOff/1000), Value: off,
		Message: fmt.Sprintf("the clock of gateway %s is off by %.0f s", g.name, off),
	})
}

func (g *gateway) fromLedger(now int64, add func(Finding)) {
	l := &g.ledger
	add(Finding{
		Type: Ledger, Holds: g.differs.holds(now, settle), Severity: telemetry.SeverityCritical,
		Threshold: limit("ledger_difference", "!=", 0), Value: float64(l.Difference),
		Message: fmt.Sprintf("the ledger of gateway %s does not balance: %d readings", g.name, l.Difference),
	})
	second := 0.0
	if l.Duplicate != "" {
		second = 1
	}
	add(Finding{
		Type: Duplicate, Holds: l.Duplicate != "", Severity: telemetry.SeverityCritical,
		Threshold: limit("installations", ">", 1), Value: 1 + second,
		Message: fmt.Sprintf("a second installation uses gateway id %s and is refused: %s", g.name, l.Duplicate),
	})
}

func (g *gateway) damageFinding(now int64) Finding {
	return Finding{
		Type: Damaged, Holds: g.damaged != 0 && now-g.damaged < damageShown, Severity: telemetry.SeverityHigh,
		Threshold: limit("damaged_readings", ">", 0), Value: float64(g.ledger.Total.Damaged),
		Message: fmt.Sprintf("the storage of gateway %s was damaged: %d readings and %d packs are lost, %d bytes were not recovered",
			g.name, g.ledger.Total.Damaged, g.ledger.Total.DamagedPacks, g.status.DamagedBytes),
	}
}

func limit(parameter, operator string, value float64) telemetry.Threshold {
	return telemetry.Threshold{Parameter: parameter, Operator: operator, Value: value}
}

// spell is how long a condition has held.
type spell struct{ since int64 }

func (s *spell) see(holds bool, now int64) {
	switch {
	case !holds:
		s.since = 0
	case s.since == 0:
		s.since = now
	}
}

// holds reports whether the condition has held for that long.
func (s *spell) holds(now, long int64) bool { return s.since != 0 && now-s.since >= long }

func abs(v int64) int64 { return max(v, -v) }
