package publisher

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// mqttLink publishes with QoS 1 over one MQTT 3.1.1 connection with a clean session. It
// uses the packets of the Paho client but not the client, which runs about eight
// goroutines per connection and one per pending publish; here a connection has one.
//
// The packet identifier identifies the sender of a PUBACK; a sender has at most one
// publish in flight. MQTT 3.1.1 (section 4.4) resends a publish only on a new connection,
// so an overdue PUBACK closes the connection.
type mqttLink struct {
	w     *worker
	addr  string
	index int
	gate  chan struct{}

	mu   sync.Mutex
	conn net.Conn // nil while there is none
	out  *bufio.Writer
	head []byte
}

const (
	mqttKeepAlive = 20 * time.Second // silence after which a PINGREQ is sent
	mqttTimeout   = 5 * time.Second  // to connect, to write, to receive the rest of a packet
	mqttBuffer    = 4 << 10
)

func newMQTTLink(w *worker, addr string, index int, gate chan struct{}) link {
	return &mqttLink{w: w, addr: addr, index: index, gate: gate}
}

// run implements link.
func (l *mqttLink) run(ctx context.Context, attempted func()) error {
	defer attempted()
	for tries := 1; ctx.Err() == nil; tries++ {
		conn, in, err := l.connect(ctx)
		attempted()
		if err == nil {
			tries = 1
			err = l.serve(ctx, conn, in)
		}
		if ctx.Err() == nil && !l.w.opts.PerDevice {
			l.w.log.Log(ctx, levelOf(tries), "MQTT connection failed, retrying", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause(tries)):
		}
	}
	return nil
}

// levelOf logs only the first failure at warn level.
func levelOf(tries int) slog.Level {
	if tries == 1 {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// connect dials and sends CONNECT.
func (l *mqttLink) connect(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-l.gate }()
	d := net.Dialer{Timeout: mqttTimeout}
	conn, err := d.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(conn, mqttBuffer)
	if err := l.greet(conn, in); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, in, nil
}

func (l *mqttLink) greet(conn net.Conn, in *bufio.Reader) error {
	if err := conn.SetDeadline(time.Now().Add(mqttTimeout)); err != nil {
		return err
	}
	hello := &packets.ConnectPacket{
		FixedHeader:  packets.FixedHeader{MessageType: packets.Connect},
		ProtocolName: "MQTT", ProtocolVersion: 4, CleanSession: true,
		Keepalive:        uint16(3 * mqttKeepAlive / time.Second),
		ClientIdentifier: fmt.Sprintf("sim-%s-%d", l.w.opts.Fleet.ID(l.w.base), l.index),
	}
	if err := hello.Write(conn); err != nil {
		return fmt.Errorf("sending CONNECT: %w", err)
	}
	p, err := packets.ReadPacket(in)
	if err != nil {
		return fmt.Errorf("waiting for CONNACK: %w", err)
	}
	ack, ok := p.(*packets.ConnackPacket)
	if !ok || ack.ReturnCode != packets.Accepted {
		return fmt.Errorf("connection refused: %s", p)
	}
	return conn.SetDeadline(time.Time{})
}

// serve handles answers until the connection ends.
func (l *mqttLink) serve(ctx context.Context, conn net.Conn, in *bufio.Reader) error {
	l.mu.Lock()
	l.conn, l.out = conn, bufio.NewWriterSize(conn, mqttBuffer)
	l.mu.Unlock()
	l.w.linkUp()
	stop := context.AfterFunc(ctx, l.bye)
	err := l.read(conn, in)
	stop()
	l.mu.Lock()
	l.conn, l.out = nil, nil
	l.mu.Unlock()
	l.w.linkLost(l.index, ctx.Err() == nil)
	if cerr := conn.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return err
}

// read handles packets until reading fails.
func (l *mqttLink) read(conn net.Conn, in *bufio.Reader) error {
	pinged := false
	for {
		if err := conn.SetReadDeadline(time.Now().Add(mqttKeepAlive)); err != nil {
			return err
		}
		_, err := in.Peek(1)
		if errors.Is(err, os.ErrDeadlineExceeded) && !pinged {
			pinged = true
			if err := l.write(&packets.PingreqPacket{FixedHeader: packets.FixedHeader{MessageType: packets.Pingreq}}); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		pinged = false
		if err := conn.SetReadDeadline(time.Now().Add(mqttTimeout)); err != nil {
			return err
		}
		p, err := packets.ReadPacket(in)
		if err != nil {
			return err
		}
		if ack, ok := p.(*packets.PubackPacket); ok {
			l.acked(ack.MessageID)
		}
	}
}

func (l *mqttLink) acked(id uint16) {
	d := (int(id)-1)*len(l.w.links) + l.index
	if id == 0 || d >= len(l.w.senders) {
		return
	}
	l.w.ackedAny(d)
}

// send implements link.
func (l *mqttLink) send(sender int, _ uint32, payload []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return errNotConnected
	}
	topic := l.w.subjects[sender]
	l.head = append(l.head[:0], packets.Publish<<4|1<<1) // QoS 1
	l.head = binary.AppendUvarint(l.head, uint64(2+len(topic)+2+len(payload)))
	l.head = binary.BigEndian.AppendUint16(l.head, uint16(len(topic)))
	l.head = append(l.head, topic...)
	l.head = binary.BigEndian.AppendUint16(l.head, uint16(sender/len(l.w.links)+1))
	if l.out.Available() < len(l.head)+len(payload) {
		l.limitWrite()
	}
	// bufio keeps an error and returns it from Flush; some bytes may have been sent, so
	// this publish counts as sent.
	_, _ = l.out.Write(l.head)
	_, _ = l.out.Write(payload)
	return nil
}

// limitWrite sets the deadline of the next writes; the write itself reports an error.
func (l *mqttLink) limitWrite() {
	_ = l.conn.SetWriteDeadline(time.Now().Add(mqttTimeout))
}

// flush implements link.
func (l *mqttLink) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.out.Buffered() == 0 {
		return
	}
	l.limitWrite()
	if err := l.out.Flush(); err != nil {
		l.hangUp()
	}
}

func (l *mqttLink) write(p packets.ControlPacket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return errNotConnected
	}
	l.limitWrite()
	if err := p.Write(l.out); err != nil {
		return err
	}
	return l.out.Flush()
}

// hangUp closes the connection; the reader notices and cleans up.
func (l *mqttLink) hangUp() {
	if l.conn != nil {
		_ = l.conn.Close() // no unsent data matters any more
	}
}

// unanswered implements link.
func (l *mqttLink) unanswered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangUp()
}

// bye sends DISCONNECT and closes the connection.
func (l *mqttLink) bye() {
	// An error does not matter any more.
	_ = l.write(&packets.DisconnectPacket{FixedHeader: packets.FixedHeader{MessageType: packets.Disconnect}})
	l.unanswered()
}
