//go:build monitoring

package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/redistest"
)

// dashboardsWait is for data in every panel: a minute on an idle machine.
const dashboardsWait = 120 * time.Second

// without are the queries that have no data in the plant of this test, and why. One that has data fails the test.
var without = map[string]string{
	"iot-plant: Certificates end in":         "no program has TLS",
	"iot-gateway: Buffer is full in":         "a buffer has to grow for ten minutes",
	"iot-kafka: Under-replicated partitions": "there is no kafka_exporter",
}

// shown is a dashboard as in its file.
type shown struct {
	UID        string
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
			Current    struct{ Value string }
		}
	}
	Panels []struct {
		Title   string
		Targets []struct{ RefID, Expr string }
	}
}

// shownQuery is a query of a panel, with its variables replaced.
type shownQuery struct{ name, expr, at string }

func dashboards(t *testing.T) (out []shown) {
	t.Helper()
	files, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 8)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var d shown
		require.NoError(t, json.Unmarshal(text, &d), file)
		out = append(out, d)
	}
	return out
}

// values returns what a variable label_values(metric, label) offers.
func values(t *testing.T, at, definition string) []string {
	t.Helper()
	inside, ok := strings.CutPrefix(strings.TrimSuffix(definition, ")"), "label_values(")
	require.True(t, ok, definition)
	metric, label, ok := strings.Cut(inside, ", ")
	require.True(t, ok, definition)
	var answer struct{ Data []map[string]string }
	if get(t, at+"/api/v1/series?match[]="+url.QueryEscape(metric), &answer) != nil {
		return nil
	}
	found := map[string]bool{}
	for _, labels := range answer.Data {
		if labels[label] != "" {
			found[labels[label]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// queries returns the queries of a dashboard. Each variable is what Grafana makes of all its values chosen one by one.
func (d *shown) queries(t *testing.T, at string) (out []shownQuery) {
	t.Helper()
	replace := []string{"$__rate_interval", "30s", "$__range", "60s"}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		definition, ok := v.Query.(string)
		require.True(t, ok, "%s: $%s", d.UID, v.Name)
		var all []string
		require.Eventually(t, func() bool { all = values(t, at, definition); return len(all) > 0 }, dashboardsWait, pollInterval, "%s: $%s has values", d.UID, v.Name)
		replace = append(replace, "$"+v.Name, "("+strings.Join(all, "|")+")")
	}
	for _, p := range d.Panels {
		for i, q := range p.Targets {
			name := d.UID + ": " + p.Title
			if i > 0 {
				name += " (" + q.RefID + ")"
			}
			out = append(out, shownQuery{name: name, expr: strings.NewReplacer(replace...).Replace(q.Expr), at: at})
		}
	}
	return out
}

// run returns an error unless the query has a number in the last minute.
func (q *shownQuery) run(t *testing.T) error {
	t.Helper()
	now := time.Now()
	form := url.Values{
		"query": {q.expr}, "step": {"5"},
		"start": {strconv.FormatInt(now.Add(-time.Minute).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)},
	}
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	if err := get(t, q.at+"/api/v1/query_range?"+form.Encode(), &answer); err != nil {
		return err
	}
	for _, series := range answer.Data.Result {
		for _, v := range series.Values {
			text, _ := v[1].(string)
			if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
				return nil
			}
		}
	}
	return fmt.Errorf("%d series, no number", len(answer.Data.Result)) //nolint:err113 // a test's
}

// TestDashboards puts every query of deploy/grafana/dashboards to a Prometheus that watches a plant, or to the history.
func TestDashboards(t *testing.T) {
	redis := redistest.Start(t)
	engine := startEngine(t)
	p := startPlant(t, func(program string) map[string]string {
		return map[string]map[string]string{"portal": {"REDIS_URL": redis.URL()}, "core": {"HISTORY_FLUSH": "2s"}}[program]
	}, func(c *cluster.Cluster) { addHistorian(t, c, engine) })
	p.sendJunk(t)
	p.use(t)

	boards, done, why := dashboards(t), map[string]bool{}, map[string]error{}
	all := func() (out []shownQuery) { // by the values of variables that there are now
		for _, d := range boards {
			at := p.prom.url
			switch d.UID {
			case "iot-readings":
				at = p.PortalURL() + "/prom"
			case "iot-readings-victoriametrics":
				at = engine
			}
			out = append(out, d.queries(t, at)...)
		}
		return out
	}
	open := func(q shownQuery) bool { return without[q.name] == "" && !done[q.name] }
	deadline := time.Now().Add(dashboardsWait)
	round := all()
	for ; slices.ContainsFunc(round, open) && time.Now().Before(deadline); round = all() {
		for _, q := range round {
			if open(q) {
				why[q.name] = q.run(t)
				done[q.name] = why[q.name] == nil
			}
		}
		p.wait(t)
	}
	require.Greater(t, len(done), 120)
	require.Len(t, round, len(done)+len(without), "names are unique, and each entry of without is a query")
	for _, q := range round {
		if open(q) {
			t.Errorf("%s: %v\n%s", q.name, why[q.name], q.expr)
		}
	}
	for _, q := range round {
		if without[q.name] != "" {
			require.ErrorContains(t, q.run(t), "no number", "%s is to have no data, since %s", q.name, without[q.name])
		}
	}
	t.Logf("%d queries were tried, %d are to have no data", len(done), len(without))
}
