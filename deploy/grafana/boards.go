package grafana

import "fmt"

// boards returns all dashboards.
func boards() []board {
	return []board{plant(), gateways(), pipeline(), kafka(), portal(), history(), sensors(archive), sensors(victoriaMetrics)}
}

// quantile returns the expression of a quantile of a histogram, by labels. selector is empty or in braces.
func quantile(q float64, metric, selector, by string) string {
	if by != "" {
		by += ", "
	}
	return fmt.Sprintf("histogram_quantile(%g, sum by (%sle) (rate(%s_bucket%s[$__rate_interval])))", q, by, metric, selector)
}

// times returns the median and the 99th percentile of a histogram.
func times(metric, selector string) []query {
	return []query{{quantile(0.5, metric, selector, ""), "median"}, {quantile(0.99, metric, selector, ""), "99 %"}}
}

// one returns a single query.
func one(expr, legend string) []query { return []query{{expr, legend}} }
