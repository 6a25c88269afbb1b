package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/report"
)

// BenchmarkReport makes a report of a week with 100,000 alarms. A hundredth of them were raised twice.
func BenchmarkReport(b *testing.B) {
	s, _ := open(b, Options{Path: filepath.Join(b.TempDir(), "portal.db")})
	r := rand.New(rand.NewPCG(1, 1))
	const alarms, week = 100_000, 7 * dayMS // as in docs/report.md
	for from := range alarms / 1000 {
		var records []Record
		for i := from * 1000; i < (from+1)*1000; i++ {
			a := nightAlarm(fmt.Sprintf("%032x", r.Uint64()), fmt.Sprintf("device_%05d", r.IntN(3000)), benchStart+week*int64(i)/alarms)
			a.Location.Building, a.Severity = fmt.Sprint("B", r.IntN(10)), telemetry.SeverityLow
			a.Revision, a.Status, a.State, a.ClearedAt = 3, telemetry.AlertCleared, telemetry.AlarmNormal, a.RaisedAt+r.Int64N(7_200_000)
			a.Ack = &telemetry.Ack{By: "operator", At: a.RaisedAt + r.Int64N(600_000)}
			if i%100 == 0 {
				a.OccurrenceCount = 2
				a.History = []telemetry.AlarmChange{{At: a.RaisedAt, Event: telemetry.EventRaised}, {At: a.RaisedAt + 1, Event: telemetry.EventCleared}, {At: a.RaisedAt + 2, Event: telemetry.EventRepeated}}
			}
			records = append(records, alarmRecord(0, int64(i), a))
		}
		require.NoError(b, s.Write(b.Context(), topic, records))
	}
	for _, building := range []string{"", "B3"} {
		b.Run("building="+building, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q := ReportQuery{Building: building, From: benchStart, To: benchStart + week}
				made := report.New(q.From, q.To)
				_, err := s.Report(b.Context(), &q, made)
				require.NoError(b, err)
				require.NotZero(b, made.Figures().Raised.Total)
			}
		})
	}
}

// nightAlarm is an alarm that was raised and holds.
func nightAlarm(id, device string, at int64) telemetry.Alert {
	return telemetry.Alert{
		AlertID: id, DeviceID: device, AlertType: "temperature_high", Severity: telemetry.SeverityHigh, Message: "temperature 91.3 °C is above 80 °C", Timestamp: at,
		Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged, Rule: "temperature_high", Source: telemetry.SourceRule, Event: telemetry.EventRaised,
		Revision: 1, Priority: 2, RaisedAt: at, DetectedAt: at, OccurrenceCount: 1, Location: telemetry.Location{Building: "A栋", Floor: 2, Room: "201"}, Gateway: "gw-a",
	}
}
