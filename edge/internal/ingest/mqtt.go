package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/mqtt"
	"industrial-iot-monitor/internal/connlimit"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/tlsfiles"
)

// MQTTOptions of an MQTTIntake. Addr, Collector and Log are required.
type MQTTOptions struct {
	Addr          string   // host:port, from EDGE_MQTT_ADDR; port 0 picks a free one
	WebSocketAddr string   // likewise, from EDGE_MQTT_WS_ADDR; empty: none
	Origins       []string // pages that may open the WebSocket, see mqtt.Server.ServeWebSocket
	// MaxConnections and MaxPerAddress limit the connections of both, see package connlimit.
	MaxConnections, MaxPerAddress int

	TLS      *tls.Config // of both; nil: none
	PlainToo bool        // with TLS: also clients that speak none

	Collector  *Collector
	Mapper     Mapper         // of messages that are no readings; may be nil
	Devices    *devices.Store // that clients have to be; nil: any
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// MQTTIntake receives readings published by MQTT to devices/<device_id>/telemetry and
// acknowledges them when they are on disk.
//
//   - QoS 0 is accepted without a promise.
//   - QoS 1 gets its PUBACK when the reading is on disk, QoS 2 its PUBREC; many may be in
//     flight. The ids of unfinished QoS 2 exchanges are in memory.
//   - A permanently refused message is stored as a dead letter. MQTT 5 gets a reason
//     code (section 3.4.2.1); MQTT 3 has none for a PUBLISH and gets its PUBACK, since
//     a resend cannot help.
//   - "Retry later" is a reason code in MQTT 5. MQTT 3 clients are disconnected and
//     resend after they reconnect.
//   - A will is treated like a QoS 0 publish when the client is lost for its will delay.
type MQTTIntake struct {
	ln, ws  net.Listener // ws is nil without EDGE_MQTT_WS_ADDR
	origins []string
	srv     *mqtt.Server
}

// ListenMQTT binds the listeners; Serve accepts.
func ListenMQTT(o MQTTOptions) (_ *MQTTIntake, err error) {
	m := &MQTTIntake{origins: o.Origins}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.release())
		}
	}()
	if m.ln, err = ops.Listen(o.Addr, "EDGE_MQTT_ADDR"); err != nil {
		return nil, err
	}
	if o.WebSocketAddr != "" {
		if m.ws, err = ops.Listen(o.WebSocketAddr, "EDGE_MQTT_WS_ADDR"); err != nil {
			return nil, err
		}
	}
	m.limit(o)
	closed := mqttMetrics(o.Registerer, func() float64 { return float64(m.srv.Clients()) })
	var gate mqtt.Gate
	if o.Devices != nil {
		gate = mqttGate{o.Devices}
	}
	m.srv, err = mqtt.New(mqtt.Options{
		Gate:        gate,
		NewReceiver: func(c *mqtt.Client) mqtt.Receiver { return newMQTTSender(o.Collector, o.Mapper, c) },
		MaxPacket:   broker.MaxPayload,
		Log:         o.Log.With("component", "ingest", "protocol", MQTT.String()),
		OnClosed:    func(cause string) { closed.WithLabelValues(cause).Inc() },
	})
	if err != nil {
		return nil, fmt.Errorf("setting up MQTT: %w", err)
	}
	return m, nil
}

// limit counts the connections of both listeners together, before TLS costs anything.
func (m *MQTTIntake) limit(o MQTTOptions) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_mqtt_connections_refused_total", Help: "MQTT connections closed at once because there were too many, in total or from their address.",
	}, []string{"reason"})
	for _, reason := range connlimit.Reasons() {
		refused.WithLabelValues(reason)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(refused)
	}
	limits := connlimit.New(connlimit.Options{
		Total: o.MaxConnections, PerAddress: o.MaxPerAddress, OnRefused: func(reason string) { refused.WithLabelValues(reason).Inc() },
	})
	for _, ln := range []*net.Listener{&m.ln, &m.ws} {
		if *ln == nil {
			continue
		}
		*ln = limits.Listen(*ln)
		if o.TLS != nil {
			*ln = tlsfiles.Listen(*ln, o.TLS, o.PlainToo)
		}
	}
}

// mqttMetrics registers the metrics of the connections, and returns the one that counts
// those that the gateway ended.
func mqttMetrics(reg prometheus.Registerer, clients func() float64) *prometheus.CounterVec {
	closed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_mqtt_connections_closed_total", Help: "MQTT connections that the gateway ended because of their client, by cause.",
	}, []string{"cause"})
	for _, cause := range mqtt.Causes() {
		closed.WithLabelValues(cause)
	}
	if reg != nil {
		reg.MustRegister(closed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "edge_mqtt_clients", Help: "MQTT clients connected.",
		}, clients))
	}
	return closed
}

// Serve starts accepting clients and returns.
func (m *MQTTIntake) Serve() {
	m.srv.Serve(m.ln)
	if m.ws != nil {
		m.srv.ServeWebSocket(m.ws, m.origins)
	}
}

// Addr returns the bound address.
func (m *MQTTIntake) Addr() net.Addr { return m.ln.Addr() }

// WebSocketAddr returns the bound address, nil if there is none.
func (m *MQTTIntake) WebSocketAddr() net.Addr {
	if m.ws == nil {
		return nil
	}
	return m.ws.Addr()
}

// Recheck ends the connections of devices that may not stay any more.
func (m *MQTTIntake) Recheck() { m.srv.Recheck() }

// StopIntake accepts no more clients and messages. Messages in flight still get their
// replies.
func (m *MQTTIntake) StopIntake() { m.srv.StopIntake() }

// Close calls StopIntake, flushes the replies, disconnects the clients and waits for the
// server's goroutines, until ctx ends. A second call does nothing.
func (m *MQTTIntake) Close(ctx context.Context) error {
	return errors.Join(m.srv.Close(ctx), m.release())
}

// release closes the listeners if the server did not.
func (m *MQTTIntake) release() error {
	var errs []error
	for _, ln := range []net.Listener{m.ln, m.ws} {
		if ln == nil {
			continue
		}
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
