package grafana

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the files in dashboards")

// file returns the path of a dashboard's file.
func file(uid string) string {
	return filepath.Join("dashboards", strings.TrimPrefix(uid, "iot-")+".json")
}

func TestCheckedIn(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, b := range boards() {
		built, err := b.build()
		require.NoError(t, err, b.uid)
		text, err := json.MarshalIndent(built, "", "  ")
		require.NoError(t, err)
		text = append(text, '\n')
		want[file(b.uid)] = true
		if *update {
			require.NoError(t, os.WriteFile(file(b.uid), text, 0o600))
		}
		has, err := os.ReadFile(file(b.uid))
		require.NoError(t, err, "make dashboards writes it")
		require.Equal(t, string(text), string(has), "%s: make dashboards brings it up to date", file(b.uid))
	}
	files, err := filepath.Glob("dashboards/*")
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, want[f], "%s is of no dashboard", f)
	}
}

// registered: the library knows the kinds of panels and queries.
var registered = sync.OnceFunc(plugins.RegisterDefaultPlugins)

// parse reads a file as Grafana's library knows it. Unknown and missing fields are errors: its strict way finds most of
// them (but leaves the panels out and returns empty lists of errors), and the others lack in what it writes again.
func parse(text []byte) (d document, err error) {
	registered()
	var strict document
	var found cog.BuildErrors
	if err := strict.UnmarshalJSONStrict(text); err != nil && (!errors.As(err, &found) || len(found) > 0) {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, err
	}
	again, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	var had, has any
	if err := errors.Join(json.Unmarshal(text, &had), json.Unmarshal(again, &has)); err != nil {
		return d, err
	}
	return d, missing("", had, has)
}

// missing returns an error that names the first value that was there and is not any more.
func missing(path string, had, has any) error {
	switch had := had.(type) {
	case map[string]any:
		now, _ := has.(map[string]any)
		for k, v := range had {
			if err := missing(path+"."+k, v, now[k]); err != nil {
				return err
			}
		}
	case []any:
		now, _ := has.([]any)
		for i, v := range had {
			if i >= len(now) {
				return fmt.Errorf("%s[%d] is unknown to Grafana's library", path, i) //nolint:err113 // a test's
			}
			if err := missing(fmt.Sprintf("%s[%d]", path, i), v, now[i]); err != nil {
				return err
			}
		}
	default:
		if had != has {
			return fmt.Errorf("%s: %v became %v in Grafana's library", path, had, has) //nolint:err113 // a test's
		}
	}
	return nil
}

func load(t *testing.T) (out []document) {
	t.Helper()
	for _, b := range boards() {
		text, err := os.ReadFile(file(b.uid))
		require.NoError(t, err)
		d, err := parse(text)
		require.NoError(t, err, b.uid)
		out = append(out, d)
	}
	return out
}

func TestUnknownFieldsAreErrors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(file("iot-plant"))
	require.NoError(t, err)
	for _, field := range []string{"title", "unit", "expr", "steps", "reduceOptions"} {
		broken := strings.Replace(string(text), `"`+field+`":`, `"x`+field+`":`, 1)
		_, err := parse([]byte(broken))
		require.ErrorContains(t, err, field)
	}
}

func TestPanelsAreComplete(t *testing.T) {
	t.Parallel()
	uids := map[string]bool{}
	for _, d := range load(t) {
		require.False(t, uids[*d.Uid], "%s is there twice", *d.Uid)
		uids[*d.Uid] = true
		require.Equal(t, "datasource", d.Templating.List[0].Name, *d.Uid)
		ids, titles := map[uint32]bool{}, map[string]bool{}
		for _, p := range d.Panels {
			if p.RowPanel != nil {
				require.False(t, ids[p.RowPanel.Id], "%s: id %d twice", *d.Uid, p.RowPanel.Id)
				ids[p.RowPanel.Id] = true
				continue
			}
			name := *d.Uid + ": " + *p.Panel.Title
			require.False(t, titles[name], "%s is there twice", name)
			titles[name] = true
			require.False(t, ids[*p.Panel.Id], "%s: id %d twice", name, *p.Panel.Id)
			ids[*p.Panel.Id] = true
			requirePanel(t, name, p.Panel)
		}
	}
}

func requirePanel(t *testing.T, name string, p *dashboard.Panel) {
	t.Helper()
	require.NotEmpty(t, *p.Title, name)
	require.Regexp(t, `^[A-Z0-9].*[.)]$`, *p.Description, name)
	require.NotEmpty(t, *p.FieldConfig.Defaults.Unit, name)
	require.Equal(t, "${datasource}", *p.Datasource.Uid, name)
	require.NotEmpty(t, p.Targets, name)
	require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, uint32(24), "%s: it is within the page", name)
	raw, err := json.Marshal(p.Targets)
	require.NoError(t, err)
	var targets []struct {
		RefID      string `json:"refId"`
		Expr       string
		Datasource struct{ UID string }
	}
	require.NoError(t, json.Unmarshal(raw, &targets))
	for i, q := range targets {
		require.Equal(t, string(rune('A'+i)), q.RefID, name)
		require.NotEmpty(t, q.Expr, name)
		require.Equal(t, "${datasource}", q.Datasource.UID, name)
	}
}

func TestVariablesAreUsed(t *testing.T) {
	t.Parallel()
	for _, b := range boards() {
		text, err := os.ReadFile(file(b.uid))
		require.NoError(t, err)
		known := map[string]bool{"datasource": true, "__rate_interval": true}
		for _, v := range b.variables {
			known[v.name] = true
			require.Contains(t, string(text), "$"+v.name+`\"`, "%s: $%s is in no query", b.uid, v.name)
		}
		for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(text), -1) {
			require.True(t, known[m[1]] || m[1] == "__all", "%s: $%s is no variable", b.uid, m[1])
		}
	}
}

// rule is an alert of deploy/prometheus.
type rule struct {
	Alert, Expr string
	Labels      map[string]string
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	files, err := filepath.Glob("../prometheus/rules/*.yml")
	require.NoError(t, err)
	out := map[string]rule{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		var doc struct{ Groups []struct{ Rules []rule } }
		require.NoError(t, yaml.Unmarshal(text, &doc), f)
		for _, g := range doc.Groups {
			for _, r := range g.Rules {
				if r.Alert != "" {
					out[r.Alert] = r
				}
			}
		}
	}
	require.Greater(t, len(out), 50)
	return out
}

var (
	comparisons = regexp.MustCompile(`(<|>|==)\s*([0-9][0-9.e]*)(?:\s*\*\s*([0-9]+))?(?:\s|$)`)
	metrics     = regexp.MustCompile(`[a-z]+(?::\w+)+|[a-z]+(?:_[a-z0-9]+)+|\bup\b`)
)

// compares reports whether a rule has the comparison of a panel.
func compares(t *testing.T, expr string, l limit) bool {
	t.Helper()
	for _, m := range comparisons.FindAllStringSubmatch(expr, -1) {
		value, err := strconv.ParseFloat(m[2], 64)
		require.NoError(t, err, expr)
		if m[3] != "" {
			factor, err := strconv.ParseFloat(m[3], 64)
			require.NoError(t, err, expr)
			value *= factor
		}
		if comparison(m[1]) == l.is && value == l.value {
			return true
		}
	}
	return false
}

// TestLimitsAreThoseOfTheAlerts: a panel that names an alert is red where that fires, and shows a metric of it.
func TestLimitsAreThoseOfTheAlerts(t *testing.T) {
	t.Parallel()
	all, shown := rules(t), map[string]bool{}
	for _, b := range boards() {
		for _, r := range b.rows {
			for _, p := range r.panels {
				if p.alert == "" {
					continue
				}
				alert, ok := all[p.alert]
				require.True(t, ok, "%s: %s: no rule is called %s", b.uid, p.title, p.alert)
				shown[p.alert] = true
				require.True(t, compares(t, alert.Expr, p.limit), "%s: %s: the limit is %s %g, and %s has %s", b.uid, p.title, p.limit.is, p.limit.value, p.alert, alert.Expr)
				require.FileExists(t, "../../docs/runbooks/"+runbook(p.alert)+".md")
				for _, q := range p.queries {
					require.True(t, inCommon(alert.Expr, q.expr), "%s: %s: %s is about other metrics", b.uid, p.title, p.alert)
				}
			}
		}
	}
	for name, r := range all {
		require.True(t, shown[name] || r.Labels["severity"] != "page", "%s wakes people up, and no panel shows it", name)
	}
}

// inCommon reports whether two expressions have a metric in common.
func inCommon(a, b string) bool {
	for _, m := range metrics.FindAllString(a, -1) {
		if regexp.MustCompile(`\b` + regexp.QuoteMeta(m) + `\b`).MatchString(b) {
			return true
		}
	}
	return false
}

func TestSteps(t *testing.T) {
	t.Parallel()
	for l, want := range map[limit]string{
		{}:            `[{"value":null,"color":"green"}]`,
		{above, 60}:   `[{"value":null,"color":"green"},{"value":60,"color":"red"}]`,
		{above, 0}:    `[{"value":null,"color":"green"},{"value":0.000001,"color":"red"}]`,
		{below, 7200}: `[{"value":null,"color":"red"},{"value":7200,"color":"green"}]`,
		{equals, 0}:   `[{"value":null,"color":"red"},{"value":0.000001,"color":"green"}]`,
		{equals, 1}:   `[{"value":null,"color":"green"},{"value":1,"color":"red"}]`,
	} {
		got, err := json.Marshal(l.steps())
		require.NoError(t, err)
		require.JSONEq(t, want, string(got), "%v", l)
	}
}

// TestProvisioning: Grafana finds the sources that the dashboards name, and the files, where docker-compose.yml puts them.
func TestProvisioning(t *testing.T) {
	t.Parallel()
	var sources struct {
		Datasources []struct {
			Name, UID, Type, URL string
			JSONData             struct {
				Exemplars []struct {
					Name string
					UID  string `yaml:"datasourceUid"`
				} `yaml:"exemplarTraceIdDestinations"`
			} `yaml:"jsonData"`
		}
	}
	decode(t, "provisioning/datasources/plant.yaml", &sources)
	var files struct {
		Providers []struct{ Options struct{ Path string } }
	}
	decode(t, "provisioning/dashboards/plant.yaml", &files)
	var compose struct {
		Services map[string]struct {
			Volumes []string
		}
	}
	decode(t, "../../docker-compose.yml", &compose)
	for _, dir := range []string{"provisioning/datasources", "provisioning/dashboards"} {
		require.Contains(t, compose.Services["grafana"].Volumes, "./deploy/grafana/"+dir+":/etc/grafana/"+dir+":ro")
	}
	require.Contains(t, compose.Services["grafana"].Volumes, "./deploy/grafana/dashboards:"+files.Providers[0].Options.Path+":ro")

	types := map[source]string{}
	uids := map[string]string{}
	for _, s := range sources.Datasources {
		types[source{s.UID, s.Name}], uids[s.UID] = s.Type, s.Type
		address, err := url.Parse(s.URL)
		require.NoError(t, err)
		require.Contains(t, compose.Services, address.Hostname(), s.Name)
	}
	for _, b := range boards() {
		require.Equal(t, "prometheus", types[b.from], b.uid)
	}
	require.Equal(t, "jaeger", uids[sources.Datasources[0].JSONData.Exemplars[0].UID])
}

func decode(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, v), file)
}
