package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"industrial-iot-monitor/internal/wire"
)

// gatewayID returns the id of the i-th gateway.
func gatewayID(i int) string { return fmt.Sprintf("gw-%05d", i) }

// gateway is as much of a gateway as bridge, core and portal see: the server with its leaf link
// and JetStream domain, set up as package edge/internal/broker does, the stream of packs, and a
// heartbeat each second. The stream is in memory: nothing beyond the link can tell.
type gateway struct {
	id       string
	building string
	instance string
	epoch    uint64
	started  int64

	srv *server.Server
	nc  *nats.Conn
	js  jetstream.JetStream

	change chan pace

	mu     sync.Mutex
	pack   wire.PackBuilder
	totals wire.PackTotals
	seq    uint64
	stored map[string][]int64 // timestamps by device
	last   int64              // newest timestamp
	err    error              // of the last failed attempt to store a pack
}

// pace is how many readings a gateway stores how often. The zero value is silence.
type pace struct {
	Every    time.Duration
	Readings int // of as many devices, in one pack
}

func newGateway(ctx context.Context, o playOptions, i int) (*gateway, error) {
	g := &gateway{
		id: gatewayID(i), building: fmt.Sprintf("B%05d", i), started: time.Now().UnixMilli(),
		change: make(chan pace), stored: map[string][]int64{},
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	g.epoch, g.instance = binary.BigEndian.Uint64(random[:8]), fmt.Sprintf("%x", random[8:])
	if err := g.serve(o); err != nil {
		g.stop()
		return nil, fmt.Errorf("gateway %s: %w", g.id, err)
	}
	_, err := g.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: wire.PackStream(g.id), Subjects: []string{wire.PackSubject(g.id)}, Storage: jetstream.MemoryStorage, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		g.stop()
		return nil, fmt.Errorf("gateway %s: creating its stream: %w", g.id, err)
	}
	return g, nil
}

const uplink = "UPLINK"

// serve starts the server and connects to it.
func (g *gateway) serve(o playOptions) error {
	hub, err := url.Parse("nats-leaf://" + o.Leaf)
	if err != nil {
		return err
	}
	hub.User = url.UserPassword(g.id, g.instance)
	account := server.NewAccount(uplink)
	so := &server.Options{
		ServerName: g.id, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 2 << 20, NoSublistCache: true,
		Accounts: []*server.Account{account}, Users: []*server.User{{Username: uplink, Password: g.instance, Account: account}}, NoAuthUser: uplink,
		JetStream: true, JetStreamDomain: wire.Domain(g.id), StoreDir: filepath.Join(o.Dir, g.id),
		JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 256 << 20, PingInterval: 5 * time.Second, MaxPingsOut: 2,
	}
	so.LeafNode.ReconnectInterval, so.LeafNode.DialTimeout = time.Second/4, 10*time.Second
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		LocalAccount: uplink, URLs: []*url.URL{hub}, FirstInfoTimeout: 10 * time.Second,
		Compression: server.CompressionOpts{Mode: server.CompressionS2Auto, RTTThresholds: []time.Duration{10 * time.Millisecond, time.Hour}},
	}}
	if g.srv, err = server.NewServer(so); err != nil {
		return err
	}
	g.srv.Start()
	if !g.srv.ReadyForConnections(time.Minute) {
		return fmt.Errorf("its server is not ready after a minute: %w", context.DeadlineExceeded)
	}
	if account, err = g.srv.LookupAccount(uplink); err != nil {
		return err
	}
	if err := account.EnableJetStream(nil, nil); err != nil {
		return err
	}
	if g.nc, err = nats.Connect("", nats.InProcessServer(g.srv), nats.Timeout(time.Minute)); err != nil {
		return err
	}
	g.js, err = jetstream.New(g.nc)
	return err
}

func (g *gateway) stop() {
	if g.nc != nil {
		g.nc.Close()
	}
	if g.srv != nil {
		g.srv.Shutdown()
		g.srv.WaitForShutdown()
	}
}

// beat sends a heartbeat each second until ctx ends; the first after a part of it.
func (g *gateway) beat(ctx context.Context, first time.Duration) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(time.Second)
		}
		if data, err := g.status().Encode(); err == nil {
			_ = g.nc.Publish(wire.StatusSubject(g.id), data) // lost while the link is down, as a gateway's
		}
	}
}

func (g *gateway) status() wire.GatewayStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return wire.GatewayStatus{
		Gateway: g.id, Building: g.building, Instance: g.instance, Epoch: fmt.Sprintf("%016x", g.epoch), Version: "scale",
		Time: time.Now().UnixMilli(), Started: g.started, FirstSeq: min(1, g.seq), LastSeq: g.seq, BufferLimit: 10 << 30,
		Counter: g.seq, Packed: g.totals, Accepted: g.totals.Readings, HorizonSeconds: -1,
	}
}

// work stores packs at the pace last received, until ctx ends. The first of a pace comes after a
// random part of it, so that gateways do not march in step.
func (g *gateway) work(ctx context.Context, part func(time.Duration) time.Duration) {
	var now pace
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now = <-g.change:
			timer.Stop()
			if now.Every > 0 {
				timer.Reset(part(now.Every))
			}
		case <-timer.C:
			timer.Reset(now.Every)
			g.store(ctx, now.Readings)
		}
	}
}

// store stores one pack of readings, each of another device.
func (g *gateway) store(ctx context.Context, readings int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := max(time.Now().UnixMilli(), g.last+1)
	g.pack.Reset(g.epoch, g.seq+1)
	g.pack.Follow(g.totals)
	for k := range readings {
		device := deviceID(g.id, k)
		g.pack.Add(wire.PackEntry{Device: device, Received: at, Payload: g.reading(device, at)})
	}
	ack, err := g.js.Publish(ctx, wire.PackSubject(g.id), g.pack.Finish())
	if err != nil {
		if ctx.Err() == nil {
			g.err = err
		}
		return
	}
	g.seq, g.totals, g.last = ack.Sequence, g.pack.Totals(), at
	for k := range readings {
		device := deviceID(g.id, k)
		g.stored[device] = append(g.stored[device], at)
	}
}

// deviceID returns the id of the k-th device of a gateway.
func deviceID(gateway string, k int) string { return fmt.Sprintf("%s-%d", gateway, k) }

func (g *gateway) reading(device string, at int64) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":%q,"floor":1,"room":"101"},`+
		`"sensors":{"temperature":{"value":21.5,"unit":"°C","status":"normal"},"humidity":{"value":45.2,"unit":"%%","status":"normal"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`, device, at, g.building)
}

// account returns the timestamps of all readings stored so far, by device.
func (g *gateway) account() (map[string][]int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string][]int64, len(g.stored))
	for device, times := range g.stored {
		out[device] = slices.Clone(times)
	}
	return out, g.err
}

// readings returns how many readings are stored so far.
func (g *gateway) readings() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.totals.Readings
}
