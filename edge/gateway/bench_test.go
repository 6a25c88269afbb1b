package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/wire"
)

// BenchmarkCPU measures what a reading costs a gateway that runs as a process of its own, with
// its data on this machine's disk and linked to a hub: cpu-ns/reading is the CPU time of that
// process alone, ack-ms and ack-p99-ms are from a publish to its acknowledgement,
// readings/pack says how many shared a sync.
//
// "full" keeps 4,096 readings in flight; a number is the readings a second, at random times.
// On one connection they are sent every 2 ms, as by a program that collects; "each" is a
// connection for each of 1,000 devices, which send at once. With "required" devices have credentials
// and limits that they stay below (EDGE_DEVICE_AUTH=required). EDGE_BENCH_PROFILE=dir saves a CPU
// profile of the gateway for each.
func BenchmarkCPU(b *testing.B) {
	for _, c := range []struct {
		name        string
		open        func(l *load, i int) line
		connections int
		batch       int
		pause       time.Duration
		rates       []int // readings a second; 0: full
		required    bool
	}{
		{"nats", openNATS, 1, 1, 2 * time.Millisecond, []int{0, 33_333, 6667, 667, 67}, false},
		{"nats-each", openNATS, 1000, 1, 0, []int{0, 6667, 667, 67}, false},
		{"nats-each-required", openNATS, 1000, 1, 0, []int{0, 6667}, true},
		{"nats-batch50", openNATS, 1, 50, 2 * time.Millisecond, []int{0, 33_333, 6667}, false},
		{"mqtt", openMQTT, 1, 1, 2 * time.Millisecond, []int{0, 33_333, 6667, 667, 67}, false},
		{"mqtt-each", openMQTT, 1000, 1, 0, []int{0, 6667, 667, 67}, false},
		{"mqtt-each-required", openMQTT, 1000, 1, 0, []int{0, 6667}, true},
		{"mqtt-batch50", openMQTT, 1, 50, 2 * time.Millisecond, []int{0, 33_333, 6667}, false},
	} {
		for _, rate := range c.rates {
			name := c.name + "/full"
			if rate > 0 {
				name = c.name + "/" + strconv.Itoa(rate)
			}
			b.Run(name, func(b *testing.B) {
				l := &load{open: c.open, connections: c.connections, batch: c.batch, pause: c.pause, rate: rate, required: c.required}
				l.measure(b)
			})
		}
	}
}

// window is how many readings are in flight at most.
const window = 4096

// load is what a benchmark sends.
type load struct {
	open        func(l *load, i int) line
	connections int
	batch       int           // readings in a message
	pause       time.Duration // between two flushes, at least
	rate        int           // readings a second; 0: as many as possible
	required    bool          // every connection is that of a device with a credential

	b       *testing.B
	slots   chan struct{}   // one for each message in flight
	sent    []time.Time     // by message
	took    []time.Duration // to its acknowledgement, by message
	refused atomic.Int64
	bodies  [][]byte // by sender: a reading of a device, or a concentrator's batch
	times   [][]int  // where their timestamps begin
	nats    string
	mqtt    string
	secrets []string // by device; nil without credentials
}

// line is a connection that publishes messages by number.
type line interface {
	send(message, sender int, body []byte)
	flush()
	close()
}

func (l *load) measure(b *testing.B) {
	b.Helper()
	dir, env := b.TempDir(), "EDGE_DEVICE_AUTH=off"
	if l.required {
		env, l.secrets = "EDGE_DEVICE_AUTH=required", addDevices(b, dir, 1000)
	}
	g := startProcess(b, dir, env)
	messages := (b.N + l.batch - 1) / l.batch
	l.b, l.slots, l.nats, l.mqtt = b, make(chan struct{}, window/l.batch), g.nats, g.mqtt
	l.sent, l.took = make([]time.Time, messages), make([]time.Duration, messages)
	l.makeBodies()
	lines := make([]line, l.connections)
	for i := range lines {
		lines[i] = l.open(l, i)
		b.Cleanup(lines[i].close)
	}
	save := g.profile(b)
	packs, cpu := g.packs(b), g.cpu(b)
	b.ResetTimer()
	l.run(lines)
	b.StopTimer()
	n := float64(messages * l.batch)
	b.ReportMetric(float64(g.cpu(b)-cpu)/n, "cpu-ns/reading")
	b.ReportMetric(n/(g.packs(b)-packs), "readings/pack")
	b.ReportMetric(n/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(g.rss(b), "rss-MB")
	save()
	slices.Sort(l.took)
	sum := time.Duration(0)
	for _, d := range l.took {
		sum += d
	}
	b.ReportMetric(float64(sum.Microseconds())/float64(messages)/1000, "ack-ms")
	b.ReportMetric(float64(l.took[messages*99/100].Microseconds())/1000, "ack-p99-ms")
	b.ReportMetric(0, "ns/op")
	require.Zero(b, l.refused.Load())
}

// run sends all messages, the senders in turn, and waits for their acknowledgements.
func (l *load) run(lines []line) {
	rnd := rand.New(rand.NewPCG(1, 2))
	due := time.Now()
	for i := range l.sent {
		if l.rate > 0 {
			due = due.Add(time.Duration(rnd.ExpFloat64() * float64(l.batch) / float64(l.rate) * float64(time.Second)))
			if wait := time.Until(due); wait > 0 {
				flushAll(lines)
				<-time.After(max(wait, l.pause))
			}
		}
		select {
		case l.slots <- struct{}{}:
		default:
			flushAll(lines)
			l.slots <- struct{}{}
		}
		sender := i % len(l.bodies)
		body := l.bodies[sender]
		for k, at := range l.times[sender] { // each reading once
			_ = strconv.AppendInt(body[at:at], 1640995200000+int64(i+k), 10)
		}
		l.sent[i] = time.Now()
		lines[sender%len(lines)].send(i, sender, body)
	}
	flushAll(lines)
	for range cap(l.slots) {
		l.slots <- struct{}{}
	}
}

func flushAll(lines []line) {
	for _, c := range lines {
		c.flush()
	}
}

// answered notes the acknowledgement of a message.
func (l *load) answered(message int, ok bool) {
	l.took[message] = time.Since(l.sent[message])
	if !ok {
		l.refused.Add(1)
	}
	<-l.slots
}

// makeBodies makes 1,000 devices' readings, in batches of l.batch.
func (l *load) makeBodies() {
	mark := []byte("1640995200000")
	for i := 0; i < 1000; i += l.batch {
		var all [][]byte
		for k := range l.batch {
			all = append(all, reading(deviceName(i+k), 1640995200000))
		}
		body := all[0]
		if l.batch > 1 {
			body = slices.Concat([]byte("["), bytes.Join(all, []byte(",")), []byte("]"))
		}
		var times []int
		for at := 0; ; {
			k := bytes.Index(body[at:], mark)
			if k < 0 {
				break
			}
			times = append(times, at+k)
			at += k + len(mark)
		}
		l.bodies, l.times = append(l.bodies, body), append(l.times, times)
	}
}

func deviceName(i int) string { return fmt.Sprintf("device_%03d", i) }

// addDevices gives n devices a credential and returns their secrets.
func addDevices(tb testing.TB, dataDir string, n int) (secrets []string) {
	tb.Helper()
	var file bytes.Buffer
	for i := range n {
		secrets = append(secrets, credential.NewSecret())
		sum := sha256.Sum256([]byte(secrets[i]))
		require.NoError(tb, json.NewEncoder(&file).Encode(devices.Credential{ID: deviceName(i), Kind: devices.Secret, Hashes: [][]byte{sum[:]}}))
	}
	name := devices.File(dataDir, "gw-a")
	require.NoError(tb, os.MkdirAll(filepath.Dir(name), 0o700))
	require.NoError(tb, os.WriteFile(name, file.Bytes(), 0o600))
	return secrets
}

// BenchmarkReconnect measures how long 10,000 devices take that connect at once by MQTT, each with its
// secret, and publish a reading, until the last one is acknowledged.
func BenchmarkReconnect(b *testing.B) {
	const n = 10_000
	dir := b.TempDir()
	secrets := addDevices(b, dir, n)
	g := startProcess(b, dir, "EDGE_DEVICE_AUTH=required")
	for b.Loop() {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				l := &load{b: b, mqtt: g.mqtt, secrets: secrets, slots: make(chan struct{}, 1), sent: make([]time.Time, 1), took: make([]time.Duration, 1)}
				l.slots <- struct{}{}
				c := openMQTT(l, i)
				l.batch = 1
				c.send(0, i, reading(deviceName(i), time.Now().UnixMilli()))
				c.flush()
				l.slots <- struct{}{} // it is answered
				assert.Zero(b, l.refused.Load())
				c.close()
			})
		}
		all.Wait()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
	b.ReportMetric(g.rss(b), "rss-MB")
	b.ReportMetric(0, "ns/op")
}

// subject returns where a sender publishes.
func (l *load) subject(sender int) string {
	if l.batch > 1 {
		return fmt.Sprintf("concentrators.c%d.telemetry", sender)
	}
	return wire.TelemetrySubject(deviceName(sender))
}

// natsLine publishes requests, each with a reply subject of its own.
type natsLine struct {
	l     *load
	nc    *nats.Conn
	inbox string
}

func openNATS(l *load, i int) line {
	var login nats.Option
	if l.secrets != nil {
		login = nats.UserInfo(deviceName(i), l.secrets[i])
	}
	nc, err := nats.Connect(l.nats, login)
	require.NoError(l.b, err)
	c := &natsLine{l: l, nc: nc, inbox: nats.NewInbox() + "."}
	_, err = nc.Subscribe(c.inbox+"*", func(m *nats.Msg) {
		var token [8]byte
		_, err := hex.Decode(token[:], []byte(m.Subject[len(c.inbox):]))
		l.answered(int(binary.BigEndian.Uint64(token[:])), err == nil && bytes.HasPrefix(m.Data, []byte(`{"stream":`)))
	})
	require.NoError(l.b, err)
	return c
}

func (c *natsLine) send(message, sender int, body []byte) {
	if err := c.nc.PublishRequest(c.l.subject(sender), fmt.Sprintf("%s%016x", c.inbox, message), body); err != nil {
		c.l.b.Error(err)
	}
}

func (c *natsLine) flush() {} // the client flushes itself

func (c *natsLine) close() { c.nc.Close() }

// mqttLine publishes by MQTT 3.1.1 with QoS 1. Packet ids are given in turn, far fewer than
// there are in flight.
type mqttLine struct {
	l    *load
	conn net.Conn
	w    *bufio.Writer
	mu   sync.Mutex
	open map[uint16]int // messages by packet id
	next uint16
}

func openMQTT(l *load, i int) line {
	conn, err := (&net.Dialer{}).DialContext(l.b.Context(), "tcp", l.mqtt)
	require.NoError(l.b, err)
	c := &mqttLine{l: l, conn: conn, w: bufio.NewWriterSize(conn, 64<<10), open: map[uint16]int{}}
	id := strings.ReplaceAll(conn.LocalAddr().String(), ":", "-")
	hello := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(id))}, id...)
	if l.secrets != nil {
		hello[7] |= 0xC0
		for _, s := range []string{deviceName(i), l.secrets[i]} {
			hello = append(append(hello, 0, byte(len(s))), s...)
		}
	}
	hello = append([]byte{0x10, byte(len(hello))}, hello...)
	_, err = conn.Write(hello)
	require.NoError(l.b, err)
	r := bufio.NewReader(conn)
	var connack [4]byte
	_, err = io.ReadFull(r, connack[:])
	require.NoError(l.b, err)
	go func() {
		var p [4]byte
		for {
			if _, err := io.ReadFull(r, p[:]); err != nil {
				return
			}
			id := binary.BigEndian.Uint16(p[2:])
			c.mu.Lock()
			message := c.open[id]
			delete(c.open, id)
			c.mu.Unlock()
			l.answered(message, p[0] == 0x40)
		}
	}()
	return c
}

func (c *mqttLine) send(message, sender int, body []byte) {
	topic := strings.ReplaceAll(c.l.subject(sender), ".", "/")
	c.next++
	if c.next == 0 {
		c.next = 1
	}
	c.mu.Lock()
	c.open[c.next] = message
	c.mu.Unlock()
	head := binary.AppendUvarint([]byte{0x32}, uint64(4+len(topic)+len(body)))
	head = append(binary.BigEndian.AppendUint16(head, uint16(len(topic))), topic...)
	head = binary.BigEndian.AppendUint16(head, c.next)
	_, _ = c.w.Write(head)
	_, _ = c.w.Write(body)
}

func (c *mqttLine) close() { _ = c.conn.Close() }

func (c *mqttLine) flush() {
	if err := c.w.Flush(); err != nil {
		c.l.b.Error(err)
	}
}
