//go:build postgres

package web

import (
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
