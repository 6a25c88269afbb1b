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

// MQTTIntake is the MQTT server of the gateway (3.1, 3.1.1 and 5). It takes readings
// published to devices/<device_id>/telemetry and acknowledges them when they are on
// disk. Nothing is passed on to other clients: a client may subscribe, and hears
// nothing.
//
//   - QoS 0 is taken without a promise.
//   - QoS 1 gets its PUBACK when the reading is on disk; many may be under way at once.
//   - QoS 2 gets its PUBREC then, one at a time. That a message is stored once holds
//     as long as the gateway runs: the ids of unfinished exchanges are kept in memory.
//   - A message that can never be accepted is kept as a dead letter. MQTT 5 then gets
//     a reason code; older versions have none for a PUBLISH and get their PUBACK,
//     since sending it again cannot help.
//   - "Retry later" is a reason code in MQTT 5. Older versions are disconnected, and
//     send again when they come back.
//   - A will is kept by us and judged like a QoS 0 publish when the client is lost.
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
		SysTopicResendInterval:  24 * 3600, // seconds; each sends the world to a stop to measure memory
	})
	m.hook = &mqttHook{collector: o.Collector, log: log, stopping: make(chan struct{}), closing: make(chan struct{})}
	if err := m.srv.AddHook(m.hook, nil); err != nil {
		return nil, fmt.Errorf("setting up mqtt: %w", err)
	}
	if err := m.srv.AddListener(listeners.NewNet("mqtt", m.ln)); err != nil {
		return nil, fmt.Errorf("setting up mqtt: %w", err)
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
	c.MaximumInflight = 16 << 10
	c.MaximumClientWritesPending = 16 // a queue of this size is made for each client, and nothing uses it
	c.MaximumSessionExpiryInterval = 24 * 3600
	c.RetainAvailable = 1 // a retain flag is ignored rather than a reason to refuse
	return c
}

// Serve starts accepting clients and returns.
func (m *MQTTIntake) Serve() error {
	m.served.Store(true)
	if err := m.srv.Serve(); err != nil {
		return fmt.Errorf("starting mqtt: %w", err)
	}
	return nil
}

// Addr returns the bound address.
func (m *MQTTIntake) Addr() net.Addr { return m.ln.Addr() }

// StopIntake accepts no more clients and takes no more messages. What is under way
// can still be answered.
func (m *MQTTIntake) StopIntake() {
	m.hook.stop()
	_ = m.ln.Close() // closed once more by the server
}

// Close disconnects the clients, after sending what is queued for them, and waits for
// the server's goroutines. StopIntake comes first.
func (m *MQTTIntake) Close(ctx context.Context) error {
	m.StopIntake()
	m.hook.close()
	if !m.served.Load() {
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
		return fmt.Errorf("waiting for mqtt clients to go: %w", ctx.Err())
	}
}

// quietHandler passes on only what mochi calls an error: it warns of every client that
// goes without saying goodbye, and repeats the message in the log.
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
