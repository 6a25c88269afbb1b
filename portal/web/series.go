package web

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/series"
	"industrial-iot-monitor/portal/internal/state"
)

const (
	usualSpan   = 5 * 60_000
	longestSpan = 400 * 24 * 3_600_000
	usualPoints = 600
	mostPoints  = 1000
	// meansStep is the least step of means from the history, in ms.
	meansStep = 60_000
)

// deviceSeries is the time series of one device's sensors.
type deviceSeries struct {
	DeviceID string `json:"device_id"`
	series.Table
}

// buildingSeries is the time series of one building's means.
type buildingSeries struct {
	Building string `json:"building"`
	series.Table
}

func (p *Portal) getDeviceSeries(c *fiber.Ctx) error {
	q, err := p.readSeriesQuery(c)
	if err != nil {
		return err
	}
	id := strings.Clone(c.Params("id"))
	table, err := p.ask(c, &q, &history.Query{Devices: []string{id}, Parameters: q.Parameters, From: q.From, To: q.To, Points: q.Points})
	if err != nil {
		return err
	}
	if table.Begins == 0 && !p.knownDevice(id) {
		return errNoDevice
	}
	return c.JSON(deviceSeries{id, table})
}

func (p *Portal) knownDevice(id string) (known bool) {
	p.model.View(func() {
		d := p.model.Device(id)
		known = d != nil && d.Known()
	})
	return known
}

// ask returns the table of the one series that a question is about.
func (p *Portal) ask(c *fiber.Ctx, q *series.Query, question *history.Query) (table series.Table, err error) {
	if p.history == nil {
		return table, errNoHistory
	}
	answer, err := p.history.Series(c.UserContext(), question)
	if err == nil && len(answer.Series) != 1 {
		err = fmt.Errorf("%w: %d series, want 1", history.ErrUnavailable, len(answer.Series))
	}
	if err != nil && !errors.Is(err, history.ErrUnavailable) {
		return table, errNoDevice // the portal has checked what the client sent, but for the name
	}
	if err == nil {
		table, err = series.FromHistory(q, &answer.Series[0])
	}
	if err != nil {
		p.noAnswer(err)
		return table, errHistoryAway
	}
	return table, nil
}

// noAnswer logs that the historian failed. Every chart of every client may find that at once.
func (p *Portal) noAnswer(err error) {
	p.historyLogMu.Lock()
	defer p.historyLogMu.Unlock()
	if skipped, ok := p.historyLog.Allow(); ok {
		p.log.Warn("the history gave no answer", "url", p.cfg.HistoryURL, "err", err, "skipped", skipped)
	}
}

var (
	errNoDevice    = refuse(fiber.StatusNotFound, "device_not_found", "unknown device")
	errNoHistory   = refuse(fiber.StatusServiceUnavailable, "history_off", "this portal has no history of readings: PORTAL_HISTORY_URL is empty")
	errHistoryAway = refuse(fiber.StatusServiceUnavailable, "history_unavailable", "the history of readings gives no answer: is the core that keeps it running, and does PORTAL_HISTORY_URL name it?")
)

func (p *Portal) getBuildingSeries(c *fiber.Ctx) error {
	q, err := p.readSeriesQuery(c)
	if err != nil {
		return err
	}
	name, err := url.PathUnescape(c.Params("name"))
	if err != nil {
		return refuse(fiber.StatusBadRequest, "bad_request", "the building's name is not percent-encoded correctly")
	}
	table, kept := p.series.Building(name, q)
	if !kept {
		past, err := p.ask(c, &q, &history.Query{Buildings: []string{name}, Parameters: q.Parameters, From: q.From, To: q.To, Points: q.Points})
		switch {
		case err == nil && (past.Begins == 0 || table.Begins != 0 && past.Begins+meansStep >= table.Begins):
			// A young plant: what the portal has itself is all that there is, in finer steps.
		case err == nil:
			table = past
		case table.Begins == 0:
			return p.noMeans(name, err)
		}
	}
	if table.Begins == 0 && !p.knownBuilding(name) {
		return errNoBuilding
	}
	for _, s := range p.sensorsHere() { // a mean of many devices has the unit of the sensor
		if column, ok := table.Values[s.Name]; ok {
			column.Unit = s.Unit
			table.Values[s.Name] = column
		}
	}
	return c.JSON(buildingSeries{name, table})
}

var errNoBuilding = refuse(fiber.StatusNotFound, "building_not_found", "unknown building")

// noMeans returns why there are no means of a building.
func (p *Portal) noMeans(name string, err error) error {
	if !p.knownBuilding(name) {
		return errNoBuilding
	}
	return err
}

func (p *Portal) knownBuilding(name string) bool {
	for _, b := range p.stats.get().Buildings {
		if b.Building == name {
			return true
		}
	}
	return false
}

// readSeriesQuery reads the parameters of a series.
func (p *Portal) readSeriesQuery(c *fiber.Ctx) (series.Query, error) {
	var q series.Query
	var err error
	if q.Parameters, err = readParameters(c.Query("parameters")); err != nil {
		return q, err
	}
	if q.To, err = readMillis(c, "to", p.model.Now()); err != nil {
		return q, err
	}
	if q.From, err = readMillis(c, "from", q.To-usualSpan); err != nil {
		return q, err
	}
	if q.From >= q.To || q.To-q.From > longestSpan {
		return q, badParameter("from", "a time before to, at most 400 days")
	}
	q.Points, err = number(c, "points", usualPoints, 2, mostPoints)
	return q, err
}

// readParameters reads a list of sensors; nil stands for all.
func readParameters(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names := strings.Split(strings.Clone(list), ",")
	for i, name := range names {
		if !telemetry.ValidSensorName(name) || slices.Contains(names[:i], name) {
			return nil, badParameter("parameters", "names of sensors, each once, as in temperature,co2")
		}
	}
	if len(names) > telemetry.MaxSensors {
		return nil, badParameter("parameters", fmt.Sprintf("at most %d names of sensors", telemetry.MaxSensors))
	}
	return names, nil
}

// readMillis reads a time in ms since 1970.
func readMillis(c *fiber.Ctx, name string, usual int64) (int64, error) {
	text := c.Query(name)
	if text == "" {
		return usual, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !telemetry.ValidTimestamp(ms) {
		return 0, badParameter(name, "milliseconds since 1970")
	}
	return ms, nil
}

// listBuildings returns each building with its devices, alarms and means of the last minute.
func (p *Portal) listBuildings(c *fiber.Ctx) error {
	all := p.stats.get().Buildings
	return c.JSON(list[building]{Total: len(all), Count: len(all), Time: p.model.Now(), Items: all})
}

// alertTrend counts the alarms raised in each hour, by severity.
type alertTrend struct {
	StepMS   int64   `json:"step_ms"`
	Begins   int64   `json:"begins"` // time of the oldest alarm in the portal, 0 without any
	Time     []int64 `json:"time"`   // start of each hour
	Critical []int   `json:"critical"`
	High     []int   `json:"high"`
	Medium   []int   `json:"medium"`
	Low      []int   `json:"low"`
}

const hour = 3_600_000

func (p *Portal) getAlertTrend(c *fiber.Ctx) error {
	hours, err := number(c, "hours", 24, 1, 168)
	if err != nil {
		return err
	}
	last := p.model.Now() / hour
	out := alertTrend{
		StepMS: hour, Time: make([]int64, hours),
		Critical: make([]int, hours), High: make([]int, hours), Medium: make([]int, hours), Low: make([]int, hours),
	}
	for i := range hours {
		out.Time[i] = (last - int64(hours-1-i)) * hour
	}
	p.model.Alerts(func(a *state.Alert) bool {
		raised := a.RaisedAt
		if raised == 0 {
			raised = a.Timestamp
		}
		if out.Begins == 0 || raised < out.Begins {
			out.Begins = raised
		}
		if i := int64(hours-1) - (last - raised/hour); i >= 0 && i < int64(hours) {
			if counts := out.of(a.Severity); counts != nil {
				counts[i]++
			}
		}
		return false
	})
	return c.JSON(out)
}

func (t *alertTrend) of(s telemetry.Severity) []int {
	switch s {
	case telemetry.SeverityCritical:
		return t.Critical
	case telemetry.SeverityHigh:
		return t.High
	case telemetry.SeverityMedium:
		return t.Medium
	case telemetry.SeverityLow:
		return t.Low
	default:
		return nil
	}
}
