package web

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/report"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

const (
	usualReport   = 8 * 3_600_000
	longestReport = 31 * 24 * 3_600_000
)

// plantReport is a report of a range. Times are ms since 1970.
type plantReport struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Until is the end of what it is made of: to, or now if that is earlier.
	Until    int64  `json:"until"`
	Building string `json:"building"` // empty: the plant
	Time     int64  `json:"time"`     // when it was made
	report.Figures

	Shelved      []putAside `json:"shelved"`        // in the range, or at its end
	OutOfService []putAside `json:"out_of_service"` // likewise
	// Complete: nothing older or newer is missing in the figures of alarms.
	Complete bool `json:"complete"`
	// Since is when the oldest entry of the audit trail was recorded that the database has, 0: there is none.
	Since   int64         `json:"since"`
	Offsets []reportReach `json:"offsets"`
	Unknown []unknown     `json:"unknown"`
}

// putAside is an alarm that an operator shelved or took out of service. Without AlertType it is all
// alarms of a device that is under maintenance.
type putAside struct {
	DeviceID  string `json:"device_id"`
	Building  string `json:"building"`
	AlertType string `json:"alert_type"`
	By        string `json:"by"`
	At        int64  `json:"at"`
	Until     int64  `json:"until"` // of shelving that has not ended; 0: it is not known
	Reason    string `json:"reason"`
}

// reportReach names records in Kafka that a report is made of.
type reportReach struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	First     *int64 `json:"first"` // offset of the range's first entry of the audit trail; null: not known
	Next      int64  `json:"next"`  // offset of the first record that was not read
}

// unknown says of figures why they are not known, or not whole.
type unknown struct {
	// What is alarms, repeats, availability, completeness or temperature.
	What string `json:"what"`
	// Why is running (the range is not over), store_begins, store_behind, too_many, history_off,
	// history_unavailable, history_behind, history_begins or no_devices.
	Why string `json:"why"`
	At  int64  `json:"at,omitempty"` // ms, since when it is known
}

func (r *plantReport) lacks(what, why string, at int64) {
	u := unknown{what, why, at}
	if !slices.Contains(r.Unknown, u) {
		r.Unknown = append(r.Unknown, u)
	}
}

func (p *Portal) getReport(c *fiber.Ctx) error {
	r, err := p.report(c)
	if err != nil {
		return err
	}
	return c.JSON(r)
}

// report makes the report that a request asks for.
func (p *Portal) report(c *fiber.Ctx) (*plantReport, error) {
	now := p.model.Now()
	to, err := readMillis(c, "to", now)
	if err != nil {
		return nil, err
	}
	from, err := readMillis(c, "from", to-usualReport)
	if err != nil {
		return nil, err
	}
	if from >= to || to-from > longestReport || from >= now {
		return nil, badParameter("from", "a past time before to, at most 31 days")
	}
	if p.store == nil {
		return nil, errNoStore
	}
	r := &plantReport{From: from, To: to, Until: min(to, now), Building: strings.Clone(c.Query("building")), Time: now, Unknown: []unknown{}, Complete: true}
	if r.Until < to {
		r.lacks("alarms", "running", r.Until)
	}
	if err := p.countAlarms(c.UserContext(), r); err != nil {
		return nil, p.noStore(err)
	}
	p.measure(c.UserContext(), r)
	return r, nil
}

func (p *Portal) countAlarms(ctx context.Context, r *plantReport) error {
	behind := p.feed.StoreBehind()
	b := report.New(r.From, r.Until)
	partial, err := p.store.Report(ctx, &store.ReportQuery{Building: r.Building, From: r.From, To: r.Until}, b)
	if err != nil {
		return err
	}
	r.Figures = b.Figures()
	if partial {
		r.lacks("repeats", "too_many", 0)
	}
	if err := p.countAside(ctx, r); err != nil {
		return err
	}
	extent, err := p.store.Extent(ctx, r.From, r.Until)
	if err != nil {
		return err
	}
	r.reach(p.cfg.Topics.Alerts, p.cfg.Audit, &extent)
	if behind {
		r.lacks("alarms", "store_behind", 0)
		r.Complete = false
	}
	for _, x := range r.Buildings {
		if x.Availability == nil {
			r.lacks("availability", "no_devices", 0)
		}
	}
	return nil
}

// reach says what the report is made of.
func (r *plantReport) reach(alerts, trail string, x *store.Extent) {
	r.Since, r.Offsets = x.Since, []reportReach{}
	for _, a := range x.Reaches {
		if a.Topic != alerts && a.Topic != trail {
			continue
		}
		out := reportReach{Topic: a.Topic, Partition: a.Partition, Next: a.Next}
		if a.First >= 0 {
			out.First = &a.First
		}
		r.Offsets = append(r.Offsets, out)
	}
	if x.Since == 0 || x.Since > r.From {
		r.lacks("alarms", "store_begins", x.Since)
		r.Complete = false
	}
}

// countAside lists what was shelved or taken out of service: in the range by the audit trail, and before
// it by the alarms that are still put aside.
func (p *Portal) countAside(ctx context.Context, r *plantReport) error {
	shelved, out := make(map[[2]string]putAside), make(map[[2]string]putAside)
	err := p.store.PutAside(ctx, r.Building, r.Until, func(a *state.Alert) error {
		one := putAside{DeviceID: a.DeviceID, Building: a.Location.Building, AlertType: a.AlertType}
		key := [2]string{a.DeviceID, a.AlertType}
		if s := a.Shelved; s != nil && s.At < r.Until && s.Until > r.From {
			one.By, one.At, one.Until, one.Reason = s.By, s.At, s.Until, s.Reason
			if s.Maintenance { // of the whole device
				one.AlertType, key[1] = "", ""
			}
			shelved[key] = one
		}
		if s := a.OutOfService; s != nil && s.At < r.Until {
			one.By, one.At, one.Until, one.Reason = s.By, s.At, 0, s.Reason
			out[key] = one
		}
		return nil
	})
	if err != nil {
		return err
	}
	q := store.TrailQuery{
		Building: r.Building, From: r.From, To: r.Until, OldestFirst: true, Outcomes: []string{string(telemetry.OutcomeApplied)},
		Actions: []string{string(telemetry.ActionShelve), string(telemetry.ActionOutOfService), string(telemetry.ActionMaintain)},
	}
	l, err := p.store.Trail(ctx, &q, store.Page{Limit: store.Counted})
	if err != nil {
		return err
	}
	for _, e := range l.Items {
		into := shelved
		if e.Action == telemetry.ActionOutOfService {
			into = out
		}
		note(into, e)
	}
	if l.More {
		r.lacks("alarms", "too_many", 0)
	}
	p.noteMaintenance(r, shelved)
	r.Shelved, r.OutOfService = asideList(shelved), asideList(out)
	return nil
}

// noteMaintenance adds the devices that have been under maintenance since before the range.
func (p *Portal) noteMaintenance(r *plantReport, into map[[2]string]putAside) {
	p.model.View(func() {
		for _, d := range p.model.Devices() {
			m, building := d.Maintenance(r.From), d.Location().Building
			if !d.Known() || m == nil || m.At >= r.Until || r.Building != "" && r.Building != building {
				continue
			}
			into[[2]string{d.ID, ""}] = putAside{DeviceID: d.ID, Building: building, By: m.By, At: m.At, Until: m.Until, Reason: m.Reason}
		}
	})
}

// note adds an entry of the audit trail, unless the alarm itself says more.
func note(into map[[2]string]putAside, e *audit.Entry) {
	key := [2]string{e.DeviceID, e.AlertType}
	if _, known := into[key]; !known {
		into[key] = putAside{DeviceID: e.DeviceID, Building: e.Building, AlertType: e.AlertType, By: e.By, At: e.Time, Reason: e.Note}
	}
}

func asideList(of map[[2]string]putAside) []putAside {
	out := make([]putAside, 0, len(of))
	for _, a := range of {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b putAside) int {
		return strings.Compare(a.DeviceID+"\x00"+a.AlertType, b.DeviceID+"\x00"+b.AlertType)
	})
	return out
}

// measureWithin bounds what is asked of the history for a report.
const measureWithin = 5 * time.Second

// measure adds what the history of readings knows of the buildings.
func (p *Portal) measure(ctx context.Context, r *plantReport) {
	lacks := func(why string, at int64) {
		r.lacks("completeness", why, at)
		r.lacks("temperature", why, at)
	}
	if p.history == nil {
		lacks("history_off", 0)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	status, err := p.history.Status(ctx)
	if err != nil {
		p.noAnswer(err)
		lacks("history_unavailable", 0)
		return
	}
	if status.Behind > 0 {
		lacks("history_behind", status.Newest)
	}
	if status.Begins == 0 || status.Begins > r.From {
		lacks("history_begins", status.Begins)
	}
	for i := range r.Buildings {
		if r.Buildings[i].Building == "" {
			continue
		}
		if err := p.measureBuilding(ctx, r, &r.Buildings[i]); err != nil {
			p.noAnswer(err)
			lacks("history_unavailable", 0)
			return
		}
	}
}

// readingStep is the step in which readings are counted, in ms.
func readingStep(from, to int64) int64 { return history.StepFor(from, to, 200) }

func (p *Portal) measureBuilding(ctx context.Context, r *plantReport, b *report.BuildingRow) error {
	const temperature = "temperature"
	answer, err := p.history.Series(ctx, &history.Query{Buildings: []string{b.Building}, Parameters: []string{temperature}, From: r.From, To: r.Until - 1, Step: readingStep(r.From, r.Until)})
	if err != nil {
		return err
	}
	for i := range answer.Series {
		b.TemperatureMean, b.TemperatureMax = report.Temperature(answer.Series[i].Values[temperature])
	}
	devices := p.sampleDevices(b.Building)
	if len(devices) == 0 {
		return nil
	}
	begins, err := p.countReadings(ctx, devices, r.From, r.Until, b)
	if err != nil || b.Completeness != nil || begins <= r.From || begins >= r.Until {
		return err
	}
	// The steps of the whole range are too wide for devices that have sent for so short a time.
	if _, err = p.countReadings(ctx, devices, begins, r.Until, b); err == nil && b.Completeness == nil {
		r.lacks("completeness", "history_begins", begins)
	}
	return err
}

// countReadings sets how complete the readings of devices in [from, until) are, unknown if they have none in a whole step of it: what a
// step has outside the range is not told apart. It returns when the oldest of their readings was taken, 0 if there is none.
func (p *Portal) countReadings(ctx context.Context, devices []string, from, until int64, b *report.BuildingRow) (begins int64, err error) {
	step := readingStep(from, until)
	from, to := (from+step-1)/step*step, until/step*step-1
	if from >= to {
		return 0, nil
	}
	answer, err := p.history.Series(ctx, &history.Query{Devices: devices, From: from, To: to, Step: step})
	if err != nil {
		return 0, err
	}
	b.Completeness, b.Sampled = report.Completeness(answer.Series, from, to+1)
	for i := range answer.Series {
		if at := answer.Series[i].Begins; at != 0 && (begins == 0 || at < begins) {
			begins = at
		}
	}
	return begins, nil
}

// sampleDevices returns as many devices of a building as one question may be about, evenly spread.
func (p *Portal) sampleDevices(building string) (ids []string) {
	p.model.View(func() {
		for _, d := range p.model.Devices() {
			if d.Known() && d.Location().Building == building {
				ids = append(ids, d.ID)
			}
		}
	})
	slices.Sort(ids)
	if len(ids) <= history.MaxDevices {
		return ids
	}
	out := make([]string, history.MaxDevices)
	for i := range out {
		out[i] = ids[i*len(ids)/len(out)]
	}
	return out
}

// shiftTimes are when shifts begin.
type shiftTimes struct {
	// Starts are times of day, local to who reads the report: 08:00.
	Starts []string `json:"starts"`
}

// usualShifts are those of most plants.
var usualShifts = []string{"00:00", "08:00", "16:00"}

func (p *Portal) getShifts(c *fiber.Ctx) error {
	if len(p.cfg.Shifts) == 0 {
		return c.JSON(shiftTimes{usualShifts})
	}
	return c.JSON(shiftTimes{p.cfg.Shifts})
}

var errShifts = errors.New("want up to 24 times of day in ascending order, such as 00:00,08:00,16:00")

// checkShifts checks PORTAL_SHIFTS.
func checkShifts(starts []string) error {
	last := ""
	for _, s := range starts {
		if _, err := time.Parse("15:04", s); err != nil || len(s) != len("15:04") || s <= last {
			return errShifts
		}
		last = s
	}
	if len(starts) > 24 {
		return errShifts
	}
	return nil
}
