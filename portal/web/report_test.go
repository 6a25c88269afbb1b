package web

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// shiftAlarms are alarms of the hour before now: three, of which one is acknowledged and cleared.
func shiftAlarms(now int64) []telemetry.Alert {
	of := func(id, device string, severity telemetry.Severity, minutes int64) telemetry.Alert {
		a := alarm(id, device, 1, telemetry.AlarmUnacknowledged)
		a.Severity, a.RaisedAt, a.Timestamp, a.Rule = severity, now-minutes*60_000, now-minutes*60_000, "hot"
		a.Location = telemetry.Location{Building: "A栋", Floor: 2, Room: "201"}
		return a
	}
	out := []telemetry.Alert{of("a1", "d1", telemetry.SeverityCritical, 50), of("a2", "=d2", telemetry.SeverityLow, 40), of("a3", "d1", telemetry.SeverityCritical, 30)}
	out[0].Revision, out[0].Status, out[0].State, out[0].ClearedAt = 3, telemetry.AlertCleared, telemetry.AlarmNormal, now-45*60_000
	out[0].Ack = &telemetry.Ack{By: "李工", At: now - 48*60_000}
	out[2].Location.Building = "B栋"
	return out
}

// csvReport returns a report's rows.
func (r *rig) csvReport(query string) [][]string {
	r.tb.Helper()
	a := r.get("/api/v1/report.csv?" + query)
	require.Equal(r.tb, http.StatusOK, a.status, a.body)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, byteOrderMark))).ReadAll()
	require.NoError(r.tb, err)
	return rows
}

func TestReportOfAShift(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db"))) // without history
	now := time.Now().UnixMilli()
	r.raise(shiftAlarms(now)...)
	r.storeFilled()
	hour := fmt.Sprintf("from=%d&to=%d", now-3_600_000, now)
	var got plantReport
	r.eventually("counted", func() bool {
		r.getJSON("/api/v1/report?"+hour, &got)
		return got.Raised.Total == 3
	})
	require.Equal(t, 2, got.Raised.Critical)
	require.InDelta(t, 3, got.PerHour, 1e-9)
	require.EqualValues(t, 120_000, *got.AckMedianMS)
	require.Equal(t, 2, got.NeverAcknowledged)
	require.Len(t, got.Criticals, 2)
	require.Len(t, got.Buildings, 2)
	require.Nil(t, got.Buildings[0].Completeness, "not 0")
	require.Contains(t, got.Unknown, unknown{"completeness", "history_off", 0})
	require.False(t, got.Complete, "the audit trail is empty")
	require.Contains(t, got.Unknown, unknown{"alarms", "store_begins", 0})
	require.NotEmpty(t, got.Offsets)
	r.getJSON("/api/v1/report?"+hour+"&building="+url.QueryEscape("B栋"), &got)
	require.Equal(t, 1, got.Raised.Total)
	require.Len(t, got.Buildings, 1)

	sums := map[string]float64{}
	for _, row := range r.csvReport(hour)[1:] {
		require.Len(t, row, len(reportHead))
		if n, err := strconv.ParseFloat(row[6], 64); err == nil {
			sums[row[0]+" "+row[5]] += n
		}
		if row[5] == "completeness" && row[0] == "building" {
			require.Equal(t, "unknown", row[6])
		}
		require.False(t, strings.HasPrefix(row[2], "="), "no cell is a formula")
	}
	require.InDelta(t, 3, sums["alarms raised"], 0)
	require.InDelta(t, 3, sums["building raised"], 0)
	require.InDelta(t, 3, sums["bad_actor count"], 0)
	chinese := r.csvReport(hour + "&lang=zh")
	require.Equal(t, reportHeadChinese, chinese[0])
	require.Equal(t, "报告", chinese[1][0])
	require.Len(t, chinese, len(r.csvReport(hour)))
}

func TestReportRefuses(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	now := time.Now().UnixMilli()
	for _, query := range []string{
		"from=5&to=5", "from=x", fmt.Sprintf("from=%d", now+60_000), fmt.Sprintf("from=%d&to=%d", now-32*24*3_600_000, now), "lang=fr", "since=5",
	} {
		r.refused("/api/v1/report.csv?"+query, http.StatusBadRequest, "bad_parameter")
	}
	none := start(t, withStore(""))
	none.refused("/api/v1/report", http.StatusServiceUnavailable, "store_off")
	var shifts shiftTimes
	none.getJSON("/api/v1/shifts", &shifts)
	require.Equal(t, []string{"00:00", "08:00", "16:00"}, shifts.Starts)
}

// TestReportOfAYoungPlantKnowsItsReadings asks again in finer steps for devices that began to send shortly before the end of a long range.
func TestReportOfAYoungPlantKnowsItsReadings(t *testing.T) {
	t.Parallel()
	began := time.Now().UnixMilli() - 120_000
	h := startHistorian(t, func(q *history.Query) (history.Series, int) {
		s := history.Series{IntervalMS: 1000, Begins: began, StepMS: q.Step, Values: map[string]history.Column{}}
		if len(q.Devices) > 0 {
			col := history.Column{}
			for at := (began + q.Step - 1) / q.Step * q.Step; at+q.Step <= q.To+1; at += q.Step {
				s.Time, col.N = append(s.Time, at), append(col.N, q.Step/1000)
			}
			s.Values["temperature"] = col
		}
		return s, http.StatusOK
	})
	r := start(t, func(o *Options) {
		withStore(filepath.Join(t.TempDir(), "portal.db"))(o)
		o.Config.HistoryURL = h.URL
	})
	populate(r)
	r.storeFilled()
	var got plantReport
	now := time.Now().UnixMilli()
	r.eventually("a building", func() bool {
		r.getJSON(fmt.Sprintf("/api/v1/report?from=%d&to=%d", now-7*dayMS, now), &got)
		return len(got.Buildings) > 0
	})
	for _, b := range got.Buildings {
		require.NotNil(t, b.Completeness, b.Building)
		require.InDelta(t, 1, *b.Completeness, 0.02, b.Building)
	}
}

func TestShiftsAreChecked(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{"": true, "06:00,14:00,22:00": true, "00:00": true, "6:00": false, "08:00,08:00": false, "16:00,08:00": false, "24:00": false, "now": false} {
		var starts []string
		if text != "" {
			starts = strings.Split(text, ",")
		}
		require.Equal(t, good, checkShifts(starts) == nil, text)
	}
}

// TestReadingStepHoldsTheRange keeps questions to the history small.
func TestReadingStepHoldsTheRange(t *testing.T) {
	t.Parallel()
	for _, span := range []int64{60_000, 8 * 3_600_000, 7 * 24 * 3_600_000, longestReport} {
		q := history.Query{Buildings: []string{"A"}, From: 0, To: span, Step: readingStep(0, span)}
		require.NoError(t, q.Check())
	}
}
