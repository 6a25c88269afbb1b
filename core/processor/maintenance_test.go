package processor

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func maintainCommand(id, device string, at, until int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: device, Action: telemetry.ActionMaintain, By: "somebody", At: at, Until: until, Note: "new bearing",
	}
}

func metaOf(t *testing.T, b *batch, device string) telemetry.DeviceMeta {
	t.Helper()
	var m telemetry.DeviceMeta
	require.NoError(t, json.Unmarshal(b.metas[device], &m))
	return m
}

// TestMaintenanceIsShownAndAuditedUntilItEnds: state, description and audit trail change in one batch.
func TestMaintenanceIsShownAndAuditedUntilItEnds(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-2000, 99)})
	tk.pending.pop()
	b := tk.order(maintainCommand("m1", "d1", now, now+1000), now)

	require.Equal(t, &telemetry.Maintenance{By: "somebody", At: now, Until: now + 1000, Reason: "new bearing"}, metaOf(t, b, "d1").Maintenance)
	require.Contains(t, b.alarms, "d1")
	alerts, entries := alertsOf(t, b), auditsOf(t, b)
	require.Len(t, alerts, 1)
	require.True(t, alerts[0].Shelved.Maintenance)
	require.True(t, b.alerts[0].quiet)
	require.Len(t, entries, 2, "of the alarm and of the command")
	require.Empty(t, entries[0].CommandID)
	last := entries[1]
	require.Equal(t, []any{telemetry.OutcomeApplied, telemetry.EventMaintenance, now + 1000, "new bearing", "", "A栋"},
		[]any{last.Outcome, last.Event, last.Until, last.Note, last.AlertType, last.Building})
	require.NotNil(t, last.Meta.Maintenance)
	require.Empty(t, auditsOf(t, tk.order(maintainCommand("m1", "d1", now, now+1000), now)), "it was applied before")

	later := now + 1000 + 10_000
	tk.tick(later)
	b = tk.pending.pop()
	require.Nil(t, metaOf(t, b, "d1").Maintenance)
	var over []telemetry.AuditEntry
	for _, e := range auditsOf(t, b) {
		if e.Event == telemetry.EventMaintenanceOver {
			over = append(over, e)
		}
	}
	require.Len(t, over, 1)
	require.Equal(t, []any{now + 1000, "", "d1"}, []any{over[0].Time, over[0].By, over[0].DeviceID})
}

// TestMaintenanceLeavesTheDescription: neither begin nor end changes its revision.
func TestMaintenanceLeavesTheDescription(t *testing.T) {
	tk := newTestTask(t)
	now := time.Now().UnixMilli()
	refused := auditsOf(t, tk.order(maintainCommand("m0", "d1", now, now+60_000), now))
	require.Equal(t, telemetry.OutcomeRefused, refused[0].Outcome, "nobody knows the device")
	tk.process([]*sarama.ConsumerMessage{message(0, "d1", now-2000, 20)})
	tk.order(describeCommand("n1", "d1", now, named("Boiler")), now)
	b := tk.order(maintainCommand("m1", "d1", now, now+60_000), now)
	m := metaOf(t, b, "d1")
	require.Equal(t, []any{"Boiler", int64(1)}, []any{m.Name, m.Revision})
	require.NotNil(t, m.Maintenance)
	b = tk.order(describeCommand("n2", "d1", now, named("Boiler 2")), now)
	require.NotNil(t, metaOf(t, b, "d1").Maintenance)
	b = tk.order(&telemetry.AlarmCommand{CommandID: "m2", DeviceID: "d1", Action: telemetry.ActionEndMaintenance, By: "somebody", At: now}, now)
	m = metaOf(t, b, "d1")
	require.Equal(t, []any{"Boiler 2", int64(2)}, []any{m.Name, m.Revision})
	require.Nil(t, m.Maintenance)
	require.Len(t, auditsOf(t, b), 1, "by hand: no second entry")
}
