//go:build postgres

package web

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/pgtest"
)

// TestTwoPortalsShareAPostgreSQL has two portals at one Kafka and one database, which is killed.
func TestTwoPortalsShareAPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	database := server.Database()
	first := start(t, func(o *Options) { o.Config.DatabaseURL = database })
	second := start(t, func(o *Options) {
		o.Config.DatabaseURL, o.Config.Topics, o.Config.Brokers = database, first.cfg.Topics, first.cfg.Brokers
	})
	first.raise(pastAlarms()...)
	same := func() {
		t.Helper()
		for query, want := range journalAnswers {
			for _, r := range []*rig{first, second} {
				r.eventually(query, func() bool {
					ids, complete := r.journalIDs(query)
					return complete && len(ids) == len(want)
				})
				ids, _ := r.journalIDs(query)
				require.Equal(t, want, ids, query)
			}
		}
	}
	same()
	twoShareNotes(t, first, second)
	server.Kill()
	first.audited(telemetry.AuditEntry{Time: 1, DeviceID: "d1", AlertType: "t", AlertID: "a1", Revision: 1})
	for _, r := range []*rig{first, second} {
		r.eventually("from memory", func() bool {
			ids, complete := r.journalIDs("")
			return len(ids) == 4 && !complete
		})
	}
	server.Restart()
	same()
	for _, r := range []*rig{first, second} {
		r.eventually("the entry", func() bool {
			var a auditAnswer
			r.getJSON("/api/v1/audit", &a)
			return a.Total == 1 && a.Complete
		})
	}
}

// twoShareNotes has two portals write notes and views into one database.
func twoShareNotes(t *testing.T, first, second *rig) {
	t.Helper()
	n := into[shiftNoteAnswer](t, first.ask(http.MethodPost, "/api/v1/shiftnotes", `{"by":"李工","text":"from the first"}`), http.StatusOK).Note
	into[shiftNoteAnswer](t, second.ask(http.MethodPost, "/api/v1/shiftnotes/"+n.ID+"/sign", `{"by":"王工"}`), http.StatusOK)
	var got shiftNoteItem
	first.getJSON("/api/v1/shiftnotes/"+n.ID, &got)
	require.Equal(t, "王工", got.Signatures[0].By)
	v := into[viewAnswer](t, second.ask(http.MethodPost, "/api/v1/views", `{"by":"王工","name":"x","page":"alarms"}`), http.StatusOK).View
	require.Equal(t, "409 name_taken name", first.ask(http.MethodPost, "/api/v1/views", `{"by":"李工","name":"x","page":"alarms"}`).code(t))
	for version := range int64(10) { // both change the same version at once
		path, match := "/api/v1/views/"+v.ID, fmt.Sprint(version+1)
		a := first.asking(http.MethodPut, path, `{"by":"李工","name":"first","page":"alarms"}`, "If-Match", match)
		b := second.asking(http.MethodPut, path, `{"by":"王工","name":"second","page":"alarms"}`, "If-Match", match)
		one, two := <-a, <-b
		require.NoError(t, one.err)
		require.NoError(t, two.err)
		statuses := []int{one.status, two.status}
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusConflict}, statuses, "%s %s", one.body, two.body)
		want := []string{"first"}
		if two.status == http.StatusOK {
			want = []string{"second"}
		}
		require.Equal(t, want, first.names("/api/v1/views"))
		require.Equal(t, want, second.names("/api/v1/views"))
	}
}
