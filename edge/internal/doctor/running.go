package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// running is the gateway that uses the data directory now.
type running struct {
	pid     int                // 0: none
	err     error              // of finding it
	ready   string             // what /readyz said; empty: nothing
	metrics map[string]float64 // empty if they cannot be read
	readErr error              // why not
}

// metricsLimit bounds what is read of an answer.
const metricsLimit = 8 << 20

// findRunning finds the gateway by the lock that it holds, and asks it how it is.
func findRunning(ctx context.Context, o Options) (g running) {
	if o.Gateway == "" {
		return g
	}
	if g.pid, g.err = holder(filepath.Join(o.Dir, "lock")); g.pid == 0 {
		return g
	}
	if o.MetricsAddr == "" {
		g.readErr = errors.New("EDGE_HTTP_ADDR is empty")
		return g
	}
	body, err := fetch(ctx, o.MetricsAddr, "/metrics")
	if err == nil {
		g.metrics, err = gauges(body, o.Gateway)
	}
	if g.readErr = err; err == nil {
		g.ready, g.readErr = fetch(ctx, o.MetricsAddr, "/readyz")
		g.ready = strings.TrimSpace(g.ready)
	}
	return g
}

// fetch returns the body of an answer, whatever its status.
func fetch(ctx context.Context, addr, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return "", fmt.Errorf("EDGE_HTTP_ADDR=%s: %w", addr, err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, metricsLimit))
	return string(body), err
}

// gauges returns the gauges of a gateway, and those of its process.
func gauges(body, gateway string) (map[string]float64, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("reading /metrics: %w", err)
	}
	all := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetGauge() != nil && concerns(m, gateway) {
				all[name] = m.GetGauge().GetValue()
			}
		}
	}
	if _, found := all["edge_buffer_limit_bytes"]; !found {
		return nil, fmt.Errorf("/metrics is not of gateway %s", gateway)
	}
	return all, nil
}

// concerns reports whether a metric is of the gateway or of the whole process.
func concerns(m *dto.Metric, gateway string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == "gateway" && l.GetValue() != gateway {
			return false
		}
	}
	return true
}

func judgeRunning(g running) Result {
	r := Result{Check: "gateway", Verdict: OK}
	switch {
	case g.err != nil:
		r.Verdict, r.Value = Skip, "whether it runs is not known: "+g.err.Error()
	case g.pid == 0:
		r.Verdict, r.Value = Skip, "does not run"
	case g.readErr != nil:
		r.Verdict, r.Value = Warn, fmt.Sprintf("runs as process %d, state not known: %v", g.pid, g.readErr)
		r.Advice = "check EDGE_HTTP_ADDR; a gateway that was started before the settings changed needs a restart"
	case !strings.HasPrefix(g.ready, "ready"):
		r.Verdict, r.Value, r.Advice = Fail, fmt.Sprintf("runs as process %d, %s", g.pid, g.ready), "see its log: journalctl -u iot-edge"
	default:
		r.Value = fmt.Sprintf("runs as process %d, %s", g.pid, g.ready)
	}
	return r
}

// bytesPerReading is what a reading with five sensors takes in the buffer: measured as 505 at 1,000 a second
// and 530 at 100 (sim -fleet uniform against edge_buffer_bytes), 570 from mixed devices.
const bytesPerReading = 550

// shortHorizon is CORE_BUFFER_HORIZON's default: core raises an alarm below it.
const shortHorizon = 6 * time.Hour

// judgeHorizon says how long an outage may last, at the rate of the running gateway or the expected one.
func judgeHorizon(g running, room Room, readings float64) Result {
	r := Result{Check: "buffer horizon", Verdict: OK}
	perSecond, of := g.metrics["edge_buffer_bytes_per_second"], "as in the last minutes"
	if readings > 0 {
		perSecond, of = readings*bytesPerReading, fmt.Sprintf("for %g readings a second of %d bytes", readings, bytesPerReading)
	}
	limit, used := float64(room.Limit), float64(room.Used)
	if g.metrics["edge_buffer_limit_bytes"] > 0 {
		limit, used = g.metrics["edge_buffer_limit_bytes"], g.metrics["edge_buffer_bytes"]
	}
	switch {
	case g.metrics["edge_buffer_full"] > 0:
		r.Verdict, r.Value, r.Advice = Fail, "the buffer is full: devices are told to retry later", "see the hub below; a larger disk and EDGE_BUFFER_BYTES take more"
		return r
	case room.Err != nil && limit == 0:
		r.Verdict, r.Value = Skip, "the size of the buffer is not known"
		return r
	case perSecond <= 0:
		r.Verdict, r.Value = Skip, "the rate is not known: start the gateway, or give -rate in readings a second"
		return r
	}
	left := time.Duration(min(max(limit-used, 0)/perSecond, 1e9) * float64(time.Second))
	r.Value = fmt.Sprintf("%s %s (%.1f KiB/s)", span(left), of, perSecond/1024)
	if left < shortHorizon {
		r.Verdict, r.Advice = Warn, "an outage longer than that loses what devices cannot keep: a larger disk and EDGE_BUFFER_BYTES, or fewer readings"
	}
	return r
}

func span(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return d.Round(time.Minute).String()
}
