package relay

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

func TestBridgeIsNotReadyWhileWorkLiesAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := roster.New(roster.Options{Log: slog.New(slog.DiscardHandler), Expire: time.Hour})
		require.NoError(t, err)
		p := lane.NewProgress()
		b := &bridge{t: t, reg: prometheus.NewRegistry()}
		w := newWatch(r, p, b.reg)
		beat := func(last uint64) {
			data, err := wire.GatewayStatus{Gateway: "gw", LastSeq: last}.Encode()
			require.NoError(t, err)
			require.NoError(t, r.Observe(wire.StatusSubject("gw"), data))
		}
		pass := func(d time.Duration) {
			for range d / time.Second {
				time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
				w.look(time.Now(), 1)
			}
		}
		beat(5)
		pass(time.Minute)
		require.NoError(t, w.stuck(time.Now()), "the lane is not ours")
		b.reaches(1, "bridge_gateways_known")

		p.Own(0)
		pass(10 * time.Second)
		require.NoError(t, w.stuck(time.Now()))
		b.reaches(5, "bridge_gateway_lag_packs", "gateway", "gw")
		b.reaches(9, "bridge_gateway_unbridged_age_seconds", "gateway", "gw")
		pass(10 * time.Second)
		require.ErrorIs(t, w.stuck(time.Now()), errNotReady)

		p.Disown(0)
		pass(2 * time.Second)
		require.NoError(t, w.stuck(time.Now()), "the work is another bridge's now")
		require.Empty(t, w.shown)
	})
}
