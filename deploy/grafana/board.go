package grafana

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// board is a dashboard.
type board struct {
	uid, title, about string
	from              source
	variables         []variable
	rows              []row
}

// source is a data source of provisioning/datasources; people can choose another one of its type.
type source struct{ uid, name string }

var (
	programs = source{"iot-prometheus", "Prometheus"}
	readings = source{"iot-history", "History"}
)

// variable is a choice of label values. All of them are chosen at first.
type variable struct{ name, metric, label string }

type row struct {
	title  string
	panels []panel
}

// kind is how a panel looks.
type kind int

const (
	graph kind = iota
	number
	state // one strip a series: for what is 0 or 1
)

// panel is a panel with its queries, by the same unit.
type panel struct {
	kind               kind
	title, unit, about string
	queries            []query
	alert              string // which fires at limit
	limit              limit
}

// query is an expression, and the name of its series.
type query struct{ expr, legend string }

// limit is the value of the alert's rule. The zero value is none.
type limit struct {
	is    comparison
	value float64
}

type comparison string

const (
	above  comparison = ">"
	below  comparison = "<"
	equals comparison = "=="
)

const (
	red, green = "red", "green"
	// step is how far beyond 0 a colour begins: Grafana counts the value itself in, and a rule > 0 does not.
	step = 1e-6
)

// steps returns the colours of a limit.
func (l limit) steps() []dashboard.Threshold {
	low, high, at := green, red, l.value
	switch {
	case l.is == "":
		return []dashboard.Threshold{{Color: green}}
	case l.is == below, l.is == equals && l.value == 0:
		low, high = red, green
	}
	if at == 0 {
		at = step
	}
	return []dashboard.Threshold{{Color: low}, {Color: high, Value: new(at)}}
}

func (s source) ref() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// text returns the description of a panel, with its alert.
func (p *panel) text() string {
	if p.alert == "" {
		return p.about
	}
	return fmt.Sprintf("%s Alert: %s (docs/runbooks/%s.md).", p.about, p.alert, runbook(p.alert))
}

// runbook returns the name of an alert's runbook: those of the budgets share one.
func runbook(alert string) string {
	if strings.HasPrefix(alert, "SLOBurn") {
		return "SLOBurn"
	}
	return alert
}

// document is a file of Grafana.
type document = dashboard.Dashboard //nolint:staticcheck // Grafana 12 has the newer kind behind a feature toggle

// build returns the dashboard as Grafana reads it from a file.
func (b *board) build() (document, error) {
	d := dashboard.NewDashboardBuilder(b.title) //nolint:staticcheck // see document
	d.Uid(b.uid).Description(b.about).Tags([]string{"iot"}).Readonly().
		Time("now-3h", "now").Refresh("30s").Timezone("browser").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Dashboards of the plant").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"iot"}).AsDropdown(true).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus").
			Current(choice(b.from.name, b.from.uid)))
	for _, v := range b.variables {
		d.WithVariable(v.build(b.from))
	}
	id := uint32(0)
	next := func() uint32 { id++; return id }
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.title).Id(next()))
		for i := range r.panels {
			d.WithPanel(r.panels[i].build(b.from, next()))
		}
	}
	built, err := d.Build()
	return built, errors.Join(err, built.Validate())
}

func choice(text, value string) dashboard.VariableOption {
	return dashboard.VariableOption{
		Selected: new(true),
		Text:     dashboard.StringOrArrayOfString{String: new(text)},
		Value:    dashboard.StringOrArrayOfString{String: new(value)},
	}
}

func (v variable) build(from source) cog.Builder[dashboard.VariableModel] {
	definition := fmt.Sprintf("label_values(%s, %s)", v.metric, v.label)
	return dashboard.NewQueryVariableBuilder(v.name).Label(v.name).Datasource(from.ref()).Definition(definition).
		Query(dashboard.StringOrMap{String: new(definition)}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortNaturalAsc).Multi(true).IncludeAll(true).AllValue(".*").Current(choice("All", "$__all"))
}

// targets returns the queries, with the references A, B, C.
func (p *panel) targets(from source) (out []cog.Builder[variants.Dataquery]) {
	for i, q := range p.queries {
		out = append(out, prometheus.NewDataqueryBuilder().RefId(string(rune('A'+i))).Datasource(from.ref()).
			Expr(q.expr).LegendFormat(q.legend).Range().Exemplar(p.unit == seconds && p.kind == graph))
	}
	return out
}

func (p *panel) build(from source, id uint32) cog.Builder[dashboard.Panel] {
	thresholds := dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(p.limit.steps())
	switch p.kind {
	case number:
		return stat.NewPanelBuilder().Id(id).Title(p.title).Description(p.text()).Unit(p.unit).Datasource(from.ref()).Span(4).Height(4).
			Targets(p.targets(from)).Thresholds(thresholds).ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeArea).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	case state:
		return statetimeline.NewPanelBuilder().Id(id).Title(p.title).Description(p.text()).Unit(p.unit).Datasource(from.ref()).Span(8).Height(7).
			Targets(p.targets(from)).Thresholds(thresholds).MergeValues(true).ShowValue(common.VisibilityModeNever).
			ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds))
	case graph:
	}
	style := common.GraphThresholdsStyleModeOff
	if p.limit.is != "" && math.Abs(p.limit.value) > 0 {
		style = common.GraphThresholdsStyleModeDashed
	}
	return timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.text()).Unit(p.unit).Datasource(from.ref()).Span(8).Height(7).
		Targets(p.targets(from)).Thresholds(thresholds).ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(style)).
		FillOpacity(8).LineWidth(1).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeTable).
			Placement(common.LegendPlacementBottom).Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
}
