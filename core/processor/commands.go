package processor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/anomaly"
	"industrial-iot-monitor/internal/telemetry"
)

// forward sends the commands of a claim to the task's goroutine until ctx ends or failed
// is closed.
func (t *task) forward(ctx context.Context, claim sarama.ConsumerGroupClaim, failed <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-failed:
			return
		case m, ok := <-claim.Messages():
			if !ok {
				return
			}
			select {
			case t.commands <- m:
			case <-ctx.Done():
				return
			case <-failed:
				return
			}
		}
	}
}

// command applies one record of the commands and flushes the result. A record that is no
// command becomes a dead letter and an audit entry, once: its offset is committed with it.
func (t *task) command(m *sarama.ConsumerMessage) {
	now := time.Now().UnixMilli()
	t.reloadRules()
	var c telemetry.AlarmCommand
	if why := t.readCommand(m, &c); why != "" {
		t.refuse(m, &c, why, now)
	} else {
		t.apply(&c, now)
	}
	t.nextCommand = m.Offset + 1
	t.out.moved = true
	t.flush(now)
}

// readCommand decodes a command; why is the reason if the record is none.
func (t *task) readCommand(m *sarama.ConsumerMessage, c *telemetry.AlarmCommand) (why string) {
	if err := json.Unmarshal(m.Value, c); err != nil {
		return fmt.Sprintf("not a command: %v", err)
	}
	if err := c.Check(); err != nil {
		return err.Error()
	}
	if string(m.Key) != c.DeviceID {
		return fmt.Sprintf("device_id is %q but the record's key is %q", c.DeviceID, cut(string(m.Key), telemetry.MaxDeviceIDBytes))
	}
	if want := t.p.partitionOf(c.DeviceID); want != t.partition {
		return fmt.Sprintf("the record is in partition %d; commands for %s belong in partition %d", t.partition, c.DeviceID, want)
	}
	return ""
}

func (t *task) apply(c *telemetry.AlarmCommand, now int64) {
	switch c.Action {
	case telemetry.ActionRemove:
		t.remove(c, now)
	case telemetry.ActionDescribe:
		t.describe(c)
	case telemetry.ActionMaintain, telemetry.ActionEndMaintenance:
		t.maintain(c, now)
	default:
		t.applyToAlarm(c, now)
	}
}

func (t *task) applyToAlarm(c *telemetry.AlarmCommand, now int64) {
	d, known := t.devices[c.DeviceID]
	if !known {
		d = &device{id: c.DeviceID}
	}
	state, changes, entry, keep := t.alarms.rules.Command(d.alarm, c, now, t.alarms.changes[:0])
	if sensor, ok := anomaly.Sensor(c.AlertType); ok && c.Action == telemetry.ActionNotAnomaly && entry.Outcome == telemetry.OutcomeApplied {
		if !t.detects.accept(d, sensor) && len(changes) == 0 {
			entry.Outcome, entry.Event, entry.Reason = telemetry.OutcomeRefused, "", "the detector does not know that sensor"
		}
	}
	if keep {
		if !known {
			d = t.addDevice(c.DeviceID)
		}
		d.alarm = state
	}
	t.alarms.changes = changes
	t.alarms.publish(d, keep, t.out)
	if len(changes) == 0 && entry.Outcome != "" {
		t.alarms.audit(&entry, t.out)
	}
}

// refuse makes a dead letter and an audit entry of a record that is no command.
func (t *task) refuse(m *sarama.ConsumerMessage, c *telemetry.AlarmCommand, why string, now int64) {
	why = cut(strings.ToValidUTF8(why, "?"), telemetry.MaxNote)
	t.out.letters = append(t.out.letters, newDeadLetter(t.p.cfg.DeadLetters, m,
		&telemetry.Refusal{Reason: telemetry.ReasonInvalidCommand, Message: why}))
	c.Via, c.Address, c.Session = cut(c.Via, telemetry.MaxActor), cut(c.Address, telemetry.MaxActor), cut(c.Session, telemetry.MaxActor)
	c.ClaimedBy = cut(c.ClaimedBy, telemetry.MaxOperator)
	t.alarms.audit(&telemetry.AuditEntry{
		Actor: c.Actor,
		Time:  now, DeviceID: name(c.DeviceID), AlertType: name(c.AlertType), CommandID: name(c.CommandID),
		By: cut(c.By, telemetry.MaxOperator), Action: telemetry.AlarmAction(name(string(c.Action))),
		Outcome: telemetry.OutcomeRefused, Reason: why,
	}, t.out)
}

// name returns s if it is a valid name, else nothing: a refused record may contain anything.
func name(s string) string {
	if telemetry.ValidDeviceID(s) {
		return s
	}
	return ""
}

// cut returns at most n bytes of s, in whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
