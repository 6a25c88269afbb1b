package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// mappings turns the meters' messages into readings.
const mappings = `mappings:
  - id: meters
    topic: meters/{device}/state
    device: "meter_{device}"
    timestamp: {path: at, format: ms}
    sensors:
      - {name: power, path: load.w, unit: W}
      - {name: flow, path: flow, unit: L/min}
  - id: strays
    topic: strays/{device}/state
    device: "stray_{device}"
    location: {building: "{.building}"}
    timestamp: {path: at, format: ms}
    sensors:
      - {name: power, path: load.w, unit: W}
      - {name: flow, path: flow, unit: L/min}
`

// writeMappings writes the gateways' mappings file and returns its name.
func writeMappings(dir string) (string, error) { return writeFile(dir, "mappings.yaml", mappings) }

func writeFile(dir, name, text string) (string, error) {
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing a file for the programs: %w", err)
	}
	return name, nil
}

const (
	// meterInterval is the time between two messages of a meter.
	meterInterval = 100 * time.Millisecond
	// meterTimeout is how long a meter waits for a PUBACK before it sends again.
	meterTimeout = 2 * time.Second
)

// meters are devices that do not know the product: one at each gateway, with payloads of
// its own on a mapped topic by MQTT.
type meters struct {
	*ackFile
	stop func() // may be called again
	done sync.WaitGroup
}

// ackFile is where devices of this process note what was acknowledged. Safe for concurrent use.
type ackFile struct {
	acked atomic.Uint64
	file  *os.File

	mu  sync.Mutex
	out *bufio.Writer
	err error
}

func createAckFile(name string) (*ackFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("creating a ledger: %w", err)
	}
	return &ackFile{file: f, out: bufio.NewWriter(f)}, nil
}

// note records an acknowledgement.
func (l *ackFile) note(device string, at int64) {
	l.acked.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := fmt.Fprintf(l.out, "%s,%d,1\n", device, at)
	l.err = errors.Join(l.err, err)
}

// close ends it, after which err is set if something could not be written.
func (l *ackFile) close() { l.err = errors.Join(l.err, l.out.Flush(), l.file.Close()) }

// startMeters starts a meter at each of the MQTT addresses. number makes their ids unique.
func startMeters(ledger string, addresses []string, number int) (*meters, error) {
	out, err := createAckFile(ledger)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &meters{ackFile: out}
	for i, addr := range addresses {
		m.done.Go(func() { m.run(ctx, addr, fmt.Sprintf("%d_%d", number, i)) })
	}
	m.stop = sync.OnceFunc(func() {
		cancel()
		m.done.Wait()
		m.close()
	})
	return m, nil
}

// run publishes until ctx ends. The newest message is sent again until it is acknowledged.
func (m *meters) run(ctx context.Context, addr, name string) {
	c := &meterClient{addr: addr, name: "meter-" + name}
	defer c.close()
	for n := 0; ; n++ {
		at := time.Now().UnixMilli()
		payload := fmt.Sprintf(`{"at":%d,"load":{"w":%d},"flow":%.1f}`, at, 1000+n%100, 10+float64(n%7))
		if c.insist(ctx, "meters/"+name+"/state", payload) != nil {
			return
		}
		m.note("meter_"+name, at)
		if Sleep(ctx, meterInterval) != nil {
			return
		}
	}
}

// meterClient is an MQTT 3.1.1 client that has one message in flight. The Paho client is none
// for this: it queues messages and sends them after newer ones.
type meterClient struct {
	addr, name string
	conn       net.Conn // nil while there is none
	in         *bufio.Reader
	id         uint16
}

// insist publishes a message until it is acknowledged, or ctx ends.
func (c *meterClient) insist(ctx context.Context, topic, payload string) error {
	for c.publish(ctx, topic, payload) != nil {
		c.close()
		if err := Sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// publish sends a message and waits for its PUBACK. After an error the connection is of no use.
func (c *meterClient) publish(ctx context.Context, topic, payload string) error {
	if c.conn == nil {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	c.id = max(c.id+1, 1)
	p := &packets.PublishPacket{
		FixedHeader: packets.FixedHeader{MessageType: packets.Publish, Qos: 1}, TopicName: topic, MessageID: c.id, Payload: []byte(payload),
	}
	ack, err := c.exchange(p)
	if err != nil {
		return err
	}
	if a, ok := ack.(*packets.PubackPacket); !ok || a.MessageID != c.id {
		return fmt.Errorf("the answer to a publish is %s", ack)
	}
	return nil
}

func (c *meterClient) connect(ctx context.Context) (err error) {
	d := net.Dialer{Timeout: meterTimeout}
	if c.conn, err = d.DialContext(ctx, "tcp", c.addr); err != nil {
		return err
	}
	c.in = bufio.NewReader(c.conn)
	ack, err := c.exchange(&packets.ConnectPacket{
		FixedHeader:  packets.FixedHeader{MessageType: packets.Connect},
		ProtocolName: "MQTT", ProtocolVersion: 4, CleanSession: true, ClientIdentifier: c.name,
	})
	if err != nil {
		return err
	}
	if a, ok := ack.(*packets.ConnackPacket); !ok || a.ReturnCode != packets.Accepted {
		return fmt.Errorf("the answer to CONNECT is %s", ack)
	}
	return nil
}

// exchange sends a packet and returns the next one that comes.
func (c *meterClient) exchange(p packets.ControlPacket) (packets.ControlPacket, error) {
	if err := c.conn.SetDeadline(time.Now().Add(meterTimeout)); err != nil {
		return nil, err
	}
	if err := p.Write(c.conn); err != nil {
		return nil, err
	}
	return packets.ReadPacket(c.in)
}

func (c *meterClient) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is expected of it any more
		c.conn = nil
	}
}
