// Package broker runs the embedded NATS server of one gateway: its accounts, the stream
// of packs on disk, and the leaf link to the hub. It does not validate or pack readings
// (package ingest does) and never opens a payload.
//
// Devices use the account DEVICES; guard alone decides which may connect, and what for. The stream
// and the leaf link use the account UPLINK, which devices cannot reach.
//
// New and Restart block while an existing store is examined and recovered; Put, Settle,
// Probe and Info until the server responds or their context ends; Shutdown until the
// server has stopped.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/edge/internal/salvage"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/tlsfiles"
	"industrial-iot-monitor/internal/wire"
)

// Accounts of the embedded server.
const (
	accountDevices = "DEVICES"
	accountUplink  = "UPLINK"
)

// MaxPayload is the largest NATS message in bytes. The server closes the connection of a
// client that sends a larger one.
const MaxPayload = 5 << 18 // 1.25 MiB

// Options of a Broker. Gateway, Addr, Dir, BufferBytes and Log are required.
type Options struct {
	Gateway string
	Addr    string // host:port for devices, from EDGE_NATS_ADDR; port 0 picks a free one
	HubURL  string // nats-leaf://host:port, from EDGE_HUB_URL; empty: no hub
	HubSeed string // of the key that the gateway proves to the hub; empty: none
	// HubCAFile has the certificate that the hub's must be signed by; empty: the system's for a HubURL of
	// tls://, else no TLS.
	HubCAFile string
	Dir       string // of this gateway alone
	// BufferBytes limits the stream. It is lowered to the room on the disk.
	BufferBytes int64
	// MaxConnections limits those of devices; 0: no limit.
	MaxConnections int
	// TLS of devices; nil: none. PlainToo lets those in that speak none.
	TLS      *tls.Config
	PlainToo bool
	// Gate decides which devices may connect; nil: every one.
	Gate Gate
	Log  *slog.Logger
	// OnReconnect is called when an internal connection has reconnected.
	OnReconnect func()
}

// Broker is a running embedded server.
type Broker struct {
	o        Options
	log      *slog.Logger
	gateway  string
	dir      string
	limit    int64
	addr     string // as bound
	instance string
	guard    *guard
	lock     *dirLock
	marker   *salvage.Marker

	srv     atomic.Pointer[server.Server]
	devices *nats.Conn
	uplink  *nats.Conn
	stream  *Stream
	diskLow atomic.Bool
	refused refusals

	mu       sync.Mutex // held while the server is started or stopped
	closed   bool
	salvaged salvage.Report
}

// New locks the directory, examines the store, starts the server, recovers or creates
// the stream, and returns when devices can connect. The hub may be down.
func New(o Options) (_ *Broker, err error) {
	b := &Broker{o: o, log: o.Log.With("component", "broker"), gateway: o.Gateway, dir: o.Dir, addr: o.Addr, guard: newGuard(o.Gate)}
	defer func() {
		if err != nil {
			b.Shutdown()
		}
	}()
	if b.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	if b.limit, err = b.fitBuffer(o.BufferBytes); err != nil {
		return nil, err
	}
	if b.instance, err = loadInstance(o.Dir); err != nil {
		return nil, err
	}
	if err := b.start(false); err != nil {
		return nil, err
	}
	b.addr = b.srv.Load().Addr().String() // a restart uses the same port
	if b.marker, err = salvage.OpenMarker(markFile(o.Dir)); err != nil {
		return nil, err
	}
	// Readings come over loopback TCP: at 35,000 a second, an in-process connection (an
	// unbuffered pipe) was measured to cost a tenth more of the gateway's CPU. With TLS it is the cheaper
	// one.
	ingest := natsconn.Options{URL: b.srv.Load().ClientURL()}
	if o.TLS != nil {
		ingest = natsconn.Options{InProcess: b}
	}
	if b.devices, err = b.connect(ingestUser, ingest); err != nil {
		return nil, err
	}
	if b.uplink, err = b.connect(uplinkUser, natsconn.Options{InProcess: b}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if b.stream, err = openStream(ctx, b); err != nil {
		return nil, err
	}
	return b, nil
}

// openTimeout bounds opening the stream.
const openTimeout = 30 * time.Second

// InProcessConn implements nats.InProcessConnProvider with the current server.
func (b *Broker) InProcessConn() (net.Conn, error) { return b.srv.Load().InProcessConn() }

func (b *Broker) serverOptions() (*server.Options, error) {
	o := b.o
	o.Addr = b.addr
	addr, err := net.ResolveTCPAddr("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("EDGE_NATS_ADDR=%s: want host:port: %w", o.Addr, err)
	}
	host := "0.0.0.0"
	if addr.IP != nil {
		host = addr.IP.String()
	}
	port := addr.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	devices, uplink := server.NewAccount(accountDevices), server.NewAccount(accountUplink)
	so := &server.Options{
		ServerName: o.Gateway,
		Host:       host,
		Port:       port,
		NoSigs:     true,
		MaxPayload: MaxPayload,
		MaxSubs:    maxSubscriptions,
		// A request has a reply subject of its own, so a cache of subjects costs more than
		// matching against the few subscriptions of a gateway.
		NoSublistCache:             true,
		Accounts:                   []*server.Account{devices, uplink},
		CustomClientAuthentication: b.guard,
		AlwaysEnableNonce:          true, // for devices with an nkey

		JetStream:       true,
		JetStreamDomain: wire.Domain(o.Gateway),
		StoreDir:        o.Dir,
		SyncAlways:      true, // an acknowledged pack is on disk
		// The stream's MaxBytes is the limit; the server's must never apply first.
		JetStreamMaxStore:  1 << 60,
		JetStreamMaxMemory: 256 << 20, // ordered consumers of the bridge keep their state in memory

		// A silently dead link is closed after MaxPingsOut+1 intervals.
		PingInterval: 5 * time.Second,
		MaxPingsOut:  2,
	}
	if o.TLS != nil {
		so.TLSConfig, so.TLSTimeout, so.AllowNonTLS = o.TLS, tlsTimeout, o.PlainToo
	}
	if o.MaxConnections > 0 {
		so.MaxConn = o.MaxConnections + ownConnections
	}
	if o.HubURL == "" {
		return so, nil
	}
	return so, b.dialHub(so)
}

// dialHub adds the leaf link to the hub.
func (b *Broker) dialHub(so *server.Options) error {
	o := b.o
	hub, err := b.hubURL()
	if err != nil {
		return err
	}
	so.LeafNode.ReconnectInterval = time.Second / 4 // plus a random part of up to as much
	so.LeafNode.DialTimeout = 10 * time.Second
	trust, err := hubTLS(hub, o.HubCAFile)
	if err != nil {
		return err
	}
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		TLS: trust != nil, TLSConfig: trust, TLSTimeout: tlsTimeout,
		LocalAccount:     accountUplink,
		URLs:             []*url.URL{hub},
		Nkey:             o.HubSeed,
		FirstInfoTimeout: 10 * time.Second,
		// No compression on a fast link, the fastest from 10 ms RTT, never a costlier one: a
		// busy machine has a high RTT too and must not be loaded further.
		Compression: server.CompressionOpts{
			Mode: server.CompressionS2Auto, RTTThresholds: []time.Duration{10 * time.Millisecond, time.Hour},
		},
	}}
	return nil
}

// hubURL returns the URL of the hub. Without a user in the configuration it adds gateway
// and instance id, by which the hub distinguishes two gateways with the same id.
func (b *Broker) hubURL() (*url.URL, error) {
	hub, err := url.Parse(b.o.HubURL)
	if err != nil || hub.Host == "" {
		return nil, fmt.Errorf("EDGE_HUB_URL=%s: want nats-leaf://host:port", natsconn.Redact(b.o.HubURL))
	}
	if hub.User == nil {
		hub.User = url.UserPassword(b.gateway, b.instance)
	}
	return hub, nil
}

// tlsTimeout bounds a handshake with the hub, in seconds: long, for a bad line.
const tlsTimeout = 10

// hubTLS returns the settings of TLS to the hub, nil for none.
func hubTLS(hub *url.URL, caFile string) (*tls.Config, error) {
	if caFile == "" && hub.Scheme != "tls" {
		return nil, nil
	}
	c, err := tlsfiles.Client(caFile, tls.VersionTLS13)
	if err != nil {
		return nil, fmt.Errorf("EDGE_HUB_CA_FILE: %w", err)
	}
	c.ServerName = hub.Hostname()
	return c, nil
}

// start examines the store and starts the server on it. Where nats-server would exit the
// process, it returns the error.
func (b *Broker) start(examineAll bool) error {
	so, err := b.serverOptions()
	if err != nil {
		return err
	}
	// The server binds the port late; binding it now gives a clear error.
	ln, err := ops.Listen(b.addr, "EDGE_NATS_ADDR")
	if err != nil {
		return err
	}
	if err := ln.Close(); err != nil {
		return fmt.Errorf("EDGE_NATS_ADDR=%s: %w", b.addr, err)
	}
	if err := b.salvage(examineAll); err != nil {
		return err
	}
	srv, err := server.NewServer(so)
	if err != nil {
		return fmt.Errorf("setting up the NATS server: %w", err)
	}
	if err := b.guard.serve(srv); err != nil {
		return err
	}
	b.srv.Store(srv)
	log := &serverLog{log: b.log, refused: &b.refused}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if err := log.fatal(); err != nil {
		return fmt.Errorf("starting the NATS server on EDGE_NATS_ADDR=%s: %w", b.addr, err)
	}
	if !srv.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("starting the NATS server on EDGE_NATS_ADDR=%s: not ready within 10s", b.addr)
	}
	return b.setUpAccounts()
}

// salvage repairs damaged files before the server opens them.
func (b *Broker) salvage(all bool) error {
	r, err := salvage.Run(salvage.Options{
		Dir:    filepath.Join(storeDir(b.dir), accountUplink, "streams", wire.PackStream(b.gateway)),
		Stream: wire.PackStream(b.gateway), Subject: wire.PackSubject(b.gateway),
		Aside: filepath.Join(b.dir, "damaged"), Mark: markFile(b.dir), Log: b.log, All: all,
	})
	b.salvaged.Salvaged += r.Salvaged
	b.salvaged.DamagedBytes += r.DamagedBytes
	b.salvaged.MissingPacks += r.MissingPacks
	b.salvaged.MissingReadings += r.MissingReadings
	b.salvaged.SetAside = append(b.salvaged.SetAside, r.SetAside...)
	return err
}

func (b *Broker) setUpAccounts() error {
	b.unmap(b.guard.accounts[ingestUser])
	if err := b.guard.accounts[uplinkUser].EnableJetStream(nil, nil); err != nil {
		return fmt.Errorf("opening the store in %s: %w", b.dir, err)
	}
	return nil
}

// unmap removes the JetStream domain's subject mappings from the devices' account, which
// has no JetStream: matching every reading's subject against them was measured as an
// eighth of the server's CPU.
func (b *Broker) unmap(devices *server.Account) {
	for _, suffix := range []string{"INFO", "STREAM.>", "CONSUMER.>", "DIRECT.>", "META.>", "SERVER.>", "ACCOUNT.>", "$KV.>", "$OBJ.>"} {
		devices.RemoveMapping("$JS." + wire.Domain(b.gateway) + ".API." + suffix)
	}
}

// connect opens one of the gateway's own connections.
func (b *Broker) connect(user string, to natsconn.Options) (*nats.Conn, error) {
	to.Name, to.Log, to.MustConnect, to.OnReconnect = user, b.o.Log, true, b.o.OnReconnect
	to.Extra = []nats.Option{
		nats.UserInfo(user, b.guard.own),
		// The server has already validated the reply subjects.
		nats.SkipSubjectValidation(),
	}
	return natsconn.Connect(to)
}

// Addr returns the address devices connect to by NATS.
func (b *Broker) Addr() string { return b.addr }

// Devices returns the connection for readings and replies.
func (b *Broker) Devices() *nats.Conn { return b.devices }

// Stream returns the stream of packs.
func (b *Broker) Stream() *Stream { return b.stream }

// BufferLimit returns the limit of the stream in bytes.
func (b *Broker) BufferLimit() int64 { return b.limit }

// Uplink returns the connection on which requests of the hub arrive.
func (b *Broker) Uplink() *nats.Conn { return b.uplink }

// PublishUplink publishes to the hub. While the link is down the message is lost.
func (b *Broker) PublishUplink(subject string, data []byte) error {
	if err := b.uplink.Publish(subject, data); err != nil {
		return fmt.Errorf("publishing on %s: %w", subject, err)
	}
	return nil
}

// HubWants reports whether the hub has a subscriber to subject, which implies that the
// leaf link is up. It is cheap.
func (b *Broker) HubWants(subject string) bool {
	account, err := b.srv.Load().LookupAccount(accountUplink)
	return err == nil && account.Interest(subject) > 0
}

// HubConnected reports whether the leaf link is up.
func (b *Broker) HubConnected() bool { return b.srv.Load().NumLeafNodes() > 0 }

// maxSubscriptions bounds those of one connection. A device needs one for its answers; the gateway's own
// connection, which nats-server cannot except, has one for each subject that is mapped: 256 mappings of
// 64 topics at most.
const maxSubscriptions = 256*64 + 100

// ownConnections are those of the gateway itself.
const ownConnections = 2

// Clients returns the number of device connections by NATS.
func (b *Broker) Clients() int { return max(b.srv.Load().NumClients()-ownConnections, 0) }

// Shutdown closes the connections, stops the server and waits for it, then unlocks
// the directory. A second call does nothing.
func (b *Broker) Shutdown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, nc := range []*nats.Conn{b.devices, b.uplink} {
		if nc != nil {
			nc.Close()
		}
	}
	if srv := b.srv.Load(); srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	if b.marker != nil {
		if err := b.marker.Close(); err != nil {
			b.log.Warn("closing the mark failed", "err", err)
		}
	}
	if err := b.lock.release(); err != nil {
		b.log.Warn("unlocking the data directory failed", "err", err)
	}
}

// Recheck ends the connections of devices that may not stay any more.
func (b *Broker) Recheck() { b.guard.recheck() }

// Flush waits until the server has received every reply to devices.
func (b *Broker) Flush(ctx context.Context) error {
	if err := b.devices.FlushWithContext(ctx); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("flushing replies: %w", err)
	}
	return nil
}

// markFile is the mark's path below dir.
func markFile(dir string) string { return filepath.Join(dir, "mark") }

// storeDir is nats-server's directory below dir.
func storeDir(dir string) string { return filepath.Join(dir, "jetstream") }
