package ingest

import (
	"errors"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

const (
	// maxUnsent bounds the bytes that wait for one MQTT client to read them. A client
	// that lets more pile up is disconnected.
	maxUnsent = 1 << 20
	// writeTimeout bounds one write to a client, partingTimeout the last ones.
	writeTimeout   = 10 * time.Second
	partingTimeout = time.Second
)

// mqttListener makes an mqttConn of every connection it accepts.
type mqttListener struct {
	net.Listener
	writers sync.WaitGroup
}

// Accept implements net.Listener.
func (l *mqttListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &mqttConn{Conn: c, writers: &l.writers}, nil
}

// mqttConn is the connection of one MQTT client. Write never blocks: it queues, and a
// goroutine that lives only while there is something to send writes what has come
// together. So the one goroutine that answers the senders of a pack cannot be held up
// by a client that does not read, and many PUBACKs leave with one system call.
type mqttConn struct {
	net.Conn
	writers *sync.WaitGroup

	// Of the session, set at CONNECT and used by the goroutine that reads the client.
	cl    *mqtt.Client
	will  *mqtt.Will
	judge judge
	msg   Message

	mu      sync.Mutex
	unsent  []byte
	spare   []byte
	writing bool
	closed  bool
}

// Write implements net.Conn. An error means that the client is gone.
func (c *mqttConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(c.unsent)+len(b) > maxUnsent {
		c.closed = true
		return 0, errors.Join(net.ErrClosed, c.Conn.Close())
	}
	c.unsent = append(c.unsent, b...)
	if !c.writing {
		c.writing = true
		c.writers.Go(c.write)
	}
	return len(b), nil
}

// write sends until nothing is left, then closes the connection if that was asked for.
func (c *mqttConn) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unsent) > 0 {
		b := c.unsent
		c.unsent, c.spare = c.spare[:0], nil
		timeout := writeTimeout
		if c.closed {
			timeout = partingTimeout
		}
		c.mu.Unlock()
		err := c.Conn.SetWriteDeadline(time.Now().Add(timeout))
		if err == nil {
			_, err = c.Conn.Write(b)
		}
		c.mu.Lock()
		c.spare = b
		if err != nil {
			c.closed, c.unsent = true, nil
		}
	}
	c.writing = false
	if c.closed {
		_ = c.Conn.Close() // the reader learns of it
	}
}

// Close implements net.Conn. What was written before is still sent.
func (c *mqttConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.writing {
		return errors.Join(
			c.Conn.SetReadDeadline(time.Unix(1, 0)), // the reader stops now
			c.Conn.SetWriteDeadline(time.Now().Add(partingTimeout)))
	}
	return c.Conn.Close()
}

// SetDeadline sets the deadline of reading, which is what the MQTT keep-alive is
// about; writing has its own.
func (c *mqttConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.SetReadDeadline(t)
}
