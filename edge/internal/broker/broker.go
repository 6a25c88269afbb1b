// Package broker is the embedded NATS server of one gateway: its accounts, the stream
// that holds packs on disk, and the leaf link to the hub. It is not for judging or
// packing readings (package ingest does that) and it never opens a payload.
//
// Devices live in the account DEVICES and need no password: who may connect is
// decided in serverOptions and nowhere else. The stream and the leaf link live in
// the account UPLINK, which devices cannot reach.
//
// New blocks while an existing store is recovered. Put, Settle, Probe and Info block
// until the server answers or their context ends. Shutdown blocks until the server
// is gone.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// Accounts of the embedded server.
const (
	accountDevices = "DEVICES"
	accountUplink  = "UPLINK"
)

// MaxPayload is the largest NATS message in bytes. A larger one is refused by the
// server, which closes the connection that sent it.
const MaxPayload = 2 << 20

// Options of a Broker. Gateway, Addr, Dir, BufferBytes and Log are required.
type Options struct {
	Gateway string
	Addr    string // host:port for devices, from EDGE_NATS_ADDR; port 0 picks a free one
	HubURL  string // nats-leaf://host:port, from EDGE_HUB_URL; empty: no hub
	Dir     string // of this gateway alone
	// BufferBytes limits the stream. It is lowered to what the disk has room for.
	BufferBytes int64
	Log         *slog.Logger
	// OnReconnect is called when one of the internal connections was lost and made again.
	OnReconnect func()
}

// Broker is a running embedded server.
type Broker struct {
	log     *slog.Logger
	gateway string
	dir     string
	limit   int64
	srv     *server.Server
	lock    *dirLock

	devices *nats.Conn
	uplink  *nats.Conn
	stream  *Stream
	diskLow atomic.Bool
}

// New locks the directory, starts the server, recovers or makes the stream, and
// returns when devices can connect. The hub may be absent.
func New(o Options) (_ *Broker, err error) {
	b := &Broker{log: o.Log.With("component", "broker"), gateway: o.Gateway, dir: o.Dir}
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
	users, err := newUsers()
	if err != nil {
		return nil, err
	}
	so, err := serverOptions(o, users)
	if err != nil {
		return nil, err
	}
	if err := b.start(o.Addr, so); err != nil {
		return nil, err
	}
	// Readings come over loopback TCP: measured at 35,000 a second, a connection within
	// the process (an unbuffered pipe) costs a tenth more of the gateway's CPU.
	if b.devices, err = connect(o, "ingest", users.ingest, natsconn.Options{URL: b.srv.ClientURL()}); err != nil {
		return nil, err
	}
	if b.uplink, err = connect(o, "uplink", users.uplink, natsconn.Options{InProcess: b.srv}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if b.stream, err = openStream(ctx, b); err != nil {
		return nil, err
	}
	return b, nil
}

func serverOptions(o Options, u users) (*server.Options, error) {
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
		Accounts:   []*server.Account{devices, uplink},
		Nkeys: []*server.NkeyUser{
			{Nkey: u.device.name, Account: devices},
			{Nkey: u.ingest.name, Account: devices},
			{Nkey: u.uplink.name, Account: uplink},
		},
		NoAuthUser: u.device.name, // whoever connects without credentials is a device

		JetStream:       true,
		JetStreamDomain: wire.Domain(o.Gateway),
		StoreDir:        o.Dir,
		SyncAlways:      true, // an acknowledged pack is on disk
		// The stream's own MaxBytes is the limit; the server's must never come first.
		JetStreamMaxStore:  1 << 60,
		JetStreamMaxMemory: 256 << 20, // ordered consumers of the bridge keep their state in memory

		// A link that died silently is noticed after MaxPingsOut+1 intervals.
		PingInterval: 5 * time.Second,
		MaxPingsOut:  2,
	}
	if o.HubURL == "" {
		return so, nil
	}
	hub, err := url.Parse(o.HubURL)
	if err != nil || hub.Host == "" {
		return nil, fmt.Errorf("EDGE_HUB_URL=%s: want nats-leaf://host:port", o.HubURL)
	}
	so.LeafNode.ReconnectInterval = time.Second
	so.LeafNode.DialTimeout = 10 * time.Second
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		LocalAccount:     accountUplink,
		URLs:             []*url.URL{hub},
		FirstInfoTimeout: 10 * time.Second,
	}}
	return so, nil
}

// start runs the server. It reports why it does not come up instead of ending the
// process, as nats-server would.
func (b *Broker) start(addr string, so *server.Options) error {
	// The server binds the port itself and late; a look now gives the plain error.
	ln, err := ops.Listen(addr, "EDGE_NATS_ADDR")
	if err != nil {
		return err
	}
	if err := ln.Close(); err != nil {
		return fmt.Errorf("EDGE_NATS_ADDR=%s: %w", addr, err)
	}
	if b.srv, err = server.NewServer(so); err != nil {
		return fmt.Errorf("setting up the nats server: %w", err)
	}
	log := &serverLog{log: b.log}
	b.srv.SetLoggerV2(log, false, false, false)
	b.srv.Start()
	if err := log.fatal(); err != nil {
		return fmt.Errorf("starting the nats server on EDGE_NATS_ADDR=%s: %w", addr, err)
	}
	if !b.srv.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("starting the nats server on EDGE_NATS_ADDR=%s: not ready within 10s", addr)
	}
	return b.setUpAccounts()
}

func (b *Broker) setUpAccounts() error {
	devices, err := b.srv.LookupAccount(accountDevices)
	if err != nil {
		return fmt.Errorf("looking up account %s: %w", accountDevices, err)
	}
	b.unmap(devices)
	uplink, err := b.srv.LookupAccount(accountUplink)
	if err != nil {
		return fmt.Errorf("looking up account %s: %w", accountUplink, err)
	}
	if err := uplink.EnableJetStream(nil, nil); err != nil {
		return fmt.Errorf("opening the store in %s: %w", b.dir, err)
	}
	return nil
}

// unmap takes the JetStream domain's subject mappings from the devices' account, which
// has no JetStream: the server would compare every reading's subject with each of
// them, an eighth of all it does.
func (b *Broker) unmap(devices *server.Account) {
	for _, suffix := range []string{"INFO", "STREAM.>", "CONSUMER.>", "DIRECT.>", "META.>", "SERVER.>", "ACCOUNT.>", "$KV.>", "$OBJ.>"} {
		devices.RemoveMapping("$JS." + wire.Domain(b.gateway) + ".API." + suffix)
	}
}

func connect(o Options, name string, u user, to natsconn.Options) (*nats.Conn, error) {
	to.Name, to.Log, to.MustConnect, to.OnReconnect = name, o.Log, true, o.OnReconnect
	to.Extra = []nats.Option{
		nats.Nkey(u.name, u.key.Sign),
		// Replies go to subjects that the server has just let through.
		nats.SkipSubjectValidation(),
	}
	return natsconn.Connect(to)
}

// Addr returns the address devices connect to by NATS.
func (b *Broker) Addr() string { return b.srv.Addr().String() }

// Devices returns the connection that receives readings and sends replies.
func (b *Broker) Devices() *nats.Conn { return b.devices }

// Stream returns the stream of packs.
func (b *Broker) Stream() *Stream { return b.stream }

// BufferLimit returns the limit of the stream in bytes.
func (b *Broker) BufferLimit() int64 { return b.limit }

// PublishUplink publishes to the hub. With the link down the message is gone.
func (b *Broker) PublishUplink(subject string, data []byte) error {
	if err := b.uplink.Publish(subject, data); err != nil {
		return fmt.Errorf("publishing on %s: %w", subject, err)
	}
	return nil
}

// HubWants reports whether somebody at the hub subscribes to subject, which also
// means that the leaf link is up. It is cheap.
func (b *Broker) HubWants(subject string) bool {
	account, err := b.srv.LookupAccount(accountUplink)
	return err == nil && account.Interest(subject) > 0
}

// HubConnected reports whether the leaf link is up.
func (b *Broker) HubConnected() bool { return b.srv.NumLeafNodes() > 0 }

// Clients returns the number of device connections by NATS.
func (b *Broker) Clients() int {
	const own = 2
	return max(b.srv.NumClients()-own, 0)
}

// Shutdown closes the connections, stops the server and waits for it, then unlocks
// the directory. A second call does nothing.
func (b *Broker) Shutdown() {
	for _, nc := range []*nats.Conn{b.devices, b.uplink} {
		if nc != nil {
			nc.Close()
		}
	}
	if b.srv != nil {
		b.srv.Shutdown()
		b.srv.WaitForShutdown()
	}
	if err := b.lock.release(); err != nil {
		b.log.Warn("data directory could not be unlocked", "err", err)
	}
}

// Flush waits until the server has everything that was published to devices.
func (b *Broker) Flush(ctx context.Context) error {
	if err := b.devices.FlushWithContext(ctx); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("flushing replies: %w", err)
	}
	return nil
}

// storeDir is where nats-server keeps its files below dir.
func storeDir(dir string) string { return filepath.Join(dir, "jetstream") }
