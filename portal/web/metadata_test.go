package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/metadata"
)

func into[T any](tb testing.TB, a answer, status int) (v T) {
	tb.Helper()
	require.Equal(tb, status, a.status, a.body)
	require.NoError(tb, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

// code returns the code and the field of an error.
func (a answer) code(tb testing.TB) string {
	tb.Helper()
	var e errorAnswer
	require.NoError(tb, json.Unmarshal([]byte(a.body), &e), a.body)
	return strings.TrimSpace(fmt.Sprint(a.status, " ", e.Error.Code, " ", e.Error.Field))
}

func keeping(t *testing.T) *rig {
	t.Helper()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	r.storeFilled()
	return r
}

func (r *rig) names(path string) []string {
	r.tb.Helper()
	var l struct {
		Total int
		Items []struct{ Name, Text, DeviceID string }
	}
	r.getJSON(path, &l)
	out := []string{}
	for _, i := range l.Items {
		out = append(out, i.Name+i.Text)
	}
	require.Len(r.tb, out, l.Total)
	return out
}

func TestViewsAreSavedAndNobodyOverwritesAnother(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	const path = "/api/v1/views"
	a := r.ask(http.MethodPost, path, `{"by":"李工","name":"未确认","page":"alarms","query":"state=unacknowledged&building=A%E6%A0%8B"}`)
	require.Equal(t, `"1"`, a.header.Get("ETag"))
	v := into[viewAnswer](t, a, http.StatusOK)
	require.Equal(t, changeSaved, v.Outcome)
	require.Equal(t, metadata.View{Scope: metadata.Scope{Scope: "shared", Name: "未确认"}, Page: "alarms", Query: "state=unacknowledged&building=A%E6%A0%8B"}, v.View.View)
	require.Equal(t, "李工", v.View.CreatedBy)
	require.Equal(t, "409 name_taken name", r.ask(http.MethodPost, path, `{"by":"王工","name":"未确认","page":"devices"}`).code(t))
	into[viewAnswer](t, r.ask(http.MethodPost, path, `{"name":"未确认","page":"devices","scope":"own"}`, "X-Operator", "Wang"), http.StatusOK)
	require.Equal(t, []string{"未确认"}, r.names(path))
	require.Equal(t, []string{"未确认", "未确认"}, r.names(path+"?by=Wang"))
	require.Equal(t, []string{"未确认"}, r.names(path+"?by=Wang&scope=own&page=devices"))
	require.Empty(t, r.names(path+"?by=Wang&scope=shared&page=devices"))

	one := path + "/" + v.View.ID
	require.Equal(t, "428 version_missing If-Match", r.ask(http.MethodPut, one, `{"by":"a","name":"b","page":"alarms"}`).code(t))
	require.Equal(t, "400 bad_parameter If-Match", r.ask(http.MethodPut, one, `{"by":"a","name":"b","page":"alarms"}`, "If-Match", "W/x").code(t))
	require.Equal(t, "404 document_not_found", r.ask(http.MethodPut, path+"/nothing", `{"by":"a","name":"b","page":"alarms"}`, "If-Match", "1").code(t))
	b := into[viewAnswer](t, r.ask(http.MethodPut, one, `{"by":"王工","name":"B栋","page":"alarms"}`, "If-Match", `"1"`), http.StatusOK)
	require.EqualValues(t, 2, b.View.Version)
	require.Equal(t, "李工", b.View.CreatedBy)
	require.Equal(t, "王工", b.View.ChangedBy)
	late := r.ask(http.MethodPut, one, `{"by":"Zhang","name":"late","page":"alarms"}`, "If-Match", `"1"`)
	require.Equal(t, "409 conflict If-Match", late.code(t))
	require.Contains(t, late.body, "王工 changed it in between, to version 2")
	require.Equal(t, "409 conflict If-Match", r.ask(http.MethodDelete, one, `{"by":"Zhang"}`, "If-Match", "1").code(t))
	var got viewItem
	r.getJSON(one, &got)
	require.Equal(t, b.View, got)
	gone := into[viewAnswer](t, r.ask(http.MethodDelete, one, "", "If-Match", "2", "X-Operator", "Zhang"), http.StatusOK)
	require.True(t, gone.View.Deleted)
	r.refused(one, http.StatusNotFound, "document_not_found")
	require.Empty(t, r.names(path))
}

func TestOneOfManyConcurrentChangesApplies(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	v := into[viewAnswer](t, r.ask(http.MethodPost, "/api/v1/views", `{"by":"a","name":"x","page":"alarms"}`), http.StatusOK)
	var replies []<-chan reply
	for i := range 10 {
		replies = append(replies, r.asking(http.MethodPut, "/api/v1/views/"+v.View.ID, fmt.Sprintf(`{"by":"p%d","name":"y%d","page":"alarms"}`, i, i), "If-Match", "1"))
	}
	winner := ""
	for _, c := range replies {
		got := <-c
		require.NoError(t, got.err)
		if got.status == http.StatusOK {
			require.Empty(t, winner, "two were told that they saved version 2")
			winner = into[viewAnswer](t, got.answer, http.StatusOK).View.Name
			continue
		}
		require.Equal(t, "409 conflict If-Match", got.code(t))
	}
	require.Equal(t, []string{winner}, r.names("/api/v1/views"))
}

func TestBadDocumentsAreRefusedWithTheirField(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	long := strings.Repeat("x", 2049)
	for path, bodies := range map[string]map[string]string{
		"/api/v1/views": {
			`{"name":"a","page":"alarms"}`:                                 "by", // operator_missing
			`{"by":"a","page":"alarms"}`:                                   "name",
			`{"by":"a","name":" a","page":"alarms"}`:                       "name",
			`{"by":"a","name":"a\nb","page":"alarms"}`:                     "name",
			`{"by":"a","name":"a"}`:                                        "page",
			`{"by":"a","name":"a","page":"//evil.example"}`:                "page",
			`{"by":"a","name":"a","page":"alarms","query":"q=<b>"}`:        "query",
			`{"by":"a","name":"a","page":"alarms","query":"q=%zz"}`:        "query",
			`{"by":"a","name":"a","page":"alarms","query":"q=1#x"}`:        "query",
			`{"by":"a","name":"a","page":"alarms","query":"` + long + `"}`: "query",
			`{"by":"a","name":"a","page":"alarms","subject":".."}`:         "subject",
			`{"by":"a","name":"a","page":"alarms","scope":"all"}`:          "scope",
			`{"by":"a","name":"a","page":"alarms","colour":1}`:             "colour",
			`{"by":"a","name":"a","page":"alarms","id":"device.d1"}`:       "id",
			`{"by":"` + long + `","name":"a","page":"alarms"}`:             "by",
		},
		"/api/v1/dashboards": {
			`{"by":"a","name":"a","tiles":{}}`:                                                                                    "tiles",
			`{"by":"a","name":"a","tiles":[{"title":"x"}]}`:                                                                       "tiles",
			`{"by":"a","name":"a","tiles":[{"type":"pie"}]}`:                                                                      "tiles",
			`{"by":"a","name":"a","tiles":[{"type":"chart","width":13}]}`:                                                         "tiles",
			`{"by":"a","name":"a","tiles":[{"type":"chart","colour":"x"}]}`:                                                       "tiles",
			`{"by":"a","name":"a","tiles":[` + strings.Repeat(`{"type":"text","text":"`+long[1:]+`"},`, 30) + `{"type":"text"}]}`: "tiles",
		},
		"/api/v1/shiftnotes": {
			`{"by":"a"}`:                                 "text",
			`{"by":"a","text":" \n"}`:                    "text",
			`{"by":"a","text":"a\u0007b"}`:               "text",
			`{"by":"a","text":"` + long + long + `"}`:    "text",
			`{"by":"a","text":"x","shift_start":-1}`:     "shift_start",
			`{"by":"a","text":"x","replaces":"nothing"}`: "replaces",
			`{"by":"a","text":"x","building":"a\tb"}`:    "building",
			`{"by":"a","text":"x","priority":"very"}`:    "priority",
			`{"by":"a","text":"x","shift_start":9e17}`:   "shift_start",
		},
	} {
		for body, field := range bodies {
			a := r.ask(http.MethodPost, path, body)
			require.Equal(t, http.StatusBadRequest, a.status, "%.100s", body)
			require.Contains(t, a.code(t), " "+field, "%.100s: %s", body, a.body)
		}
	}
	a := r.ask(http.MethodPost, "/api/v1/dashboards", `{"by":"a","name":"a","tiles":[{"type":"text"},{"type":"pie"}]}`)
	require.Contains(t, a.body, "tiles/1/type")
	require.Contains(t, a.body, "gauge", "what would be right")
	require.Equal(t, "403 origin_not_allowed", r.ask(http.MethodPost, "/api/v1/shiftnotes", `{"by":"a","text":"x"}`, "Origin", "https://evil.example").code(t))
	require.Equal(t, "415 unsupported_media_type", r.ask(http.MethodPost, "/api/v1/shiftnotes", `{"by":"a","text":"x"}`, "Content-Type", "text/plain").code(t))
	r.refused("/api/v1/shiftnotes?from=x", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/registry?removed=perhaps", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/views?offset=10001", http.StatusBadRequest, "bad_parameter")
	require.Empty(t, r.names("/api/v1/shiftnotes"))
}

func TestDashboards(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	const tiles = `[{"type":"chart","title":"温度","query":"device_id=d1","width":6},{"type":"text","text":"<b>"}]`
	d := into[dashboardAnswer](t, r.ask(http.MethodPost, "/api/v1/dashboards", `{"by":"李工","id":"main","name":"冷冻站","scope":"own","description":"x","tiles":`+tiles+`}`), http.StatusOK)
	require.Equal(t, "main", d.Dashboard.ID)
	require.Len(t, d.Dashboard.Tiles, 2)
	one := "/api/v1/dashboards/main"
	require.Equal(t, "403 not_owner", r.ask(http.MethodPut, one, `{"by":"王工","name":"x","tiles":[]}`, "If-Match", "1").code(t))
	require.Equal(t, "403 not_owner", r.ask(http.MethodDelete, one, `{"by":"王工"}`, "If-Match", "1").code(t))
	into[dashboardAnswer](t, r.ask(http.MethodPut, one, `{"by":"李工","name":"冷冻站 2","tiles":[]}`, "If-Match", "1"), http.StatusOK)
	require.Equal(t, []string{"冷冻站 2"}, r.names("/api/v1/dashboards?by="+url.QueryEscape("李工")))
	require.Empty(t, r.names("/api/v1/dashboards"))
	require.Equal(t, "404 document_not_found", r.get("/api/v1/views/main").code(t))
	require.Equal(t, "409 id_used id", r.ask(http.MethodPost, "/api/v1/views", `{"by":"李工","id":"main","name":"x","page":"alarms"}`).code(t))
	big := strings.Repeat(`{"type":"text","text":"`+strings.Repeat("x", 2000)+`"},`, 29) + `{"type":"text"}`
	into[dashboardAnswer](t, r.ask(http.MethodPost, "/api/v1/dashboards", `{"by":"李工","name":"big","tiles":[`+big+`]}`), http.StatusOK)
}

func TestShiftNotesAreCorrectedAndSignedButNeverChanged(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	const path = "/api/v1/shiftnotes"
	write := func(body string) shiftNoteItem {
		t.Helper()
		return into[shiftNoteAnswer](t, r.ask(http.MethodPost, path, body), http.StatusOK).Note
	}
	first := write(`{"by":"李工","id":"n1","building":"A栋","shift_start":1000000,"text":"=3号泵有异响","priority":true}`)
	require.Equal(t, first, write(`{"by":"李工","id":"n1","building":"A栋","shift_start":1000000,"text":"=3号泵有异响","priority":true}`), "sent again it is one")
	require.Equal(t, "409 id_used id", r.ask(http.MethodPost, path, `{"by":"李工","id":"n1","text":"another"}`).code(t))
	second := write(`{"by":"王工","shift_start":2000000,"text":"all quiet"}`)
	fixed := write(`{"by":"李工","building":"A栋","shift_start":1000000,"text":"4号泵有异响","priority":true,"replaces":"n1"}`)
	require.Equal(t, "409 replaced replaces", r.ask(http.MethodPost, path, `{"by":"王工","text":"5号泵","replaces":"n1"}`).code(t))
	signed := into[shiftNoteAnswer](t, r.ask(http.MethodPost, path+"/"+fixed.ID+"/sign", `{"by":"王工"}`), http.StatusOK)
	require.Equal(t, "王工", signed.Note.Signatures[0].By)
	require.EqualValues(t, 2, signed.Note.Version)
	require.EqualValues(t, 2, into[shiftNoteAnswer](t, r.ask(http.MethodPost, path+"/"+fixed.ID+"/sign", `{"by":"王工"}`), http.StatusOK).Note.Version, "twice is once")
	require.Equal(t, "404 document_not_found", r.ask(http.MethodPost, path+"/nothing/sign", `{"by":"王工"}`).code(t))
	var signing sync.WaitGroup
	for i := range 4 {
		c := r.asking(http.MethodPost, path+"/"+second.ID+"/sign", fmt.Sprintf(`{"by":"p%d"}`, i))
		signing.Go(func() {
			if got := <-c; got.err != nil || got.status != http.StatusOK {
				t.Errorf("a signature was refused: %v %s", got.err, got.body)
			}
		})
	}
	signing.Wait()
	var got shiftNoteItem
	r.getJSON(path+"/"+second.ID, &got)
	require.Len(t, got.Signatures, 4)
	for query, want := range map[string][]string{
		"": {"all quiet", "4号泵有异响", "=3号泵有异响"}, "current=true": {"all quiet", "4号泵有异响"}, "priority=true&current=true": {"4号泵有异响"},
		"building=" + url.QueryEscape("A栋") + "&current=true": {"4号泵有异响"}, "author=" + url.QueryEscape("王工"): {"all quiet"},
		"from=1000001": {"all quiet"}, "to=2000000&q=" + url.QueryEscape("3号"): {"=3号泵有异响"}, "q=QUIET": {"all quiet"},
	} {
		// Notes of one shift are in the order of their ids, which are random.
		require.ElementsMatch(t, want, r.names(path+"?"+query), query)
	}
	r.getJSON(path+"/n1", &got)
	require.Equal(t, fixed.ID, got.ReplacedBy)
	require.Equal(t, first.Text, got.Text)
	rows := r.rows(path + ".csv?current=true&priority=true")
	require.Equal(t, shiftNoteHead, rows[0])
	require.Equal(t, []string{"1970-01-01T00:16:40.000Z", "A栋", "true", "4号泵有异响", "李工"}, rows[1][:5])
	require.Equal(t, []string{"王工", "n1", ""}, rows[1][6:9])
	rows = r.rows(path + ".csv?lang=zh&to=2000000&q=" + url.QueryEscape("=3"))
	require.Equal(t, shiftNoteHeadChinese, rows[0])
	require.Equal(t, "'=3号泵有异响", rows[1][3], "no formula")
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
		require.Contains(t, []int{404, 405}, r.ask(method, path+"/n1", `{"by":"a","text":"x"}`, "If-Match", "1").status)
	}
}

func TestNotesOnDevicesKeepWhatTheyWere(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	r.known("d1")
	const path = "/api/v1/devices/d1/notes"
	require.Equal(t, "404 device_not_found", r.ask(http.MethodPost, "/api/v1/devices/d9/notes", `{"by":"a","text":"x"}`).code(t))
	n := into[deviceNoteAnswer](t, r.ask(http.MethodPost, path, `{"by":"李工","text":"探头已更换"}`), http.StatusOK).Note
	one := path + "/" + n.ID
	into[deviceNoteAnswer](t, r.ask(http.MethodPut, one, `{"by":"王工","text":"探头已校准"}`, "If-Match", "1"), http.StatusOK)
	require.Equal(t, "404 document_not_found", r.ask(http.MethodPut, "/api/v1/devices/d2/notes/"+n.ID, `{"by":"a","text":"x"}`, "If-Match", "2").code(t))
	require.Equal(t, []string{"探头已校准"}, r.names(path))
	into[deviceNoteAnswer](t, r.ask(http.MethodDelete, one, `{"by":"Zhang"}`, "If-Match", "2"), http.StatusOK)
	require.Empty(t, r.names(path))
	require.Equal(t, []string{"探头已校准"}, r.names(path+"?deleted=true"))
	var h pages[changeItem]
	r.getJSON(one+"/history", &h)
	for i := range h.Items {
		require.NotZero(t, h.Items[i].At)
		h.Items[i].At = 0
	}
	require.Equal(t, []changeItem{{3, 0, "Zhang", true, "探头已校准"}, {2, 0, "王工", false, "探头已校准"}, {1, 0, "李工", false, "探头已更换"}}, h.Items)
	r.refused("/api/v1/devices/d2/notes/"+n.ID+"/history", http.StatusNotFound, "document_not_found")
	require.Equal(t, "404 document_not_found", r.ask(http.MethodDelete, one, `{"by":"Zhang"}`, "If-Match", "3").code(t))
}

func TestRegistryHasEveryDeviceEver(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	r.known("d1")
	r.publish("gw-a", reading("d2", "A栋", r.portal.model.Now()))
	r.described(telemetry.DeviceMeta{DeviceID: "d2", Name: "东侧循环泵", Tags: []string{"pump"}, Revision: 1, By: "李工", At: 77})
	var l pages[registryItem]
	r.eventually("registered", func() bool {
		r.getJSON("/api/v1/registry?q="+url.QueryEscape("循环泵"), &l)
		return l.Total == 1
	})
	d2 := l.Items[0]
	require.Equal(t, []any{"d2", "A栋", "201", "IOT-SENSOR-V2", "gw-a", []string{"pump"}, "李工"}, []any{d2.DeviceID, d2.Building, d2.Room, d2.Model, d2.Gateway, d2.Tags, d2.DescribedBy})
	one := "/api/v1/registry/d2"
	a := r.ask(http.MethodPut, one, `{"by":"王工","place":"冷冻站","expected_interval_s":5}`, "If-Match", "0")
	f := into[registryAnswer](t, a, http.StatusOK)
	require.Equal(t, "冷冻站", f.Device.Place)
	require.Equal(t, "409 conflict If-Match", r.ask(http.MethodPut, one, `{"by":"Zhang","place":"x"}`, "If-Match", "0").code(t))
	require.Equal(t, "400 bad_field expected_interval_s", r.ask(http.MethodPut, one, `{"by":"Zhang","expected_interval_s":-1}`, "If-Match", "1").code(t))
	require.Equal(t, "404 device_not_found", r.ask(http.MethodPut, "/api/v1/registry/d9", `{"by":"Zhang"}`, "If-Match", "0").code(t))
	r.audited(telemetry.AuditEntry{Time: 1, DeviceID: "d2", Building: "A栋", By: "Zhang", Action: telemetry.ActionRemove, Outcome: telemetry.OutcomeApplied})
	kafkatest.Produce(t, r.brokers, r.cfg.DeviceState, -1, kafkatest.Record{Key: []byte("d2")})
	r.eventually("removed", func() bool {
		r.getJSON("/api/v1/registry?removed=true", &l)
		return l.Total == 1
	})
	got := into[registryAnswer](t, r.get(one), http.StatusOK)
	require.EqualValues(t, 1, got.Version)
	require.Equal(t, []any{"冷冻站", "Zhang", "东侧循环泵"}, []any{got.Device.Place, got.Device.RemovedBy, got.Device.Name})
	require.NotNil(t, got.Device.RemovedAt)
	into[deviceNoteAnswer](t, r.ask(http.MethodPost, "/api/v1/devices/d2/notes", `{"by":"李工","text":"scrapped"}`), http.StatusOK)
	rows := r.rows("/api/v1/registry.csv?removed=false&lang=zh")
	require.Equal(t, registryHeadChinese, rows[0])
	require.Len(t, rows, 2)
	r.publish("gw-a", reading("d2", "B栋", r.portal.model.Now()+1000))
	r.eventually("it is back", func() bool {
		got := into[registryAnswer](t, r.get(one), http.StatusOK)
		return got.Device.RemovedAt == nil && got.Device.Building == "B栋" && got.Device.Place == "冷冻站"
	})
	r.refused("/api/v1/registry/d9", http.StatusNotFound, "device_not_found")
}

// TestNothingSavedIsLostWithTheFile damages and deletes the database's file.
func TestNothingSavedIsLostWithTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "portal.db")
	r := start(t, withStore(path))
	r.known("d1")
	r.storeFilled()
	for i := range 30 {
		into[shiftNoteAnswer](t, r.ask(http.MethodPost, "/api/v1/shiftnotes", fmt.Sprintf(`{"by":"李工","id":"n%d","text":"note %d"}`, i, i)), http.StatusOK)
	}
	into[shiftNoteAnswer](t, r.ask(http.MethodPost, "/api/v1/shiftnotes/n7/sign", `{"by":"王工"}`), http.StatusOK)
	v := into[viewAnswer](t, r.ask(http.MethodPost, "/api/v1/views", `{"by":"a","name":"x","page":"alarms"}`), http.StatusOK)
	into[viewAnswer](t, r.ask(http.MethodPut, "/api/v1/views/"+v.View.ID, `{"by":"b","name":"y","page":"alarms"}`, "If-Match", "1"), http.StatusOK)
	into[deviceNoteAnswer](t, r.ask(http.MethodPost, "/api/v1/devices/d1/notes", `{"by":"a","text":"on d1"}`), http.StatusOK)
	r.audited(telemetry.AuditEntry{Time: 1, DeviceID: "gone", Building: "A栋", By: "Zhang", Action: telemetry.ActionRemove, Outcome: telemetry.OutcomeApplied})
	everything := func() string {
		var out strings.Builder
		for _, path := range []string{"/api/v1/shiftnotes?limit=1000", "/api/v1/views", "/api/v1/devices/d1/notes", "/api/v1/registry?removed=true"} {
			a := r.get(path)
			if a.status != http.StatusOK {
				return ""
			}
			var l struct{ Items json.RawMessage }
			require.NoError(t, json.Unmarshal([]byte(a.body), &l))
			fmt.Fprintf(&out, "%s\n%s\n", path, l.Items)
		}
		return out.String()
	}
	r.eventually("the removal", func() bool { return strings.Contains(everything(), `"gone"`) })
	before := everything()
	require.Contains(t, before, "王工")
	again := func() {
		t.Helper()
		old := r.cfg
		r = start(t, func(o *Options) {
			o.Config.StorePath, o.Config.Topics, o.Config.Brokers = path, old.Topics, old.Brokers
		})
		require.Eventually(t, func() bool { return everything() == before }, waitTimeout, 20*time.Millisecond)
	}
	r.stop()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte("damage"), 10_000), 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	again()
	r.stop()
	names, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	for _, name := range names {
		require.NoError(t, os.Remove(name))
	}
	again()
}

// TestNotesAreTakenWhileTheDatabaseIsAway has a file in the place of the database's directory.
func TestNotesAreTakenWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(dir, []byte("in the way"), 0o600))
	r := start(t, func(o *Options) {
		o.Config.StorePath, o.AnswerWithin = filepath.Join(dir, "portal.db"), 100*time.Millisecond
	})
	r.known("d1")
	r.eventually("the topic", func() bool {
		a := r.ask(http.MethodPost, "/api/v1/shiftnotes", `{"by":"李工","id":"n1","shift_start":1,"text":"written in the dark"}`)
		return a.status == http.StatusAccepted && into[shiftNoteAnswer](t, a, http.StatusAccepted).Outcome == changePending
	})
	for _, path := range []string{"/api/v1/shiftnotes", "/api/v1/views", "/api/v1/dashboards/x", "/api/v1/registry", "/api/v1/devices/d1/notes", "/api/v1/shiftnotes.csv"} {
		r.refused(path, http.StatusServiceUnavailable, "store_unavailable")
	}
	require.Equal(t, "503 store_unavailable", r.ask(http.MethodPut, "/api/v1/views/x", `{"by":"a","name":"b","page":"alarms"}`, "If-Match", "1").code(t))
	require.NoError(t, os.Remove(dir))
	r.eventually("it is there", func() bool {
		a := r.get("/api/v1/shiftnotes")
		return a.status == http.StatusOK && strings.Contains(a.body, "written in the dark")
	})
	require.Len(t, r.names("/api/v1/shiftnotes"), 1)
}

func TestPortalWithoutADatabaseKeepsNoNotes(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.known("d1")
	for _, path := range []string{"/api/v1/shiftnotes", "/api/v1/views/x", "/api/v1/registry", "/api/v1/registry/d1", "/api/v1/devices/d1/notes/x/history"} {
		r.refused(path, http.StatusServiceUnavailable, "store_off")
	}
	require.Equal(t, "503 store_off", r.ask(http.MethodPost, "/api/v1/shiftnotes", `{"by":"a","text":"x"}`).code(t))
	require.Equal(t, "503 store_off", r.ask(http.MethodPost, "/api/v1/devices/d1/notes", `{"by":"a","text":"x"}`).code(t))
}
