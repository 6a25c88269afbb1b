package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// gateway is as much of a gateway as the bridge sees: a server with a store, a leaf
// link, packs and heartbeats.
type gateway struct {
	t    testing.TB
	id   string
	dir  string
	leaf string
	want *expected

	srv      *server.Server
	nc       *nats.Conn
	js       jetstream.JetStream
	instance string // id of the installation
	seed     string // of its key; empty: none
	epoch    uint64
	packed   packed
	stopped  chan struct{}
	beats    sync.WaitGroup
}

// packed is the content stored of the current epoch, for the heartbeats.
type packed struct {
	mu      sync.Mutex
	counter uint64
	totals  wire.PackTotals
}

func (p *packed) get() (counter uint64, totals wire.PackTotals) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counter, p.totals
}

func (p *packed) set(counter uint64, totals wire.PackTotals) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counter, p.totals = counter, totals
}

// newGateway starts a gateway that dials leaf.
func newGateway(tb testing.TB, id, leaf string, want *expected) *gateway {
	tb.Helper()
	return newInstallation(tb, id, "", leaf, want)
}

// newInstallation starts a gateway with an instance id.
func newInstallation(tb testing.TB, id, instance, leaf string, want *expected) *gateway {
	tb.Helper()
	return newKeyed(tb, id, instance, "", leaf, want)
}

// newKeyed starts a gateway that proves the key of a seed.
func newKeyed(tb testing.TB, id, instance, seed, leaf string, want *expected) *gateway {
	tb.Helper()
	g := &gateway{t: tb, id: id, instance: instance, seed: seed, dir: tb.TempDir(), leaf: leaf, want: want}
	g.start()
	tb.Cleanup(g.stop)
	return g
}

// start starts a new epoch on the files in its directory.
func (g *gateway) start() {
	g.t.Helper()
	var b [8]byte
	_, _ = rand.Read(b[:])
	g.epoch = binary.BigEndian.Uint64(b[:])
	g.packed.set(0, wire.PackTotals{})
	leaf, err := url.Parse("nats-leaf://" + g.leaf)
	require.NoError(g.t, err)
	leaf.User = url.UserPassword(g.id, g.instance)
	uplink := server.NewAccount("UPLINK")
	so := &server.Options{
		ServerName: g.id, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 2 << 20,
		Accounts:   []*server.Account{uplink},
		Users:      []*server.User{{Username: "uplink", Password: "x", Account: uplink}},
		NoAuthUser: "uplink",
		JetStream:  true, JetStreamDomain: wire.Domain(g.id), StoreDir: g.dir,
		PingInterval: time.Second, MaxPingsOut: 2,
	}
	so.LeafNode.ReconnectInterval = 100 * time.Millisecond
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		LocalAccount: "UPLINK", URLs: []*url.URL{leaf}, Nkey: g.seed,
		Compression: server.CompressionOpts{Mode: server.CompressionS2Auto, RTTThresholds: []time.Duration{10 * time.Millisecond, time.Hour}}, // as edge
	}}
	g.srv, err = server.NewServer(so)
	require.NoError(g.t, err)
	g.srv.Start()
	require.True(g.t, g.srv.ReadyForConnections(180*time.Second))
	account, err := g.srv.LookupAccount("UPLINK")
	require.NoError(g.t, err)
	require.NoError(g.t, account.EnableJetStream(nil, nil))
	g.nc, err = nats.Connect("", nats.InProcessServer(g.srv))
	require.NoError(g.t, err)
	g.js, err = jetstream.New(g.nc)
	require.NoError(g.t, err)
	ctx, cancel := g.deadline()
	defer cancel()
	_, err = g.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: wire.PackStream(g.id), Subjects: []string{wire.PackSubject(g.id)}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
	})
	require.NoError(g.t, err)
	g.stopped = make(chan struct{})
	g.beats.Go(g.beat)
}

func (g *gateway) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(g.t.Context()), 180*time.Second)
}

// beat sends heartbeats until the gateway stops.
func (g *gateway) beat() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	stopped, epoch, started := g.stopped, checkpoint.Hex(g.epoch), time.Now().UnixMilli()
	for {
		ctx, cancel := g.deadline()
		s, err := g.js.Stream(ctx, wire.PackStream(g.id))
		cancel()
		if err == nil {
			st := s.CachedInfo().State
			beat := wire.GatewayStatus{
				Gateway: g.id, Instance: g.instance, Epoch: epoch, Time: time.Now().UnixMilli(), Started: started,
				FirstSeq: st.FirstSeq, LastSeq: st.LastSeq,
			}
			beat.Counter, beat.Packed = g.packed.get()
			beat.Accepted = beat.Packed.Readings
			data, err := beat.Encode()
			if err == nil {
				_ = g.nc.Publish(wire.StatusSubject(g.id), data)
			}
		}
		select {
		case <-stopped:
			return
		case <-tick.C:
		}
	}
}

// stop ends the gateway's process; its disk stays.
func (g *gateway) stop() {
	if g.srv == nil {
		return
	}
	close(g.stopped)
	g.beats.Wait()
	g.nc.Close()
	g.srv.Shutdown()
	g.srv.WaitForShutdown()
	g.srv = nil
}

// wipe is a new disk in the place of the old one.
func (g *gateway) wipe() {
	g.t.Helper()
	g.stop()
	require.NoError(g.t, os.RemoveAll(filepath.Join(g.dir, "jetstream")))
	g.start()
}

// save copies the disk of a stopped gateway.
func (g *gateway) save() string {
	g.t.Helper()
	dir := filepath.Join(g.t.TempDir(), "copy")
	require.NoError(g.t, os.CopyFS(dir, os.DirFS(g.dir)))
	return dir
}

// restore puts an old copy in the place of the disk of a stopped gateway.
func (g *gateway) restore(dir string) {
	g.t.Helper()
	require.NoError(g.t, os.RemoveAll(g.dir))
	require.NoError(g.t, os.CopyFS(g.dir, os.DirFS(dir)))
}

// put stores a message in the stream of packs.
func (g *gateway) put(data []byte) uint64 {
	g.t.Helper()
	ctx, cancel := g.deadline()
	defer cancel()
	ack, err := g.js.Publish(ctx, wire.PackSubject(g.id), data)
	require.NoError(g.t, err)
	return ack.Sequence
}

// store makes a pack of entries, stores it and expects them in Kafka.
func (g *gateway) store(entries ...wire.PackEntry) uint64 {
	g.t.Helper()
	counter, totals := g.packed.get()
	var b wire.PackBuilder
	b.Reset(g.epoch, counter+1)
	b.Follow(totals)
	for _, e := range entries {
		b.Add(e)
	}
	seq := g.put(b.Finish())
	g.packed.set(counter+1, b.Totals())
	g.want.store(g.id, checkpoint.Hex(g.epoch), seq, entries)
	return seq
}

// storeMany stores packs of readings of a few devices.
func (g *gateway) storeMany(packs, readings int) {
	g.t.Helper()
	for p := range packs {
		entries := make([]wire.PackEntry, readings)
		for i := range entries {
			entries[i] = reading(fmt.Sprintf("%s-%d", g.id, i%7), fmt.Sprintf(`{"pack":%d,"i":%d}`, p, i))
		}
		g.store(entries...)
	}
}

func (g *gateway) state() jetstream.StreamState {
	g.t.Helper()
	ctx, cancel := g.deadline()
	defer cancel()
	s, err := g.js.Stream(ctx, wire.PackStream(g.id))
	require.NoError(g.t, err)
	return s.CachedInfo().State
}

func reading(device, value string) wire.PackEntry {
	return wire.PackEntry{Device: device, Received: time.Now().UnixMilli(), Payload: []byte(value)}
}

func refused(device, value string, r telemetry.Refusal) wire.PackEntry {
	e := reading(device, value)
	e.Refusal = &r
	return e
}
