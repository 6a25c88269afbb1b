package report

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// Figures are what a report says of alarms and buildings. Times are ms since 1970, durations ms, shares
// 0 to 1. What cannot be known is null.
type Figures struct {
	// Raised are the alarms that were shown to operators, each time that they were raised: ISA-18.2 counts
	// annunciations.
	Raised  Counts  `json:"raised"`
	Hidden  Hidden  `json:"hidden"`
	PerHour float64 `json:"per_hour"` // raised, for one operator's position
	Target  int     `json:"target"`   // per hour

	Floods     []Flood `json:"floods"`
	FloodMS    int64   `json:"flood_ms"`
	FloodShare float64 `json:"flood_share"`

	// Acknowledged are alarms raised in the range that somebody has acknowledged by now.
	Acknowledged      int    `json:"acknowledged"`
	NeverAcknowledged int    `json:"never_acknowledged"`
	AckMedianMS       *int64 `json:"ack_median_ms"` // null: nobody acknowledged any
	AckP90MS          *int64 `json:"ack_p90_ms"`

	StandingCount int           `json:"standing_count"` // held for more than 24 h at the end
	Standing      []Event       `json:"standing"`
	BadActors     []Actor       `json:"bad_actors"`
	Chattering    []Actor       `json:"chattering"`
	CriticalCount int           `json:"critical_count"`
	Criticals     []Event       `json:"criticals"`
	Buildings     []BuildingRow `json:"buildings"`
}

// Counts are alarms by severity.
type Counts struct {
	Total    int `json:"total"`
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
}

func (c *Counts) add(s telemetry.Severity) {
	c.Total++
	switch s {
	case telemetry.SeverityCritical:
		c.Critical++
	case telemetry.SeverityHigh:
		c.High++
	case telemetry.SeverityMedium:
		c.Medium++
	default: // as the priority of an unknown one
		c.Low++
	}
}

// Hidden are alarms that were recorded and not shown to operators.
type Hidden struct {
	Suppressed int `json:"suppressed"` // another alarm explains them
	Historical int `json:"historical"` // found in late readings
	Maintained int `json:"maintained"` // their device was under maintenance
}

// Actor is an alarm type of a device, and how often it was raised.
type Actor struct {
	DeviceID  string             `json:"device_id"`
	Building  string             `json:"building"`
	AlertType string             `json:"alert_type"`
	Rule      string             `json:"rule,omitempty"`
	Severity  telemetry.Severity `json:"severity"`
	Count     int                `json:"count"`
	Share     float64            `json:"share"` // of all that were raised
}

// Event is one alarm with the times of its life; 0: not yet.
type Event struct {
	AlertID        string             `json:"alert_id"`
	DeviceID       string             `json:"device_id"`
	Building       string             `json:"building"`
	AlertType      string             `json:"alert_type"`
	Severity       telemetry.Severity `json:"severity"`
	RaisedAt       int64              `json:"raised_at"`
	AcknowledgedAt int64              `json:"acknowledged_at"`
	EndedAt        int64              `json:"ended_at"`
}

func eventOf(a *Alarm, since int64) Event {
	return Event{a.ID, a.Device, a.Building, a.Type, a.Severity, since, a.AcknowledgedAt, a.EndedAt}
}

// BuildingRow is a row of the table of buildings.
type BuildingRow struct {
	Building string `json:"building"`
	Devices  int    `json:"devices"` // that were there in the range
	// Availability is the share of the devices' time without an alarm device_offline; null: no device is known.
	Availability *float64 `json:"availability"`
	Raised       Counts   `json:"raised"`
	// TemperatureMean and TemperatureMax are of the mean of the building's devices, in °C.
	TemperatureMean *float64 `json:"temperature_mean"`
	TemperatureMax  *float64 `json:"temperature_max"`
	// Completeness is the share of the readings, as many as the devices' intervals let expect, that the
	// history holds, measured on Sampled devices.
	Completeness *float64 `json:"completeness"`
	Sampled      int      `json:"sampled"`
	// GatewaySilentMS is how long its gateways were silent, by the alarm gateway_down.
	GatewaySilentMS int64 `json:"gateway_silent_ms"`
}

// events keeps the oldest that were added, and counts all.
type events struct {
	items []Event
	count int
}

func (l *events) add(e Event) {
	l.count++
	l.items = append(l.items, e)
	if len(l.items) >= 2*Most {
		l.items = l.sorted()
	}
}

func (l *events) sorted() []Event {
	out := append([]Event{}, l.items...)
	slices.SortFunc(out, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.RaisedAt, b.RaisedAt), cmp.Compare(a.AlertID, b.AlertID))
	})
	return out[:min(len(out), Most)]
}
