package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/pipeline"
)

func TestDeadLettersComeFromCoreAndAreReplayedByName(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.refused("/api/v1/dead-letters", http.StatusServiceUnavailable, "core_unavailable")
	_, err := r.nc.Subscribe(wire.DeadLettersSubject, func(m *nats.Msg) { // the request has no data
		_ = m.Respond([]byte(`{"since":5,"reasons":[{"reason":"invalid_json","count":3,"replayed":0,"ready":0,"blocked":{"refused_again":3},"oldest":5,"newest":9,` +
			`"sample":{"partition":1,"offset":7,"time":9,"message":"m","bytes":4,"raw":"e29vcA=="}}],"replays":[{"id":"r","time":8,"by":"Li Wei","reason":"x","count":2}]}`))
	})
	require.NoError(t, err)
	require.NoError(t, r.nc.Flush())
	var list deadLettersJSON
	r.getJSON("/api/v1/dead-letters", &list)
	require.Equal(t, "{oop", string(list.Reasons[0].Sample.Raw))
	require.Equal(t, "Li Wei", list.Replays[0].By)
	require.Equal(t, wire.MaxLettersReplay, list.Most)
	answers(r, wire.DeadLettersReplaySubject, func(q wire.DeadLetterReplayRequest) wire.DeadLetterReplayAnswer {
		if q.Reason == "bad" {
			return wire.DeadLetterReplayAnswer{Error: "Kafka is unavailable at the moment"}
		}
		return wire.DeadLetterReplayAnswer{ID: q.By + "/" + q.Reason, Count: q.Most}
	})
	for body, want := range map[string]string{
		`{"reason":"invalid_timestamp","by":" Li Wei ","most":7}`: `"replay":"Li Wei/invalid_timestamp","count":7`,
		`{"reason":"invalid_timestamp","most":7}`:                 `operator_missing`,
		`{"by":"Li Wei","most":7}`:                                `"field":"reason"`,
		`{"reason":"x","by":"Li Wei"}`:                            `"field":"most"`,
		`{"reason":"x","by":"Li Wei","most":5001}`:                `"field":"most"`,
		`{"reason":"bad","by":"Li Wei","most":1}`:                 `letters_unavailable`,
		`{"reason":"x","by":"` + strings.Repeat("x", 129) + `"}`:  `"field":"by"`,
	} {
		require.Contains(t, r.post("/api/v1/dead-letters/replays", body).body, want, body)
	}
}

func TestTheLevelOfALogIsChangedThroughTheHub(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	core, err := json.Marshal(wire.Vitals{Program: "core", Instance: "h:9103", Host: "h", PID: 1, Version: "1", Started: 1, Time: time.Now().UnixMilli()})
	require.NoError(t, err)
	require.NoError(t, r.nc.Publish(wire.VitalsSubject("core"), core))
	r.eventually("core is known", func() bool { return r.portal.pipeline.Knows("core", "h:9103") })
	const change = `{"program":"core","instance":"h:9103","level":"debug","by":"Li Wei"}`
	require.Contains(t, r.post("/api/v1/log-levels", change).body, "process_unreachable")
	answers(r, wire.LogLevelSubject("core"), func(q wire.LogLevelRequest) wire.LogLevelAnswer {
		if q.Instance != "h:9103" || q.Level != "debug" || q.By != "Li Wei" {
			return wire.LogLevelAnswer{Error: "what?"}
		}
		return wire.LogLevelAnswer{Until: 42}
	})
	got := r.post("/api/v1/log-levels", change)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Contains(t, got.body, `"until":42`)
	for body, want := range map[string]string{
		`{"program":"core","instance":"h:9103","level":"debug"}`:            "operator_missing",
		`{"program":"core","instance":"h:9103","level":"loud","by":"x"}`:    `"field":"level"`,
		`{"program":"core.>","instance":"h:9103","level":"debug","by":"x"}`: "process_not_found",
		`{"program":"core","instance":"h:9104","level":"debug","by":"x"}`:   "process_not_found",
	} {
		require.Contains(t, r.post("/api/v1/log-levels", body).body, want, body)
	}
	// This portal's logger is not one whose level can be changed: it says so, without the hub.
	r.eventually("the portal is known", func() bool { return r.portal.pipeline.Knows("portal", vitals.Instance(r.portal.Addr())) })
	got = r.post("/api/v1/log-levels", `{"program":"portal","instance":"`+vitals.Instance(r.portal.Addr())+`","level":"debug","by":"x"}`)
	require.Contains(t, got.body, "level_unchanged")
}

func TestThePipelineHasTwoRanges(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var p pipeline.Pipeline
	r.getJSON("/api/v1/pipeline", &p)
	require.EqualValues(t, 5000, p.StepMS)
	r.getJSON("/api/v1/pipeline?range=6h", &p)
	require.EqualValues(t, 30_000, p.StepMS)
	require.Len(t, p.Stages[0].Course.Rate, 720)
	r.refused("/api/v1/pipeline?range=7h", http.StatusBadRequest, "bad_parameter")
}

func TestScreensReportWhatTheyPainted(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	ws := r.screen(nil)
	report := func(screen string) {
		require.NoError(t, ws.WriteMessage(1, []byte(`{"type":"ping","id":"1","screen":`+screen+`}`)))
	}
	report(`{"frames":"junk"}`)
	report(`{"frames":50,"paint_ms":[20,30,-5,1e9]}`)
	report(`{"frames":99999,"paint_ms":[1]}`) // too soon
	r.eventually("it counts", func() bool { return strings.Contains(r.get("/metrics").body, "portal_screen_latency_seconds_count 2") })
	require.Contains(t, r.get("/metrics").body, "portal_screen_latency_seconds_sum 0.05")
}
