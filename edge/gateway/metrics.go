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
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	m := &metrics{
		bufferBytes:  gauge("edge_buffer_bytes", "Bytes of packs on disk."),
		bufferLimit:  gauge("edge_buffer_limit_bytes", "Bytes of packs the disk may hold before devices are told to retry later."),
		bufferPacks:  gauge("edge_buffer_packs", "Packs on disk."),
		bufferAge:    gauge("edge_buffer_oldest_age_seconds", "Age of the oldest pack on disk, 0 when there is none."),
		diskFree:     gauge("edge_disk_free_bytes", "Free space of the disk that holds the buffer."),
		hubConnected: gauge("edge_hub_connected", "1 while the leaf link to the hub is up."),
		natsClients:  gauge("edge_nats_clients", "NATS clients connected."),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_internal_reconnects_total",
			Help: "Times the gateway lost a connection to its own server; what was on the way got no answer.",
		}),
	}
	reg.MustRegister(m.reconnects)
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
