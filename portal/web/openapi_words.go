package web

import (
	"encoding/json"
	"reflect"
	"slices"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/command"
	"industrial-iot-monitor/portal/internal/lag"
	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/pipeline"
	"industrial-iot-monitor/portal/internal/share"
	"industrial-iot-monitor/portal/internal/state"
)

// What reflection does not know about the types of answers and bodies.

// typeNames are names of types in the document that differ from those in Go.
var typeNames = map[reflect.Type]string{
	reflect.TypeFor[alertJSON]():      "Alert",
	reflect.TypeFor[*audit.Entry]():   "AuditEntry",
	reflect.TypeFor[audit.Entry]():    "AuditEntry",
	reflect.TypeFor[auditAnswer]():    "AuditEntryList",
	reflect.TypeFor[securityAnswer](): "SecurityRecordList",
	reflect.TypeFor[journal]():        "Journal",
	reflect.TypeFor[lag.Lag]():        "KafkaLag",
	reflect.TypeFor[lag.Partition]():  "PartitionLag",
	reflect.TypeFor[ops.Usage]():      "ProcessUsage",
	reflect.TypeFor[share.Figures]():  "RedisFigures",
}

// typeSchemas are schemas of types with their own JSON form.
var typeSchemas = map[reflect.Type]object{
	reflect.TypeFor[alertJSON]():          ref("Alert"),
	reflect.TypeFor[json.RawMessage]():    ref("Reading"),
	reflect.TypeFor[filterBody]():         ref("AlertFilter"),
	reflect.TypeFor[telemetry.Optional](): typed("number"),
	reflect.TypeFor[history.Numbers]():    listOf(orNull(typed("number"))),
}

var (
	presenceWords = []string{string(telemetry.PresenceOnline), string(telemetry.PresenceOffline), string(state.PresenceUnknown)}
	stateOfDevice = append(slices.Clip(presenceWords), stateFault)
	troubleWords  = []string{
		troubleSilent, troubleBufferFull, troubleHorizon, troubleDuplicate, troubleDifference, troubleDamaged, troubleNoLedger,
	}
	auditOutcomes = []string{
		string(telemetry.OutcomeApplied), string(telemetry.OutcomeNothing), string(telemetry.OutcomeRefused),
		string(telemetry.OutcomeConflict), string(telemetry.OutcomeForgotten),
	}
	numberSensors = []string{telemetry.Temperature, telemetry.Humidity, telemetry.Pressure, telemetry.Current}
)

// typeWords are the values of string types.
var typeWords = map[reflect.Type][]string{
	reflect.TypeFor[sensors.Value]():      {string(sensors.Number), string(sensors.Boolean), string(sensors.Text)},
	reflect.TypeFor[telemetry.Severity](): severityWords,
	reflect.TypeFor[wire.Shortcoming](): {
		string(wire.NotByReadings), string(wire.RuleChanged), string(wire.RuleLost), string(wire.ReadingsGone), string(wire.RoomNotKept), string(wire.NotShown),
	},
	reflect.TypeFor[rulechange.State]():      append(slices.Clip(ruleStateWords), string(statePending)),
	reflect.TypeFor[telemetry.AlertStatus](): {string(telemetry.AlertActive), string(telemetry.AlertCleared)},
	reflect.TypeFor[telemetry.AlarmState]():  stateWords,
	reflect.TypeFor[telemetry.AlarmSource](): sourceWords,
	reflect.TypeFor[telemetry.AlarmAction](): auditActions,
	reflect.TypeFor[telemetry.Presence]():    presenceWords,
	reflect.TypeFor[telemetry.AlarmEvent](): {
		string(telemetry.EventRaised), string(telemetry.EventEscalated), string(telemetry.EventRepeated), string(telemetry.EventCleared),
		string(telemetry.EventSuppressed), string(telemetry.EventUnsuppressed), string(telemetry.EventChattering), string(telemetry.EventSettled),
		string(telemetry.EventUncertain), string(telemetry.EventConfirmed),
		string(telemetry.EventStale), string(telemetry.EventAcknowledged), string(telemetry.EventShelved), string(telemetry.EventUnshelved),
		string(telemetry.EventOutOfService), string(telemetry.EventInService), string(telemetry.EventCommented), string(telemetry.EventAssigned),
		string(telemetry.EventRemoved), string(telemetry.EventDescribed),
		string(telemetry.EventMaintenance), string(telemetry.EventMaintenanceOver), string(telemetry.EventNotAnomaly),
	},
	reflect.TypeFor[securityaudit.What]():    securityWhats,
	reflect.TypeFor[securityaudit.Outcome](): securityOutcomes,
	reflect.TypeFor[telemetry.Outcome](): {
		string(telemetry.OutcomeApplied), string(telemetry.OutcomeNothing), string(telemetry.OutcomeRefused),
		string(telemetry.OutcomeConflict), string(telemetry.OutcomeForgotten),
		string(command.OutcomePending), string(command.OutcomeFailed), string(outcomeNotFound),
	},
}

// fieldTexts are descriptions of single fields whose comment is for readers of the code.
var fieldTexts = map[string]string{
	"web.commandBody.By":         "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.commandsBody.AlertIDs":  "These alarms.",
	"web.commandsBody.Filter":    "The alarms that it selects.",
	"web.commandsBody.DeviceID":  "With alert_type: that alarm of this device.",
	"web.describeBody.By":        "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.removeBody.By":          "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.maintainBody.By":        "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.endMaintenanceBody.By":  "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.sharing.By":             "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.authorBody.By":          "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.shiftNoteBody.By":       "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.deviceNoteBody.By":      "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.proposalBody.By":        "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.decisionBody.By":        "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.imageBody.By":           "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.planBody.By":            "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.factsBody.By":           "The operator; the header " + headerOperator + " takes precedence. One of them is required.",
	"web.commandsBody.AlertType": "With device_id.",
}

// operatorName is the schema of the name of an operator in a body.
func operatorName() object {
	return typed("string").with("minLength", 1).with("maxLength", telemetry.MaxOperator)
}

// chosenID is the schema of an id that a client may choose; empty is none.
func chosenID() object { return typed("string").with("pattern", "^[A-Za-z0-9_-]{0,64}$") }

// byWord returns the schema of a map with these keys.
func byWord(value object, words ...string) object {
	var properties object
	for _, w := range words {
		properties = properties.with(w, value)
	}
	return typed("object").with("properties", properties).with("additionalProperties", false)
}

// sensorName is the schema of a sensor's name.
func sensorName() object { return typed("string").with("pattern", "^[a-z][a-z0-9_]{0,31}$") }

// bySensor returns the schema of a map by the names of sensors.
func bySensor(value object) object {
	return typed("object").with("propertyNames", sensorName()).with("additionalProperties", value)
}

// fieldSchemas are schemas of single fields.
var fieldSchemas = map[string]object{
	"web.alertCounts.Severity":         byWord(typed("integer"), severityNames[:]...),
	"web.summaryAnswer.BySeverity":     byWord(typed("integer"), severityNames[:]...),
	"web.summaryAnswer.ByState":        byWord(typed("integer"), stateWords...),
	"web.gateway.Trouble":              listOf(oneWord(troubleWords...)),
	"web.building.Means":               bySensor(ref("Mean")),
	"series.Table.Values":              bySensor(ref("Column")),
	"telemetry.AuditEntry.Outcome":     oneWord(auditOutcomes...),
	"web.commandBody.CommandID":        chosenID(),
	"web.commandBody.Note":             typed("string").with("maxLength", telemetry.MaxNote),
	"web.commandBody.By":               typed("string").with("minLength", 1).with("maxLength", telemetry.MaxOperator),
	"web.commandBody.Assignee":         typed("string").with("maxLength", telemetry.MaxOperator),
	"web.commandBody.Duration":         typed("string").with("examples", []string{"15m", "8h"}),
	"web.describeBody.CommandID":       chosenID(),
	"web.describeBody.By":              typed("string").with("minLength", 1).with("maxLength", telemetry.MaxOperator),
	"web.describeBody.Name":            orNull(typed("string")).with("maxLength", telemetry.MaxDeviceName),
	"web.describeBody.Description":     orNull(typed("string")).with("maxLength", telemetry.MaxDescription),
	"web.describeBody.Tags":            orNull(typed("array")).with("items", typed("string").with("minLength", 1).with("maxLength", telemetry.MaxTag)).with("maxItems", telemetry.MaxTags).with("uniqueItems", true),
	"web.describeBody.IfRevision":      orNull(typed("integer")).with("minimum", 0),
	"web.removeBody.CommandID":         chosenID(),
	"web.removeBody.By":                typed("string").with("minLength", 1).with("maxLength", telemetry.MaxOperator),
	"web.removeBody.Note":              typed("string").with("maxLength", telemetry.MaxNote),
	"web.maintainBody.CommandID":       chosenID(),
	"web.maintainBody.By":              typed("string").with("minLength", 1).with("maxLength", telemetry.MaxOperator),
	"web.maintainBody.Reason":          typed("string").with("minLength", 1).with("maxLength", telemetry.MaxNote),
	"web.maintainBody.Duration":        typed("string").with("examples", []string{"4h", "72h"}),
	"web.endMaintenanceBody.CommandID": chosenID(),
	"web.endMaintenanceBody.By":        typed("string").with("minLength", 1).with("maxLength", telemetry.MaxOperator),
	"web.endMaintenanceBody.Note":      typed("string").with("maxLength", telemetry.MaxNote),
	"web.commandsBody.AlertIDs":        listOf(typed("string")).with("maxItems", mostCommands),
	"web.sharing.By":                   operatorName(),
	"web.sharing.Scope":                oneWord(metadata.Scopes...),
	"web.sharing.ID":                   chosenID(),
	"web.sharing.Name":                 typed("string").with("minLength", 1).with("maxLength", metadata.MaxName),
	"web.viewBody.Page":                oneWord(metadata.Pages...),
	"web.viewBody.Query":               typed("string").with("maxLength", metadata.MaxQuery),
	"web.dashboardBody.Description":    typed("string").with("maxLength", metadata.MaxNote),
	"web.dashboardBody.Tiles":          {{"allOf", []json.RawMessage{metadata.TilesSchema}}},
	"web.authorBody.By":                operatorName(),
	"web.shiftNoteBody.ID":             chosenID(),
	"web.shiftNoteBody.By":             operatorName(),
	"web.shiftNoteBody.Building":       typed("string").with("maxLength", metadata.MaxBuilding),
	"web.shiftNoteBody.ShiftStart":     typed("integer").with("minimum", 0),
	"web.shiftNoteBody.Text":           typed("string").with("minLength", 1).with("maxLength", metadata.MaxShiftNote),
	"web.deviceNoteBody.ID":            chosenID(),
	"web.deviceNoteBody.By":            operatorName(),
	"web.deviceNoteBody.Text":          typed("string").with("minLength", 1).with("maxLength", metadata.MaxNote),
	"web.factsBody.By":                 operatorName(),
	"web.factsBody.Place":              typed("string").with("maxLength", metadata.MaxPlace),
	"web.factsBody.ExpectedIntervalS":  typed("integer").with("minimum", 0).with("maximum", metadata.MaxIntervalS),
	"web.factsBody.Documents":          linksSchema,
	"web.factsBody.Photo":              orNull(typed("string")).with("pattern", "^([0-9a-f]{64})?$"),
	"web.imageBody.By":                 operatorName(),
	"web.imageBody.Data":               typed("string").with("contentEncoding", "base64"),
	"web.planBody.By":                  operatorName(),
	"web.planBody.Image":               imageIDSchema,
	"web.addDeviceBody.DeviceID":       typed("string").with("pattern", "^[A-Za-z0-9_-]{1,64}$"),
	"web.proposalBody.ChangeID":        chosenID(),
	"web.proposalBody.By":              operatorName(),
	"web.proposalBody.YAML":            typed("string").with("maxLength", maxRuleText),
	"web.proposalBody.Reason":          typed("string").with("minLength", 1).with("maxLength", rulechange.MaxReason),
	"web.decisionBody.By":              operatorName(),
	"web.decisionBody.Note":            typed("string").with("maxLength", rulechange.MaxReason),
	"web.levelBody.By":                 operatorName(),
	"web.levelBody.Level":              oneWord("debug", "info", "warn", "error"),
	"web.replayBody.By":                operatorName(),
	"web.replayBody.Most":              typed("integer").with("minimum", 1).with("maximum", wire.MaxLettersReplay),
	"wire.DeadLetterSample.Raw":        typed("string").with("format", "byte"),
	"pipeline.Strip.Kind":              oneWord(pipeline.StripLane, pipeline.StripPartition),
	"web.changed.Outcome":              oneWord(changeSaved, changePending),
	"metadata.View.Page":               oneWord(metadata.Pages...),
	"metadata.Scope.Scope":             oneWord(metadata.Scopes...),
	"web.gateway.BufferUsed":           typed("number").with("minimum", 0),
}

// nullFields can be null although their type is not a pointer.
var nullFields = map[string]bool{
	"web.device.Reading":             true,
	"web.commandAnswer.Alert":        true,
	"web.deviceCommandAnswer.Device": true,
	"wire.Explanation.Conditions":    true,
	"wire.Explanation.Samples":       true,
	"wire.Sample.Values":             true,
	"wire.Sample.Holds":              true,
	"lag.Lag.Partitions":             true,
}

// alwaysThere are the required fields of types that are passed on unchanged or read from clients.
var alwaysThere = map[reflect.Type][]string{
	// The others are missing in records from before there were revisions.
	reflect.TypeFor[telemetry.Alert](): {"alert_id", "device_id", "alert_type", "severity", "message", "timestamp", "status"},
	reflect.TypeFor[commandsBody]():    {"action"},
	reflect.TypeFor[addDeviceBody]():   {"device_id"},
	reflect.TypeFor[imageBody]():       {"data"},
	reflect.TypeFor[viewBody]():        {"name", "page"},
	reflect.TypeFor[dashboardBody]():   {"name", "tiles"},
	reflect.TypeFor[shiftNoteBody]():   {"text"},
	reflect.TypeFor[levelBody]():       {"program", "instance", "level"},
	reflect.TypeFor[replayBody]():      {"reason", "most"},
	reflect.TypeFor[deviceNoteBody]():  {"text"},
	reflect.TypeFor[proposalBody]():    {"reason"},
}

// openTypes may have fields that the document does not list: they are passed on unchanged.
var openTypes = map[reflect.Type]bool{reflect.TypeFor[telemetry.Alert](): true}

// readingSchema is a reading as its device sent it, with the statuses set by core. A device may send
// null for any optional field.
func readingSchema() object {
	text, number := orNull(typed("string")), orNull(typed("number"))
	sensor := func(value object) object {
		return orNull(typed("object").with("properties", object{
			{"value", value}, {"unit", text}, {"status", text},
		}).with("required", []string{"value"}))
	}
	var sensors object
	for _, name := range numberSensors {
		sensors = sensors.with(name, sensor(typed("number")))
	}
	sensors = sensors.with(telemetry.SwitchStatus, sensor(typed("boolean")))
	return typed("object").with("description", "A device's reading with the statuses that core set from the thresholds. Unlisted fields are passed on.").
		with("properties", object{
			{"device_id", typed("string").with("pattern", "^[A-Za-z0-9_-]{1,64}$")},
			{"timestamp", typed("integer").with("description", "ms since 1970, UTC")},
			{"location", typed("object").with("properties", object{
				{"building", typed("string")}, {"floor", orNull(typed("integer"))}, {"room", text},
			}).with("required", []string{"building"})},
			{"sensors", typed("object").with("description", "Any sensors, up to 64. A malformed one is passed on and has no value elsewhere; `flaws` of the device names it.").with("properties", sensors)},
			{"device_info", orNull(typed("object").with("properties", object{
				{"model", text}, {"firmware", text}, {"battery", number}, {"signal_strength", number},
			}))},
		}).with("required", []string{"device_id", "timestamp", "location", "sensors"})
}
