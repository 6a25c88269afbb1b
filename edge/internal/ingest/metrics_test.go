package ingest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/telemetry"
)

// A stored pack, a full buffer and a write of unknown outcome are counted once each.
func TestMetricsCountEveryMessageAndPack(t *testing.T) {
	reg := prometheus.NewRegistry()
	store := &memStore{settle: func() (bool, error) { return false, nil }}
	store.put = func(_ context.Context, n int) error {
		switch n {
		case 2:
			return broker.ErrFull
		case 3:
			return errors.New("broken")
		}
		return nil
	}
	a := &answers{}
	collect(t, Options{Store: store, Registerer: reg}, func(c *Collector) {
		for id := range uint16(3) {
			_ = c.Offer(message(a, id, "r"))
			if id == 0 {
				_ = c.Offer(message(nil, id, "without a reply"))
				m := message(a, 9, "dead letter")
				m.Refusal = &telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON}
				m.Ticket.Protocol = NATS
				_ = c.Offer(m)
			}
			pass(time.Second)
		}
	})
	counters, histograms := gather(t, reg)
	require.Equal(t, map[string]float64{
		"edge_packs_total":                              2,
		"edge_pack_failures_total full":                 1,
		"edge_pack_failures_total unknown":              1,
		"edge_pack_retries_total":                       1,
		"edge_readings_accepted_total mqtt":             2,
		"edge_readings_unpromised_total mqtt":           1,
		"edge_readings_refused_total nats invalid_json": 1,
		"edge_readings_refused_total mqtt buffer_full":  1,
		"edge_readings_refused_total mqtt unavailable":  1,
	}, counters)
	require.Equal(t, [2]float64{3, 5}, histograms["edge_pack_entries"])
	require.InDelta(t, 3, histograms["edge_pack_bytes"][0], 0)
	require.Greater(t, histograms["edge_pack_bytes"][1], 200.)
	require.InDelta(t, 3, histograms["edge_pack_store_duration_seconds"][0], 0)
	require.InDelta(t, 1, histograms["edge_pack_ack_duration_seconds"][0], 0)
	require.InDelta(t, 0.003, histograms["edge_pack_ack_duration_seconds"][1], 1e-9, "the linger time")
}

// gather returns the counters other than zero by name and labels, and count and sum of
// the histograms.
func gather(t *testing.T, reg prometheus.Gatherer) (counters map[string]float64, histograms map[string][2]float64) {
	t.Helper()
	counters, histograms = map[string]float64{}, map[string][2]float64{}
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				histograms[f.GetName()] = [2]float64{float64(h.GetSampleCount()), h.GetSampleSum()}
				continue
			}
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			if v := m.GetCounter().GetValue(); v != 0 {
				counters[name] = v
			}
		}
	}
	return counters, histograms
}

func TestSeriesStartAtZero(t *testing.T) {
	reg := prometheus.NewRegistry()
	newMetrics(reg)
	families, err := reg.Gather()
	require.NoError(t, err)
	series := map[string]int{}
	for _, f := range families {
		series[f.GetName()] = len(f.GetMetric())
	}
	require.Len(t, series, 12)
	require.Equal(t, 2, series["edge_readings_duplicate_total"])
	require.Equal(t, 2, series["edge_pack_failures_total"])
	require.Equal(t, 2, series["edge_readings_accepted_total"])
	require.Equal(t, int(numProtocols)*len(reasons), series["edge_readings_refused_total"])
}
