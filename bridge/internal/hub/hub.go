// Package hub is the NATS server in the middle: gateways dial it as leaf nodes, core
// and portal as clients. It stores nothing: JetStream lives in the gateways. It is not
// for reading or writing messages. New blocks until the server accepts connections,
// Shutdown until it is gone.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/ops"
)

// MaxPayload is the largest message that passes the hub, in bytes. It leaves room
// above the largest pack a gateway makes.
const MaxPayload = 8 << 20

const readyTimeout = 10 * time.Second

// Options of a Hub. All but Refused are required.
type Options struct {
	Addr     string // host:port for clients, from BRIDGE_HUB_ADDR; port 0 picks a free one
	LeafAddr string // host:port for gateways, from BRIDGE_LEAF_ADDR; port 0 picks a free one
	Log      *slog.Logger
	// Refused is called when a second installation with the id of a connected gateway was
	// turned away. It must not block.
	Refused func(gateway, instance, remote string)
}

// Hub is a running embedded server.
type Hub struct {
	srv   *server.Server
	guard *guard
	leaf  string
}

// New starts the server. An address that cannot be used gives an error that names the
// variable it came from.
func New(o Options) (*Hub, error) {
	if o.Log == nil {
		return nil, errors.New("hub: Options.Log is required")
	}
	host, port, err := look(o.Addr, "BRIDGE_HUB_ADDR")
	if err != nil {
		return nil, err
	}
	leafHost, leafPort, err := look(o.LeafAddr, "BRIDGE_LEAF_ADDR")
	if err != nil {
		return nil, err
	}
	so := &server.Options{
		ServerName: "hub",
		Host:       host,
		Port:       port,
		NoSigs:     true,
		MaxPayload: MaxPayload,
		// A connection that died silently is noticed after MaxPingsOut+1 intervals.
		PingInterval: 5 * time.Second,
		MaxPingsOut:  2,
	}
	so.LeafNode.Host, so.LeafNode.Port = leafHost, leafPort
	// Compression by how far away a gateway is, but never a costly one: a busy machine
	// answers late too, and must not be kept busier for it.
	so.LeafNode.Compression = server.CompressionOpts{Mode: server.CompressionS2Auto, RTTThresholds: compressFrom()}
	// A gateway dials what it was told to. The address this server sees of itself may be
	// of no use where the gateway stands.
	so.LeafNode.NoAdvertise = true
	guard := newGuard(o.Log.With("component", "hub"), o.Refused)
	so.CustomClientAuthentication = guard
	log := newServerLog(o.Log.With("component", "hub"))
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
	return &Hub{srv: srv, guard: guard, leaf: net.JoinHostPort(leafHost, strconv.Itoa(so.LeafNode.Port))}, nil
}

// compressFrom are the round trips from which on packs are compressed fast, and better.
func compressFrom() []time.Duration { return []time.Duration{10 * time.Millisecond, time.Hour} }

var errNotReady = fmt.Errorf("not ready within %s", readyTimeout)

// look finds out whether addr can be listened on: the server itself binds late and
// ends in a log line where a plain error is wanted.
func look(addr, envVar string) (host string, port int, err error) {
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

// InProcess lets a client of the same process connect without a socket.
func (h *Hub) InProcess() nats.InProcessConnProvider { return h.srv }

// URL returns where clients connect.
func (h *Hub) URL() string { return h.srv.ClientURL() }

// LeafAddr returns the host:port that gateways dial.
func (h *Hub) LeafAddr() string { return h.leaf }

// Leafs returns the number of gateways connected now.
func (h *Hub) Leafs() int { return h.srv.NumLeafNodes() }

// Shutdown closes every connection and waits for the server to end. A second call
// does nothing.
func (h *Hub) Shutdown() {
	h.srv.Shutdown()
	h.srv.WaitForShutdown()
	h.guard.kicking.Wait()
}
