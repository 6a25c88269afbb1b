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
		bufferLimit:    gauge("edge_buffer_limit_bytes", "Bytes of packs the disk may hold before devices are told to retry later."),
		bufferPacks:    gauge("edge_buffer_packs", "Packs on disk."),
		bufferAge:      gauge("edge_buffer_oldest_age_seconds", "Age of the oldest pack on disk, 0 when there is none."),
		diskFree:       gauge("edge_disk_free_bytes", "Free space of the disk that holds the buffer."),
		hubConnected:   gauge("edge_hub_connected", "1 while the leaf link to the hub is up."),
		natsClients:    gauge("edge_nats_clients", "NATS clients connected."),
		bufferFull:     gauge("edge_buffer_full", "1 while devices are told to retry later because the buffer or the disk is full."),
		clockStep:      gauge("edge_clock_step_seconds", "By how much the clock of the gateway was last set, 0 when it never was since the start."),
		bytesPerSecond: gauge("edge_buffer_bytes_per_second", "Rate at which packs were stored over the last minutes."),
		horizon:        gauge("edge_buffer_horizon_seconds", "How long the buffer lasts at that rate if nothing leaves it; -1 while nothing comes in."),
		salvaged:       gauge("edge_salvaged_packs", "Packs that were saved from damaged files since the start."),
		damagedBytes:   gauge("edge_damaged_bytes", "Bytes in damaged files that could not be saved, found since the start."),
		missingPacks:   gauge("edge_missing_packs", "Acknowledged packs that were missing at the end of the stream, found since the start."),
		hubRefused:     gauge("edge_hub_refused", "1 while the hub refuses this gateway, as it does when another one with its id is connected."),
		hubRefusals:    gauge("edge_hub_refusals", "Times the hub refused this gateway since the start."),
		storeRestarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_store_restarts_total",
			Help: "Times the storage was started again because it did not work although the disk did.",
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_internal_reconnects_total",
			Help: "Times the gateway lost a connection to its own server; what was on the way got no answer.",
		}),
	}
	reg.MustRegister(m.reconnects, m.storeRestarts)
	m.horizon.Set(noHorizon)
	return m
}

// registrations remembers what was registered with it, so that a gateway that ends
// leaves nothing in a registry that others go on using.
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
