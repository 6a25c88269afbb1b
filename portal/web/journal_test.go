package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
)

// withStore gives a portal a database, and next to no audit trail in memory.
func withStore(path string) func(*Options) {
	return func(o *Options) {
		o.Config.StorePath, o.Config.AuditEntries = path, 1
	}
}

// pastAlarms are alarms of some days.
func pastAlarms() []telemetry.Alert {
	const hour = 3_600_000
	of := func(id, device string, severity telemetry.Severity, raised, ended int64) telemetry.Alert {
		a := alarm(id, device, 1, telemetry.AlarmUnacknowledged)
		a.Severity, a.RaisedAt, a.Timestamp, a.Rule = severity, raised, raised, "hot"
		a.Location = telemetry.Location{Building: "A栋", Floor: 2, Room: "201"}
		if ended != 0 {
			a.Revision, a.Status, a.State, a.ClearedAt, a.Timestamp = 2, telemetry.AlertCleared, telemetry.AlarmNormal, ended, ended
		}
		return a
	}
	out := []telemetry.Alert{
		of("a1", "d1", telemetry.SeverityCritical, 100*hour, 101*hour), of("a2", "d2", telemetry.SeverityLow, 102*hour, 0),
		of("a3", "d1", telemetry.SeverityLow, 103*hour, 140*hour), of("a4", "d3", telemetry.SeverityHigh, 130*hour, 131*hour),
	}
	out[3].Location.Building, out[3].Message = "B栋", "=SUM(A1), \"hot\""
	out[3].AlertType = "odd" // of no known type: the message is all there is
	return out
}

func (r *rig) journalIDs(query string) (ids []string, complete bool) {
	r.tb.Helper()
	var j struct {
		Total, Count int
		Complete     bool
		Items        []telemetry.Alert
	}
	r.getJSON("/api/v1/journal?"+query, &j)
	ids = []string{}
	for _, a := range j.Items {
		ids = append(ids, a.AlertID)
	}
	require.Len(r.tb, ids, j.Count)
	return ids, j.Complete
}

func (r *rig) storeFilled() {
	r.tb.Helper()
	r.eventually("the database", func() bool { return r.portal.store.Up() == nil && !r.portal.feed.StoreBehind() })
}

var journalAnswers = map[string][]string{
	"": {"a4", "a3", "a2", "a1"}, "limit=2&offset=1": {"a3", "a2"}, "device_id=d1": {"a3", "a1"}, "building=" + url.QueryEscape("B栋"): {"a4"},
	"severity=critical,high": {"a4", "a1"}, "rule=hot&state=unacknowledged": {"a2"}, "rule=cold": {}, "floor=3": {}, "q=sum": {"a4"}, "q=D3": {"a4"},
	"from=381600000": {"a4", "a3", "a2"}, "from=361800000&to=369000000": {"a2", "a1"}, "to=363600000": {"a1"}, "source=watchdog": {},
}

func TestJournalFromTheDatabase(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	r.raise(pastAlarms()...)
	r.storeFilled()
	r.eventually("stored", func() bool {
		ids, complete := r.journalIDs("")
		return len(ids) == 4 && complete
	})
	for query, want := range journalAnswers {
		ids, complete := r.journalIDs(query)
		require.Equal(t, want, ids, query)
		require.True(t, complete)
	}
	for _, query := range []string{"severity=bad", "from=x", "from=5&to=5", "status=active", "offset=10001", "who=me", "floor=high"} {
		r.refused("/api/v1/journal?"+query, http.StatusBadRequest, "bad_parameter")
	}
	require.Contains(t, r.refused("/api/v1/audit?offset=10001", http.StatusBadRequest, "bad_parameter"), "from and to")
	var s struct{ Store storeState }
	r.eventually("stats", func() bool {
		r.getJSON("/api/v1/stats", &s)
		return s.Store == storeState{Up: true}
	})
	var one struct{ Alert telemetry.Alert }
	r.getJSON("/api/v1/alerts/a4", &one)
	require.Equal(t, "d3", one.Alert.DeviceID)
	a, err := r.portal.store.Alarm(t.Context(), "a4")
	require.NoError(t, err)
	require.Equal(t, one.Alert, a.Alert)
	r.refused("/api/v1/alerts/nobody", http.StatusNotFound, "alert_not_found")
}

func TestJournalFromMemory(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(pastAlarms()...)
	for query, want := range journalAnswers {
		ids, complete := r.journalIDs(query)
		require.Equal(t, want, ids, query)
		require.False(t, complete, "there is no database")
	}
	r.refused("/api/v1/journal.csv", http.StatusServiceUnavailable, "store_off")
	r.refused("/api/v1/audit.csv", http.StatusServiceUnavailable, "store_off")
	var s map[string]json.RawMessage
	r.getJSON("/api/v1/stats", &s)
	require.Equal(t, "null", string(s["store"]))
}

// rows reads a file for spreadsheets.
func (r *rig) rows(path string) [][]string {
	r.tb.Helper()
	a := r.get(path)
	require.Equal(r.tb, http.StatusOK, a.status, a.body)
	require.Equal(r.tb, "text/csv; charset=utf-8", a.header.Get("Content-Type"))
	require.Contains(r.tb, a.header.Get("Content-Disposition"), ".csv")
	text, ok := strings.CutPrefix(a.body, byteOrderMark)
	require.True(r.tb, ok)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(r.tb, err)
	return rows
}

func TestThePastAsFilesForSpreadsheets(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	r.raise(pastAlarms()...)
	var records []kafkatest.Record
	for i := range 2500 { // more than one step
		raw, err := json.Marshal(telemetry.AuditEntry{Time: int64(i), DeviceID: "d1", AlertType: "t", By: "@李工", Note: fmt.Sprint(i)})
		require.NoError(t, err)
		records = append(records, kafkatest.Record{Key: []byte("d1"), Value: raw})
	}
	kafkatest.Produce(t, r.brokers, r.cfg.Audit, -1, records...)
	r.eventually("stored", func() bool {
		return len(r.rows("/api/v1/audit.csv")) == 2501 && len(r.rows("/api/v1/journal.csv")) == 5
	})
	rows := r.rows("/api/v1/journal.csv")
	require.Equal(t, journalHead, rows[0])
	require.Len(t, rows, 5)
	require.Equal(t, "1970-01-06T10:00:00.000Z", rows[1][0])
	require.Equal(t, []string{"3600", "high", "normal", "d3", "B栋", "2", "201"}, rows[1][2:9])
	require.Equal(t, "'=SUM(A1), \"hot\"", rows[1][10], "no formula")
	require.Equal(t, []string{"", ""}, rows[3][1:3], "it holds")
	require.Equal(t, "触发时间", r.rows("/api/v1/journal.csv?lang=zh&from=381600000")[0][0])
	require.Len(t, r.rows("/api/v1/journal.csv?from=381600000"), 4)

	rows = r.rows("/api/v1/audit.csv?device_id=d1")
	require.Equal(t, auditHead, rows[0])
	require.Len(t, rows, 2501)
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		require.Equal(t, "'@李工", row[2])
		seen[row[6]] = true
	}
	require.Len(t, seen, 2500)
	require.Equal(t, "操作人", r.rows("/api/v1/audit.csv?lang=zh&by=nobody")[0][2])
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+r.portal.Addr()+"/api/v1/audit.csv", nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Timeout: waitTimeout}).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	r.refused("/api/v1/audit.csv?lang=fr", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/audit.csv?limit=5", http.StatusBadRequest, "bad_parameter")
}

func TestAuditTrailIsLongerThanMemory(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	r.audited(
		telemetry.AuditEntry{Time: 1, DeviceID: "d1", Building: "A栋", Rule: "hot", AlertType: "t", AlertID: "a1", Revision: 1, Event: telemetry.EventRaised},
		telemetry.AuditEntry{Time: 2, DeviceID: "d1", AlertType: "t", AlertID: "a1", Revision: 2, By: "李工", CommandID: "c1", Action: "acknowledge", Outcome: "applied"},
		telemetry.AuditEntry{Time: 3, DeviceID: "d2", AlertType: "t", AlertID: "a2", By: "Zhang", CommandID: "c2", Action: "shelve", Outcome: "refused"},
	)
	var a auditAnswer
	r.eventually("stored", func() bool {
		a = auditAnswer{}
		r.getJSON("/api/v1/audit", &a)
		return a.Total == 3 && a.Complete
	})
	require.Zero(t, a.Since)
	for query, want := range map[string][]int64{
		"building=" + url.QueryEscape("A栋"): {1}, "rule=hot": {1}, "rule=cold": {}, "by=Zhang": {3}, "sort=recorded_at": {1, 2, 3}, "limit=1&offset=1": {2},
		"action=acknowledge,shelve&outcome=refused": {3}, "command_id=c1": {2}, "alert_id=a1": {2, 1},
	} {
		a = auditAnswer{}
		r.getJSON("/api/v1/audit?"+query, &a)
		got := []int64{}
		for _, e := range a.Items {
			got = append(got, e.Time)
		}
		require.Equal(t, want, got, query)
	}
	var h historyAnswer
	r.getJSON("/api/v1/alerts/a1/history", &h)
	require.Equal(t, 2, h.Total)
	require.True(t, h.Complete)
	r.refused("/api/v1/alerts/nobody/history", http.StatusNotFound, "alert_not_found")
}

// TestPortalWithoutItsDatabase has a file in the place of the database's directory.
func TestPortalWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(dir, []byte("in the way"), 0o600))
	r := start(t, func(o *Options) { o.Config.StorePath = filepath.Join(dir, "portal.db") })
	r.publish("gw-a", reading("d1", "A栋", r.portal.model.Now()))
	r.raise(pastAlarms()...)
	r.audited(telemetry.AuditEntry{Time: 1, DeviceID: "d1", AlertType: "t", AlertID: "a1", Revision: 1})
	r.eventually("values are shown", func() bool {
		var l struct{ Total int }
		r.getJSON("/api/v1/devices", &l)
		return l.Total >= 1
	})
	var s struct{ Store storeState }
	r.getJSON("/api/v1/stats", &s)
	require.Equal(t, storeState{Behind: true}, s.Store)
	ids, complete := r.journalIDs("")
	require.Equal(t, []string{"a4", "a3", "a2", "a1"}, ids)
	require.False(t, complete)
	r.eventually("the trail in memory", func() bool {
		var a auditAnswer
		r.getJSON("/api/v1/audit", &a)
		return a.Total == 1 && !a.Complete
	})
	require.Contains(t, r.refused("/api/v1/journal.csv", http.StatusServiceUnavailable, "store_unavailable"), "log")
	metrics := r.get("/metrics").body
	require.Contains(t, metrics, "portal_store_up 0")
	require.Contains(t, metrics, "portal_store_behind 1")
	require.Contains(t, metrics, `portal_http_requests_total{class="5xx"} 1`)
	require.NoError(t, os.Remove(dir))
	r.eventually("it catches up", func() bool {
		ids, complete := r.journalIDs("")
		return complete && len(ids) == 4
	})
	metrics = r.get("/metrics").body
	require.Contains(t, metrics, "portal_store_up 1")
	require.Contains(t, metrics, "portal_store_behind 0")
}

// TestFilesSayWhatThePageSays: alarms in the reader's language and time zone.
func TestFilesSayWhatThePageSays(t *testing.T) {
	t.Parallel()
	const raised = 1_764_300_000_000 // 11:20 in Shanghai
	rate, silent := alarm("r", "d1", 1, telemetry.AlarmUnacknowledged), alarm("s", "d2", 1, telemetry.AlarmUnacknowledged)
	rate.AlertType, rate.RaisedAt, rate.Measure = "temperature_rate", raised+1, telemetry.Measure{Kind: "rate", Unit: "°C", Per: "minute"}
	rate.Threshold, rate.CurrentValue, rate.PeakValue = telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 5}, -63.6, -70
	silent.AlertType, silent.Source, silent.RaisedAt, silent.SilentSince = "device_offline", telemetry.SourceWatchdog, raised, raised-45_000
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	r.raise(rate, silent)
	r.audited(telemetry.AuditEntry{Time: raised, DeviceID: "d2", AlertType: "device_offline", AlertID: "s", Revision: 1, Event: telemetry.EventRaised},
		telemetry.AuditEntry{Time: raised + 1, DeviceID: "d2", AlertType: "device_offline", AlertID: "s", By: "李工", Action: telemetry.ActionAcknowledge, Outcome: telemetry.OutcomeNothing, Reason: "it is acknowledged already by 王工"})
	r.eventually("stored", func() bool {
		ids, complete := r.journalIDs("")
		return complete && len(ids) == 2
	})
	const column, limit = 10, 13
	for query, want := range map[string][2]string{
		"?zone=Asia/Shanghai":         {"Temperature falls 63.6\u2009°C/min, limit 5", "silent since 11:19"},
		"?lang=zh&zone=Asia/Shanghai": {"温度下降 63.6\u2009°C/min，限值 5", "自 11:19 起无数据"},
		"":                            {"Temperature falls 63.6\u2009°C/min, limit 5", "silent since 03:19"},
	} {
		rows := r.rows("/api/v1/journal.csv" + query)
		require.Len(t, rows, 3, query)
		require.Equal(t, want, [2]string{rows[1][column], rows[2][column]}, query)
		require.Equal(t, "temperature > 5 °C/min", rows[1][limit])
	}
	r.refused("/api/v1/journal.csv?zone=Local", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/audit.csv?zone=Nowhere/Land", http.StatusBadRequest, "bad_parameter")
	r.eventually("the trail", func() bool { return len(r.rows("/api/v1/audit.csv?lang=zh")) == 3 })
	rows := r.rows("/api/v1/audit.csv?lang=zh")
	require.Equal(t, "告警", rows[0][16])
	require.Equal(t, "设备离线", rows[1][16])
	said := func(query string) []string {
		for _, row := range r.rows("/api/v1/audit.csv" + query)[1:] {
			if row[2] == "李工" {
				return row[3:6]
			}
		}
		return nil
	}
	require.Equal(t, []string{"确认", "无需处理", "已被确认"}, said("?lang=zh"))
	require.Equal(t, []string{"acknowledge", "nothing_to_do", "it is acknowledged already by 王工"}, said(""))
}

// TestAuditWordsAreThePages compares the words of the file with the page's.
func TestAuditWordsAreThePages(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		source, err := os.ReadFile("../ui/src/" + name)
		require.NoError(t, err)
		return string(source)
	}
	want := map[string]string{"audit.outcome.applied": "已执行"}
	for _, m := range regexp.MustCompile(`(?m)^  '((?:audit\.(?:action|outcome|event|via)|refusal|alarmstate|event)\.\w+)': '(.*)',$`).FindAllStringSubmatch(read("i18n/zh.js")+read("i18n/audit.zh.js"), -1) {
		want[m[1]] = m[2]
	}
	require.Equal(t, want, auditChinese)
	begins := regexp.MustCompile(`\['([^']+)', '(\w+)'\]`).FindAllStringSubmatch(read("model/reasons.js"), -1)
	require.Len(t, begins, len(reasons))
	for i, m := range begins {
		require.Equal(t, reasons[i].begin+" "+reasons[i].key, m[1]+" "+m[2])
	}
}
