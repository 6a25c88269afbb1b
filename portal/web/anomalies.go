package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/command"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

const (
	// mostAnomalyAlarms bounds the alarms of an answer about anomalies.
	mostAnomalyAlarms = 200
	// topUnusual is how many devices are told of.
	topUnusual = 10
)

// deviceAnomalies is what was usual and unusual for a device in a time, by a detector that learned from
// the history, and the alarms that were raised for anomalies then, the newest first.
type deviceAnomalies struct {
	history.DetectAnswer

	Alarms []alertJSON `json:"alarms"`
}

// getDeviceAnomalies handles GET /api/v1/devices/{id}/anomalies.
func (p *Portal) getDeviceAnomalies(c *fiber.Ctx) error {
	q, err := p.readSeriesQuery(c)
	if err != nil {
		return err
	}
	if p.history == nil {
		return errNoHistory
	}
	id := strings.Clone(c.Params("id"))
	answer, err := p.history.Detect(c.UserContext(), &history.DetectQuery{Device: id, Parameters: q.Parameters, From: q.From, To: q.To, Points: q.Points})
	switch {
	case errors.Is(err, history.ErrUnavailable):
		p.noAnswer(err)
		return errHistoryAway
	case err != nil:
		return errNoDevice // the portal has checked what the client sent, but for the name
	case answer.LearnedFrom == 0 && !p.knownDevice(id):
		return errNoDevice
	}
	out := deviceAnomalies{DetectAnswer: *answer, Alarms: []alertJSON{}}
	alarms, err := p.anomalyAlarms(c, id, q.From, q.To)
	if err != nil {
		return err
	}
	for _, a := range alarms {
		out.Alarms = append(out.Alarms, a.Raw)
	}
	return c.JSON(out)
}

// anomalyAlarms returns the alarms of a device for anomalies that held in a time.
func (p *Portal) anomalyAlarms(c *fiber.Ctx, device string, from, to int64) ([]*state.Alert, error) {
	f := alertFilter{device: device, sources: []string{string(telemetry.SourceAnomaly)}, from: from, to: to + 1}
	found, err := ask(p, paging{Limit: mostAnomalyAlarms}, func() (store.List[*state.Alert], error) {
		return p.store.Journal(c.UserContext(), f.journal(""), store.Page{Limit: mostAnomalyAlarms})
	}, func() []*state.Alert { return p.journalInMemory(&f, "") })
	return found.Items, err
}

// feedbackBody says that what a sensor shows is no anomaly.
type feedbackBody struct {
	// CommandID is chosen by the sender and makes a retry safe. By default the portal generates one.
	CommandID string `json:"command_id"`
	By        string `json:"by"`   // operator; see access.go
	Note      string `json:"note"` // why it is none
	// AlertID is the alarm that is meant; empty: what the sensor shows now, with an alarm or without.
	AlertID string `json:"alert_id"`
}

// feedBack handles POST /api/v1/devices/{id}/anomalies/{sensor}/feedback.
func (p *Portal) feedBack(c *fiber.Ctx) error {
	var body feedbackBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	sensor := strings.Clone(c.Params("sensor"))
	if !telemetry.ValidSensorName(sensor) {
		return badParameter("sensor", "the name of a sensor, as in temperature")
	}
	cmd := telemetry.AlarmCommand{
		CommandID: cmp.Or(body.CommandID, "p-"+rand.Text()), DeviceID: strings.Clone(c.Params("id")), AlertType: telemetry.AnomalyType + sensor,
		AlertID: body.AlertID, Action: telemetry.ActionNotAnomaly, At: p.model.Now(), Note: body.Note,
	}
	var err error
	if cmd.By, cmd.Actor, err = who(c).acts(body.By); err != nil {
		return err
	}
	if err := cmd.Check(); err != nil {
		return wrongCommand(err)
	}
	if p.deviceNow(cmd.DeviceID, cmd.At) == nil && p.trail.Outcome(cmd.CommandID) == nil {
		return errNoDevice
	}
	r := p.commands.Do(context.Background(), []telemetry.AlarmCommand{cmd})[0]
	if err := failed(&r); err != nil {
		return err
	}
	out := commandAnswer{Time: p.model.Now(), Result: resultOf(&r)}
	if r.Alert != nil {
		out.Alert = r.Alert.Raw
	}
	if r.Outcome == command.OutcomePending {
		return c.Status(fiber.StatusAccepted).JSON(out)
	}
	return c.JSON(out)
}

// unusualDevice is a device that is unusual now.
type unusualDevice struct {
	telemetry.Unusual

	Name string `json:"name,omitempty"` // of the device
}

// unusualAnswer are the devices that are unusual now, the most unusual first.
type unusualAnswer struct {
	list[unusualDevice]

	// Instances is how many instances of core report; 0: none does, detection may be off.
	Instances int `json:"instances"`
}

// listUnusual handles GET /api/v1/unusual.
func (p *Portal) listUnusual(c *fiber.Ctx) error {
	now := p.model.Now()
	top, instances := p.unusual.Top(topUnusual, now)
	out := unusualAnswer{list: list[unusualDevice]{Total: len(top), Count: len(top), Time: now, Items: []unusualDevice{}}, Instances: instances}
	p.model.View(func() {
		for i := range top {
			out.Items = append(out.Items, unusualDevice{top[i], p.nameOf(top[i].DeviceID)})
		}
	})
	return c.JSON(out)
}

// anomalyEndpoints are those of what is unusual.
var anomalyEndpoints = []endpoint{
	{
		path: "/api/v1/devices/{id}/anomalies", id: "listDeviceAnomalies", need: viewPlant, tag: "devices", cost: sorting, handle: (*Portal).getDeviceAnomalies,
		summary: "What was usual and unusual for a device in a time",
		about: "The history's readings are shown to a fresh detector, from eight days before `from` on or from `learned_from`; neighbours and " +
			"operators' feedback are not. `low`, `expected` and `high` are the usual range, `score` and `state` (0 to 1, 0.5: worth an alarm) the highest " +
			"of each step. `alarms` are those of source anomaly, the newest first, 200 at most.",
		params: join([]parameter{deviceInPath}, seriesParameters),
		answers: []response{
			answered(deviceAnomalies{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "device_not_found"),
			failing(fiber.StatusServiceUnavailable, "history_unavailable", "history_off", "store_slow"),
		},
	},
	{
		method: fiber.MethodPost, need: alarmCommand,
		path: "/api/v1/devices/{id}/anomalies/{sensor}/feedback", id: "notAnAnomaly", tag: "commands", handle: (*Portal).feedBack,
		summary: "Say that what a sensor shows is no anomaly",
		about: "Its detector learns that it is usual, and its alarm for an anomaly, if there is one, ends. With `alert_id` only if that alarm is the newest. " +
			"Sent again with the same command_id it is done once.",
		params: []parameter{deviceInPath, inPath("sensor", "Name of the sensor.", "temperature"), operatorHeader}, body: feedbackBody{},
		example: object{{"by", "李工"}, {"note", "试运行"}},
		answers: []response{
			answered(commandAnswer{}),
			{status: fiber.StatusAccepted, about: "Stored in Kafka; core has not answered within 2 s. Ask again with the same command_id.", body: commandAnswer{}},
			failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing"),
			foreign, failing(fiber.StatusNotFound, "device_not_found"),
			failing(fiber.StatusConflict, "command_refused", "command_id_reused"),
			notJSON, failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
		},
	},
	{
		path: "/api/v1/unusual", id: "listUnusual", need: viewPlant, tag: "devices", handle: (*Portal).listUnusual,
		summary: "The ten most unusual devices now",
		about:   "By the newest reports of all instances of core, which come every two seconds; `instances` is 0 if none came for ten seconds: core is away, or detection is off.",
		answers: []response{answered(unusualAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
}
