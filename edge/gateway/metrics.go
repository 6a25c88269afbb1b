package gateway

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	bufferBytes  prometheus.Gauge
	bufferLimit  prometheus.Gauge
	bufferPacks  prometheus.Gauge
	bufferAge    prometheus.Gauge
	diskFree     prometheus.Gauge
	hubConnected prometheus.Gauge
	natsClients  prometheus.Gauge
	reconnects   prometheus.Counter

	bufferFull     prometheus.Gauge
	clockStep      prometheus.Gauge
	bytesPerSecond prometheus.Gauge
	horizon        prometheus.Gauge
	salvaged       prometheus.Gauge
	damagedBytes   prometheus.Gauge
	missingPacks   prometheus.Gauge
	hubRefused     prometheus.Gauge
	hubRefusals    prometheus.Gauge
	storeRestarts  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	m := &metrics{
		bufferBytes:    gauge("edge_buffer_bytes", "Bytes of packs on disk."),
		bufferLimit:    gauge("edge_buffer_limit_bytes", "Limit of the buffer; beyond it devices have to retry later."),
		bufferPacks:    gauge("edge_buffer_packs", "Packs on disk."),
		bufferAge:      gauge("edge_buffer_oldest_age_seconds", "Age of the oldest pack on disk, 0 when there is none."),
		diskFree:       gauge("edge_disk_free_bytes", "Free space on the disk of the buffer."),
		hubConnected:   gauge("edge_hub_connected", "1 while the leaf link to the hub is up."),
		natsClients:    gauge("edge_nats_clients", "NATS clients connected."),
		bufferFull:     gauge("edge_buffer_full", "1 while devices have to retry later because the buffer or the disk is full."),
		clockStep:      gauge("edge_clock_step_seconds", "Size of the last step of the gateway's clock, 0 if there was none since the start."),
		bytesPerSecond: gauge("edge_buffer_bytes_per_second", "Bytes of packs stored per second over the last 5 minutes."),
		horizon:        gauge("edge_buffer_horizon_seconds", "Time until the buffer is full at that rate if nothing is trimmed; -1 without input."),
		salvaged:       gauge("edge_salvaged_packs", "Packs salvaged from damaged files since the start."),
		damagedBytes:   gauge("edge_damaged_bytes", "Bytes lost in damaged files, found since the start."),
		missingPacks:   gauge("edge_missing_packs", "Acknowledged packs missing at the end of the stream, found since the start."),
		hubRefused:     gauge("edge_hub_refused", "1 while the hub refuses this gateway, as when another one with its id is connected."),
		hubRefusals:    gauge("edge_hub_refusals", "Times the hub refused this gateway since the start."),
		storeRestarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_store_restarts_total",
			Help: "Restarts of storage that failed on a working disk.",
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_internal_reconnects_total",
			Help: "Reconnects of the gateway to its own server; requests in flight got no reply.",
		}),
	}
	reg.MustRegister(m.reconnects, m.storeRestarts)
	m.horizon.Set(noHorizon)
	return m
}

// registrations tracks the collectors of one gateway and unregisters them when it ends,
// since several gateways may share a registry.
type registrations struct {
	prometheus.Registerer
	mine []prometheus.Collector
}

// MustRegister implements prometheus.Registerer.
func (r *registrations) MustRegister(cs ...prometheus.Collector) {
	r.Registerer.MustRegister(cs...)
	r.mine = append(r.mine, cs...)
}

func (r *registrations) release() {
	for _, c := range r.mine {
		r.Unregister(c)
	}
	r.mine = nil
}
