// Package monitoring puts the rules and the example of deploy/prometheus to the test: a real Prometheus and a real
// Alertmanager watch the real programs, something breaks, and the right alert arrives at a webhook and ends after the
// repair (make test-monitoring). It is empty without the build tag monitoring.
//
// TestDashboards puts every query of the dashboards of deploy/grafana to a Prometheus that watches the same programs
// (make test-dashboards).
//
// Time is shortened mechanically: every duration of the rules (for, ranges) and of Alertmanager (group_wait,
// group_interval, repeat_interval) is divided by 30, so that five minutes become ten seconds. Everything else of the
// files, thresholds too, is as shipped.
package monitoring
