package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// rule is a recording or alerting rule of deploy/prometheus.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

const monitoring = root + "/deploy/prometheus"

// rules reads all rule files.
func rules(t *testing.T) (out []rule) {
	t.Helper()
	files, err := filepath.Glob(monitoring + "/rules/*.yml")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var doc struct{ Groups []struct{ Rules []rule } }
		require.NoError(t, yaml.Unmarshal(text, &doc), file)
		for _, g := range doc.Groups {
			out = append(out, g.Rules...)
		}
	}
	require.Greater(t, len(out), 60, "the rules are here")
	return out
}

// TestEveryAlertHasItsRunbook, a severity and a text, and every runbook an alert.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	used := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		require.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], "%s: severity", r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		book := r.Annotations["runbook_url"]
		require.Regexp(t, `^docs/runbooks/\w+\.md$`, book, r.Alert)
		text, err := os.ReadFile(filepath.Join(root, book))
		require.NoError(t, err, "%s: its runbook", r.Alert)
		require.Contains(t, string(text), r.Alert, book)
		for _, part := range []string{"**Look**", "**Likely causes**", "**Do**", "**Do not**"} {
			require.Contains(t, string(text), part, book)
		}
		used[filepath.Base(book)] = true
	}
	books, err := os.ReadDir(root + "/docs/runbooks")
	require.NoError(t, err)
	for _, b := range books {
		require.True(t, used[b.Name()], "docs/runbooks/%s is of no alert", b.Name())
	}
}

// TestEveryAlertHasATest: it fires in a fault, and before that nothing does.
func TestEveryAlertHasATest(t *testing.T) {
	type expectation struct {
		Expr    string
		Samples []struct{ Labels string } `yaml:"exp_samples"`
	}
	files, err := filepath.Glob(monitoring + "/tests/*.yml")
	require.NoError(t, err)
	fires := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var doc struct {
			Tests []struct {
				Name   string
				Expect []expectation `yaml:"promql_expr_test"`
			}
		}
		require.NoError(t, yaml.Unmarshal(text, &doc), file)
		for _, test := range doc.Tests {
			require.NotEmpty(t, test.Expect, "%s: %s", file, test.Name)
			health := test.Expect[0]
			require.Equal(t, `ALERTS{alertstate="firing"}`, health.Expr, "%s: %s begins in health", file, test.Name)
			require.Empty(t, health.Samples, "%s: %s begins in health", file, test.Name)
			for _, e := range test.Expect[1:] {
				for _, s := range e.Samples {
					for _, m := range regexp.MustCompile(`alertname="(\w+)"`).FindAllStringSubmatch(s.Labels, -1) {
						fires[m[1]] = true
					}
				}
			}
		}
	}
	for _, r := range rules(t) {
		require.True(t, r.Alert == "" || fires[r.Alert], "%s has no test in deploy/prometheus/tests", r.Alert)
	}
}

// foreign are the metrics of the rules that the product does not register itself.
var foreign = []string{
	"up",                         // Prometheus
	"process_start_time_seconds", // its client library
	"kafka_topic_partition_under_replicated_partition", // kafka_exporter
}

// TestRulesNameMetricsThatExist compares the rules with the metrics in the source.
func TestRulesNameMetricsThatExist(t *testing.T) {
	registered, recorded := registeredMetrics(t), map[string]bool{}
	all := rules(t)
	for _, r := range all {
		recorded[r.Record] = true
	}
	p, checked := parser.NewParser(parser.Options{}), 0
	for _, r := range all {
		expr, err := p.ParseExpr(r.Expr)
		require.NoError(t, err, r.Alert+r.Record)
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			v, ok := n.(*parser.VectorSelector)
			if !ok || recorded[v.Name] || slices.Contains(foreign, v.Name) {
				return nil
			}
			checked++
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(v.Name, "")
			require.True(t, registered(v.Name) || registered(base), "%s%s: no program registers the metric %q", r.Alert, r.Record, v.Name)
			return nil
		})
	}
	require.Greater(t, checked, 80)
}

// registeredMetrics returns whether the source has the name of a metric as a literal: whole, or without its program
// where packages of several programs put that before it.
func registeredMetrics(t *testing.T) func(name string) bool {
	t.Helper()
	var code strings.Builder
	for _, file := range goFiles(t) {
		if path := relative(t, abs(t, file)); strings.HasSuffix(file, "_test.go") || judges(path) || within(path, "deploy/grafana") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		code.Write(text)
	}
	source := code.String()
	return func(name string) bool {
		_, own, _ := strings.Cut(name, "_")
		return strings.Contains(source, `"`+name+`"`) || strings.Contains(source, `rogram + "_`+own+`"`) || strings.Contains(source, `Program + "_`+own+`"`)
	}
}
