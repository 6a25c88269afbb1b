package arch_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// TestDashboardsNameMetricsThatExist compares the dashboards of deploy/grafana with the metrics in the source. Sensors are
// not there: the dashboards of readings are left to make test-dashboards.
func TestDashboardsNameMetricsThatExist(t *testing.T) {
	files, err := filepath.Glob(root + "/deploy/grafana/dashboards/*.json")
	require.NoError(t, err)
	registered, known := registeredMetrics(t), append([]string{"ALERTS"}, foreign...)
	for _, r := range rules(t) {
		known = append(known, r.Record)
	}
	p, checked := parser.NewParser(parser.Options{}), 0
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "readings") {
			continue
		}
		for panel, expr := range dashboardQueries(t, file) {
			e, err := p.ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
			require.NoError(t, err, panel)
			parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
				v, ok := n.(*parser.VectorSelector)
				if !ok || slices.Contains(known, v.Name) {
					return nil
				}
				checked++
				base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(v.Name, "")
				require.True(t, registered(v.Name) || registered(base), "%s: no program registers the metric %q", panel, v.Name)
				return nil
			})
		}
	}
	require.Greater(t, checked, 100)
}

// dashboardQueries returns the queries of a dashboard's file by panel.
func dashboardQueries(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var d struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d), file)
	out := map[string]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			out[fmt.Sprintf("%s: %s (%d%s)", d.Title, p.Title, p.ID, q.RefID)] = q.Expr
		}
	}
	return out
}
