package gateway

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/quota"
)

// keepKnownEvery is how often the gateway writes which devices it knows.
const keepKnownEvery = 5 * time.Minute

// openQuota makes the table of devices, with those known before this start.
func (g *Gateway) openQuota() error {
	o := quota.Options{Limits: quota.Limits{
		Readings: g.cfg.DeviceRate, Bytes: g.cfg.DeviceBytes, Devices: g.cfg.MaxDevices, DeadBytes: g.cfg.DeadLetterBytes,
	}}
	if g.cfg.DeviceAuth != devices.Off {
		o.Limits.NewDevices, o.Known = g.cfg.NewDevices, g.devices.IsKnown
	}
	g.quota = quota.New(o)
	g.reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "edge_devices_known", Help: "Devices that the gateway remembers.",
		}, func() float64 { return float64(g.quota.Len()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "edge_devices_forgotten_total", Help: "Devices forgotten because EDGE_MAX_DEVICES others were heard since.",
		}, func() float64 { return float64(g.quota.Forgotten()) }))
	return g.quota.Load(g.knownFile())
}

func (g *Gateway) knownFile() string { return filepath.Join(g.cfg.DataDir, g.cfg.ID, "devices.known") }

// keepKnown writes which devices are known, from time to time and when ctx ends. A failure costs that
// they are new ones after the next start.
func (g *Gateway) keepKnown(ctx context.Context) error {
	tick := time.NewTicker(keepKnownEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if err := g.quota.Save(g.knownFile()); err != nil {
			g.log.Warn("keeping the list of known devices failed", "err", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}
