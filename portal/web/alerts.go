package web

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/plant"
)

// listAlerts shows each alert once, as its newest record tells it: active ones first,
// then by severity, then the newest first; cleared ones by the time they cleared.
func (p *Portal) listAlerts(c *fiber.Ctx) error {
	if err := knownParameters(c, "status", "severity", "device_id", "limit", "offset"); err != nil {
		return err
	}
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	status, err := oneOf(c, "status", string(telemetry.AlertActive), string(telemetry.AlertCleared))
	if err != nil {
		return err
	}
	severity, err := oneOf(c, "severity", string(telemetry.SeverityCritical), string(telemetry.SeverityHigh),
		string(telemetry.SeverityMedium), string(telemetry.SeverityLow))
	if err != nil {
		return err
	}
	device := c.Query("device_id")
	found := p.plant.Alerts(func(a *plant.Alert) bool {
		return (status == "" || string(a.Status) == status) &&
			(severity == "" || string(a.Severity) == severity) &&
			(device == "" || a.DeviceID == device)
	})
	slices.SortFunc(found, compareAlerts)
	out := list[json.RawMessage]{Total: len(found), Offset: at.Offset, Time: p.plant.Now(), Items: []json.RawMessage{}}
	for _, a := range part(found, at) {
		out.Items = append(out.Items, a.Raw)
	}
	out.Count = len(out.Items)
	return c.JSON(out)
}

func compareAlerts(a, b *plant.Alert) int {
	if a.Active() != b.Active() {
		if a.Active() {
			return -1
		}
		return 1
	}
	severity := 0
	if a.Active() {
		severity = cmp.Compare(plant.Rank(a.Severity), plant.Rank(b.Severity))
	}
	return cmp.Or(severity, cmp.Compare(b.Timestamp, a.Timestamp), cmp.Compare(a.AlertID, b.AlertID))
}
