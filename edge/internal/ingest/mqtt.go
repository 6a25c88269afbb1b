package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/ops"
)

// MQTTOptions of an MQTTIntake. All are required but Registerer.
type MQTTOptions struct {
	Addr       string // host:port, from EDGE_MQTT_ADDR; port 0 picks a free one
	Collector  *Collector
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// MQTTIntake is the MQTT server of the gateway (3.1, 3.1.1 and 5). It receives readings
// published to devices/<device_id>/telemetry and acknowledges them when they are on
// disk. Clients may subscribe, but no message is ever delivered to them.
//
//   - QoS 0 is accepted without a promise.
//   - QoS 1 gets its PUBACK when the reading is on disk; many may be in flight.
//   - QoS 2 gets its PUBREC then, one at a time. A message is stored once as long as
//     the gateway runs: the ids of unfinished exchanges are in memory.
//   - A permanently refused message is stored as a dead letter. MQTT 5 gets a reason
//     code (section 3.4.2.1); MQTT 3 has none for a PUBLISH and gets its PUBACK, since
//     a resend cannot help.
//   - "Retry later" is a reason code in MQTT 5. MQTT 3 clients are disconnected and
//     resend after they reconnect.
//   - A will is held back and treated like a QoS 0 publish when the client is lost.
type MQTTIntake struct {
	ln     *mqttListener
	srv    *mqtt.Server
	hook   *mqttHook
	served atomic.Bool
}

// ListenMQTT binds the listener; Serve accepts.
func ListenMQTT(o MQTTOptions) (*MQTTIntake, error) {
	ln, err := ops.Listen(o.Addr, "EDGE_MQTT_ADDR")
	if err != nil {
		return nil, err
	}
	log := o.Log.With("component", "ingest", "protocol", MQTT.String())
	m := &MQTTIntake{ln: &mqttListener{Listener: ln}}
	m.srv = mqtt.New(&mqtt.Options{
		Capabilities:            capabilities(),
		ClientNetReadBufferSize: 8 << 10,
		Logger:                  slog.New(quietHandler{log.Handler()}),
		SysTopicResendInterval:  24 * 3600, // seconds; each calls runtime.ReadMemStats, which stops the world
	})
	m.hook = &mqttHook{collector: o.Collector, log: log, stopping: make(chan struct{}), closing: make(chan struct{})}
	if err := m.srv.AddHook(m.hook, nil); err != nil {
		return nil, fmt.Errorf("setting up MQTT: %w", err)
	}
	if err := m.srv.AddListener(listeners.NewNet("mqtt", m.ln)); err != nil {
		return nil, fmt.Errorf("setting up MQTT: %w", err)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "edge_mqtt_clients", Help: "MQTT clients connected.",
		}, func() float64 { return float64(atomic.LoadInt64(&m.srv.Info.ClientsConnected)) }))
	}
	return m, nil
}

func capabilities() *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumPacketSize = broker.MaxPayload
	c.ReceiveMaximum = 16 << 10
	c.MaximumClientWritesPending = 16 // allocated for each client, and unused
	c.MaximumSessionExpiryInterval = 24 * 3600
	c.RetainAvailable = 1 // the retain flag is ignored, not refused
	return c
}

// Serve starts accepting clients and returns.
func (m *MQTTIntake) Serve() error {
	m.served.Store(true)
	if err := m.srv.Serve(); err != nil {
		return fmt.Errorf("starting MQTT: %w", err)
	}
	return nil
}

// Addr returns the bound address.
func (m *MQTTIntake) Addr() net.Addr { return m.ln.Addr() }

// StopIntake accepts no more clients and messages. Messages in flight still get their
// replies.
func (m *MQTTIntake) StopIntake() {
	m.hook.stop()
	_ = m.ln.Close() // the server closes it once more
}

// Close calls StopIntake, flushes the replies, disconnects the clients and waits for the
// server's goroutines. A second call does nothing.
func (m *MQTTIntake) Close(ctx context.Context) error {
	m.StopIntake()
	m.hook.close()
	if !m.served.Swap(false) {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		err := m.srv.Close()
		m.ln.writers.Wait()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("disconnecting MQTT clients: %w", ctx.Err())
	}
}

// quietHandler logs errors of the MQTT server only: it warns about every client that
// disconnects without DISCONNECT, and logs its payload.
type quietHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h quietHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h quietHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(a)}
}

// WithGroup implements slog.Handler.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}
