package web

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// targets returns one command for each alarm of body, and the ids of unknown alarms.
func (p *Portal) targets(proto telemetry.AlarmCommand, body commandsBody) (commands []telemetry.AlarmCommand, missing []string, err error) {
	ways := 0
	for _, given := range []bool{body.AlertIDs != nil, body.Filter != nil, body.DeviceID != "" || body.AlertType != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, nil, badField("filter", "one of filter, alert_ids, or device_id with alert_type")
	}
	var alarms []*state.Alert
	switch {
	case body.AlertIDs != nil:
		for _, id := range slices.Compact(slices.Sorted(slices.Values(body.AlertIDs))) {
			if a := p.model.Alert(id); a != nil {
				alarms = append(alarms, a)
			} else {
				missing = append(missing, cut(id))
			}
		}
	case body.Filter != nil:
		f, err := body.Filter.parse()
		if err != nil {
			return nil, nil, err
		}
		alarms = slices.DeleteFunc(p.find(&f), func(a *state.Alert) bool { return !concerns(proto.Action, a) })
		p.sortAlerts(alarms, "")
	default:
		proto.DeviceID, proto.AlertType = body.DeviceID, body.AlertType
		if err := proto.Check(); err != nil {
			return nil, nil, wrongCommand(err)
		}
		return []telemetry.AlarmCommand{proto}, nil, nil
	}
	for _, a := range alarms {
		c := proto
		c.CommandID = partID(proto.CommandID, a.AlertID)
		c.DeviceID, c.AlertType, c.AlertID = a.DeviceID, a.AlertType, a.AlertID
		commands = append(commands, c)
	}
	return commands, missing, nil
}

// partID derives the id of one of many commands from the id of the request and the alarm, so that
// a repeated request repeats the same commands.
func partID(commandID, alertID string) string {
	sum := sha256.Sum256([]byte(commandID + "\x00" + alertID))
	return "m-" + hex.EncodeToString(sum[:16])
}

// concerns reports whether an action selected by a filter applies to an alarm. Closed incidents are
// left alone.
func concerns(action telemetry.AlarmAction, a *state.Alert) bool {
	switch action {
	case telemetry.ActionAcknowledge:
		return a.Unseen()
	case telemetry.ActionShelve:
		return a.Open() && a.Shelved == nil
	case telemetry.ActionUnshelve:
		return a.Shelved != nil && !a.Shelved.Maintenance
	case telemetry.ActionOutOfService:
		return a.Open() && a.OutOfService == nil
	case telemetry.ActionInService:
		return a.OutOfService != nil
	case telemetry.ActionComment, telemetry.ActionAssign:
		return a.Open()
	case telemetry.ActionNotAnomaly:
		return a.Open() && a.Source == telemetry.SourceAnomaly
	case telemetry.ActionRemove, telemetry.ActionDescribe, telemetry.ActionMaintain, telemetry.ActionEndMaintenance: // of devices
	}
	return false
}
