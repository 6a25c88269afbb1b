// Package grafana has the dashboards of the plant for Grafana as Go code. TestCheckedIn compares them with the files in
// dashboards, which Grafana reads, and writes those with -update (make dashboards). It is a module of its own, so
// that the programs do not depend on Grafana's library.
//
// make test-dashboards puts every query of the files to a Prometheus that watches a plant. Grafana itself is in no test.
package grafana
