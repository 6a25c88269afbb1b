// Package hub is the NATS server in the centre: gateways dial it as leaf nodes, core and
// portal as clients. It stores nothing: JetStream runs in the gateways. Each gateway has an
// account of its own, so that no gateway reaches another one, or core and portal; what may pass
// between these accounts and that of the plant, the hub passes on (porter). New blocks until the
// server accepts connections, Shutdown until it has ended.
package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/securityaudit"
)

// MaxPayload is the largest message that passes the hub, in bytes: more than the largest
// pack of a gateway.
const MaxPayload = 8 << 20

const (
	readyTimeout = 10 * time.Second
	authTimeout  = 5 // seconds
	tlsTimeout   = 5 // seconds
)

// Options of a Hub. Addr, LeafAddr and Log are required.
type Options struct {
	Addr     string // host:port for clients, from BRIDGE_HUB_ADDR; port 0 picks a free one
	LeafAddr string // host:port for gateways, from BRIDGE_LEAF_ADDR; port 0 picks a free one
	Log      *slog.Logger
	// PlainLinks turns compression of the links to gateways off. A compressed link, also one
	// that is fast enough to be left uncompressed for now, takes 4 MB at both ends for the
	// buffers of nats-server.
	PlainLinks bool
	// Gate decides who may connect; nil: everybody may, under the name that they give.
	Gate Gate
	// TLS of both ports; nil: none.
	TLS *tls.Config
	// Audit takes what the hub has of the security audit: claims that were used, and who was refused. It may be nil.
	Audit securityaudit.Noter
	// Refused is called after a second installation with the id of a connected gateway was
	// refused. It must not block.
	Refused func(gateway, instance, remote string)
}

// Name is the name of the server, by which a bridge knows that its hub has accounts.
const Name = "iot-hub"

// Hub is a running embedded server.
type Hub struct {
	srv    *server.Server
	guard  *guard
	porter *porter
	leaf   string
}

// New starts the server. The error about an unusable address names its variable.
func New(o Options) (*Hub, error) {
	if o.Log == nil {
		return nil, errors.New("hub: Options.Log is required")
	}
	host, port, err := probe(o.Addr, "BRIDGE_HUB_ADDR")
	if err != nil {
		return nil, err
	}
	leafHost, leafPort, err := probe(o.LeafAddr, "BRIDGE_LEAF_ADDR")
	if err != nil {
		return nil, err
	}
	so := &server.Options{
		ServerName: Name,
		Host:       host,
		Port:       port,
		NoSigs:     true,
		MaxPayload: MaxPayload,
		// A dead connection is detected after MaxPingsOut+1 intervals.
		PingInterval: 5 * time.Second,
		MaxPingsOut:  2,
	}
	so.LeafNode.Host, so.LeafNode.Port = leafHost, leafPort
	// Compression depends on the round trip to a gateway, but is never expensive: a busy
	// machine answers late too, and must not get busier for it.
	so.LeafNode.Compression = server.CompressionOpts{Mode: server.CompressionS2Auto, RTTThresholds: compressFrom()}
	if o.PlainLinks {
		so.LeafNode.Compression = server.CompressionOpts{Mode: server.CompressionOff}
	}
	// A gateway dials its configured address. The one that this server sees of itself may be
	// unreachable for it.
	so.LeafNode.NoAdvertise = true
	log := newServerLog(o.Log.With("component", "hub"))
	porter := newPorter(o.Log.With("component", "hub"))
	guard := newGuard(o, porter.arrived)
	if o.TLS != nil {
		so.TLSConfig, so.TLSTimeout = o.TLS, tlsTimeout
		so.LeafNode.TLSConfig, so.LeafNode.TLSTimeout = o.TLS, tlsTimeout
	}
	so.CustomClientAuthentication = guard
	so.AlwaysEnableNonce = true
	// A gateway waits while the use of its claim is written down.
	so.AuthTimeout, so.LeafNode.AuthTimeout = authTimeout, authTimeout
	srv, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("setting up the hub: %w", err)
	}
	guard.srv = srv
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(readyTimeout) || log.fatal() != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, fmt.Errorf("starting the hub on BRIDGE_HUB_ADDR=%s, BRIDGE_LEAF_ADDR=%s: %w",
			o.Addr, o.LeafAddr, errors.Join(log.fatal(), errNotReady))
	}
	h := &Hub{srv: srv, guard: guard, porter: porter, leaf: net.JoinHostPort(leafHost, strconv.Itoa(so.LeafNode.Port))}
	if err := porter.start(srv, guard.own); err != nil {
		h.Shutdown()
		return nil, err
	}
	return h, nil
}

// compressFrom returns the round trips from which packs are compressed fast, and better.
func compressFrom() []time.Duration { return []time.Duration{10 * time.Millisecond, time.Hour} }

var errNotReady = fmt.Errorf("not ready within %s", readyTimeout)

// probe checks that addr can be listened on: the server itself binds late, and logs a failure
// instead of returning it.
func probe(addr, envVar string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%s=%s: want host:port: %w", envVar, addr, err)
	}
	if port, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", text); err != nil {
		return "", 0, fmt.Errorf("%s=%s: want host:port: %w", envVar, addr, err)
	}
	ln, err := ops.Listen(addr, envVar)
	if err != nil {
		return "", 0, err
	}
	if err := ln.Close(); err != nil {
		return "", 0, fmt.Errorf("%s=%s: %w", envVar, addr, err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// Connect returns a connection of this process into the account of the plant, with the rights of a
// bridge.
func (h *Hub) Connect(name string, log *slog.Logger) (*nats.Conn, error) {
	return natsconn.Connect(natsconn.Options{Name: name, User: name, Password: h.guard.own, Log: log, InProcess: h.srv, MustConnect: true})
}

// Recheck ends the connections of those who may not stay, after the gate's mind has changed.
func (h *Hub) Recheck() { h.guard.recheck() }

// Line returns the connection into the account of a gateway, an error before that gateway has
// connected. It lives as long as the hub.
func (h *Hub) Line(gateway string) (*nats.Conn, error) { return h.porter.line(gateway) }

// URL returns the URL for clients.
func (h *Hub) URL() string { return h.srv.ClientURL() }

// LeafAddr returns the host:port that gateways dial.
func (h *Hub) LeafAddr() string { return h.leaf }

// Leafs returns the number of gateways connected now.
func (h *Hub) Leafs() int { return h.srv.NumLeafNodes() }

// Shutdown closes every connection and waits for the server to end. Calling it again does
// nothing.
func (h *Hub) Shutdown() {
	h.porter.stop()
	h.srv.Shutdown()
	h.srv.WaitForShutdown()
	h.guard.disconnects.Wait()
}
