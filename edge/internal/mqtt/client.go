package mqtt

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// connectTimeout is how long a connection may stay without a whole CONNECT (section 3.1.4).
	connectTimeout = 5 * time.Second
	// maxKeepAlive is the largest keep alive, also of a client that asks for none: a lost
	// client would hold its connection for ever (section 3.2.2.3.14; MQTT 3.1.1, section
	// 3.1.2.10, lets a server end clients that seem to be gone).
	maxKeepAlive   = 10 * time.Minute
	readBufferSize = 8 << 10
	// bodyStep is how much memory a packet gets at a time, so that the announcement of a large
	// packet costs nothing.
	bodyStep = 64 << 10
)

// Client is the connection of one client.
type Client struct {
	srv      *Server
	conn     *conn
	done     chan struct{} // closed when nothing more of the client is received
	version  byte          // 3: 3.1, 4: 3.1.1, 5
	id       string
	identity Identity // nil: not proved
	receiver Receiver
	session  *session
	will     *will // guarded by Server.mu

	ended   sync.Once
	greeted atomic.Bool // a CONNACK accepted the client
	// greeting is held while that is sent: who ends the client then must know of it, and no
	// DISCONNECT comes before a CONNACK.
	greeting sync.Mutex

	maxPacket uint32 // that the client accepts; 0: any
	problems  bool   // whether the client wants reason strings
	open      atomic.Int32

	// Used by the goroutine that reads the client.
	r         *bufio.Reader
	refusal   []byte        // CONNACK that says why the client is refused; nil: none
	timeout   time.Duration // between two packets
	connectBy time.Time     // when the CONNECT must be complete; zero once it is
	body      []byte
	lastTopic string
	aliases   map[uint16]string
	pub       Publish

	aliasBytes int      // length of aliases' topics
	filters    []uint64 // hashes of subscribed ones
}

// ID returns the client identifier.
func (c *Client) ID() string { return c.id }

// Version returns the protocol version: 3 for 3.1, 4 for 3.1.1, 5.
func (c *Client) Version() byte { return c.version }

var errGoodbye = errors.New("the client disconnected")

// run serves the client until its connection ends.
func (c *Client) run() {
	c.r = bufio.NewReaderSize(c.conn, readBufferSize)
	c.timeout, c.connectBy = connectTimeout, time.Now().Add(connectTimeout)
	err := c.connect()
	if err == nil {
		c.srv.clients.Add(1)
		for err == nil {
			err = c.next()
		}
		c.srv.clients.Add(-1)
	}
	var f *fault
	switch {
	case errors.As(err, &f) && !c.greeted.Load():
		c.endWith(f, c.refusal)
	case errors.As(err, &f):
		c.end(f)
	case timedOut(err):
		c.end(faultf(keepAliveTimeout, "no packet for %s", c.timeout)) // [MQTT-3.1.2-22]
	}
	c.ended.Do(func() { _ = c.conn.Close() }) // the client is gone
	c.srv.detach(c)
	close(c.done)
	c.conn.linger()
}

// timedOut reports whether a read met its deadline. A WebSocket hides os.ErrDeadlineExceeded.
func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// connect reads the CONNECT and answers it.
func (c *Client) connect() error {
	kind, _, body, err := c.read()
	switch {
	case err != nil:
		return err
	case kind != typeConnect: // [MQTT-3.1.0-1]
		return faultf(protocolError, "the first packet is no CONNECT")
	}
	p, f := decodeConnect(body)
	c.version, c.id = p.version, p.id
	if f != nil {
		return c.refuse(f)
	}
	assigned := p.id == ""
	if assigned {
		c.id = newClientID()
	}
	c.maxPacket, c.problems = p.props.maxPacket, !p.props.noProblemInfo
	if f := c.admit(&p); f != nil {
		return c.refuse(f)
	}
	c.receiver = c.srv.newReceiver(c)
	present, f := c.srv.attach(c, &p)
	if f == nil && !c.srv.gate.Holds(c.identity) { // Recheck may have missed it
		f = errNoLonger
	}
	if f != nil {
		return c.refuse(f)
	}
	keepAlive := p.serverKeepAlive()
	c.timeout, c.connectBy = keepAlive+keepAlive/2, time.Time{} // [MQTT-3.1.2-22]
	return c.greet(c.connack(&p, present, assigned))
}

// greet sends the CONNACK that accepts the client.
func (c *Client) greet(connack []byte) error {
	c.greeting.Lock()
	defer c.greeting.Unlock()
	_, err := c.conn.Write(connack)
	c.greeted.Store(err == nil)
	return err
}

// refuse prepares the CONNACK with the reason.
func (c *Client) refuse(f *fault) error {
	c.refusal = f.connack(c.version)
	return f
}

// end disconnects the client because of f: MQTT 5 clients get the reason (section 3.14),
// MQTT 3 has no DISCONNECT from the server. Queued packets are sent first.
func (c *Client) end(f *fault) {
	var last []byte
	c.greeting.Lock()
	defer c.greeting.Unlock()
	if c.greeted.Load() && c.version == protocolMQTT5 {
		last = c.bounded(disconnectPacket(f.code, f.text), disconnectPacket(f.code, ""))
	}
	c.endWith(f, last)
}

// endWith ends the connection with a last packet, which may be nil.
func (c *Client) endWith(f *fault, last []byte) {
	c.ended.Do(func() {
		cause, ok := causes[f.code]
		if ok {
			c.srv.onClosed(cause) // who sees the end finds it counted
		}
		c.conn.finish(last)
		if !ok {
			return
		}
		if skipped, ok := c.srv.limit.admit(time.Now()); ok {
			c.srv.log.Warn("MQTT client disconnected", "client", c.id, "remote", c.conn.RemoteAddr().String(),
				"version", c.version, "reason", f.text, "skipped", skipped)
		}
	})
}

// bounded returns long, or short if the client accepts no packet of that size
// ([MQTT-3.1.2-24]).
func (c *Client) bounded(long, short []byte) []byte {
	if c.maxPacket != 0 && len(long) > int(c.maxPacket) {
		return short
	}
	return long
}

// next reads and handles one packet.
func (c *Client) next() error {
	kind, flags, body, err := c.read()
	if err != nil {
		return err
	}
	if c.srv.stopping.Load() && kind == typePublish {
		return nil // neither stored nor answered: the client resends elsewhere or later
	}
	var f *fault
	switch kind {
	case typePublish:
		f = c.publish(flags, body)
	case typePubrel:
		f = c.pubrel(body)
	case typeSubscribe, typeUnsubscribe:
		f = c.subscribe(kind, body)
	case typePingreq:
		_, err = c.conn.Write([]byte{typePingresp << 4, 0})
		return err
	case typeDisconnect:
		if f = c.goodbye(body); f == nil {
			return errGoodbye
		}
	case typePuback, typePubcomp: // of a message that this server never sent
	case typePubrec: // likewise, and its sender waits for a PUBREL
		f = c.strayPubrec(body)
	case typeConnect: // [MQTT-3.1.0-2]
		f = faultf(protocolError, "a second CONNECT")
	default: // AUTH without a method (section 3.15), or a packet that only servers send
		f = faultf(protocolError, "unexpected packet of type %d", kind)
	}
	if f != nil {
		return f
	}
	return nil
}

// read returns the next packet. The body is valid until the next call.
func (c *Client) read() (kind, flags byte, body []byte, err error) {
	if c.r.Buffered() == 0 {
		if err = c.extend(); err != nil {
			return 0, 0, nil, err
		}
	}
	first, err := c.r.ReadByte()
	if err != nil {
		return 0, 0, nil, err
	}
	kind, flags = first>>4, first&0x0f
	if f := checkFlags(kind, flags); f != nil {
		return 0, 0, nil, f
	}
	length, size, err := c.readLength()
	if err != nil {
		return 0, 0, nil, err
	}
	if size+length > int(c.srv.maxPacket) { // section 3.2.2.3.6
		return 0, 0, nil, faultf(packetTooLarge, "packet of %d bytes: want at most %d", size+length, c.srv.maxPacket)
	}
	body, err = c.readBody(length)
	return kind, flags, body, err
}

// extend gives the client its time again, but no more for a CONNECT that comes bit by bit.
func (c *Client) extend() error {
	if c.connectBy.IsZero() {
		return c.conn.extend(time.Now().Add(c.timeout))
	}
	return c.conn.extend(c.connectBy)
}

// readLength decodes the remaining length (section 2.1.4) and returns the size of the fixed
// header too.
func (c *Client) readLength() (length, size int, err error) {
	for shift := 0; shift < 28; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			return length, 2 + shift/7, nil
		}
	}
	return 0, 0, faultf(malformedPacket, "remaining length is longer than four bytes")
}

// readBody reads n bytes, without a copy if they fit into the read buffer.
func (c *Client) readBody(n int) ([]byte, error) {
	if n <= readBufferSize {
		if c.r.Buffered() < n {
			if err := c.extend(); err != nil { // a slow link is not a silent client
				return nil, err
			}
		}
		b, err := c.r.Peek(n)
		if err != nil {
			return nil, err
		}
		_, err = c.r.Discard(n)
		return b, err
	}
	b := c.body[:0]
	for len(b) < n {
		if err := c.extend(); err != nil {
			return nil, err
		}
		step := min(bodyStep, n-len(b))
		b = append(b, make([]byte, step)...)
		if _, err := io.ReadFull(c.r, b[len(b)-step:]); err != nil {
			return nil, err
		}
	}
	c.body = nil
	if cap(b) <= bodyStep {
		c.body = b // kept for the next one
	}
	return b, nil
}

// checkFlags checks the reserved flags of the fixed header ([MQTT-2.1.3-1]).
func checkFlags(kind, flags byte) *fault {
	want := byte(0)
	switch kind {
	case typePublish:
		if flags>>1&3 == 3 { // [MQTT-3.3.1-4]
			return faultf(malformedPacket, "PUBLISH has QoS 3")
		}
		return nil // a DUP flag with QoS 0 ([MQTT-3.3.1-2]) is harmless
	case typePubrel, typeSubscribe, typeUnsubscribe:
		want = 2
	}
	if flags != want {
		return faultf(malformedPacket, "packet of type %d has flags %d: want %d", kind, flags, want)
	}
	return nil
}

// goodbye handles a DISCONNECT. Only reason code 0 discards the will ([MQTT-3.14.4-3]).
func (c *Client) goodbye(body []byte) *fault {
	cur := &cursor{rest: body}
	code := Success
	var props properties
	if c.version == protocolMQTT5 {
		if len(cur.rest) > 0 {
			code = Code(cur.byte("reason code"))
		}
		if len(cur.rest) > 0 {
			cur.properties(&props, propertiesOfGoodbye)
		}
	}
	if cur.err != nil {
		return cur.err
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if props.has(propSessionExpiry) {
		if c.session.expiry == 0 && props.sessionExpiry != 0 { // [MQTT-3.1.2-23], section 3.14.2.2.2
			return faultf(protocolError, "session expiry in DISCONNECT, none in CONNECT")
		}
		c.session.expiry = min(time.Duration(props.sessionExpiry)*time.Second, maxSessionExpiry)
	}
	if code == Success {
		c.will = nil
	}
	return nil
}

// strayPubrec answers a PUBREC so that its sender does not wait ([MQTT-4.3.3-7]).
func (c *Client) strayPubrec(body []byte) *fault {
	cur := &cursor{rest: body}
	id := cur.uint16("packet identifier")
	if cur.err != nil {
		return cur.err
	}
	c.write(ackPacket(typePubrel, id, c.only5(packetIDNotFound), ""))
	return nil
}

// only5 is code in MQTT 5 and Success, which has no code, in MQTT 3.
func (c *Client) only5(code Code) Code {
	if c.version == protocolMQTT5 {
		return code
	}
	return Success
}

// write queues a packet. If the client is gone, its reader finds out.
func (c *Client) write(b []byte) { _, _ = c.conn.Write(b) }
