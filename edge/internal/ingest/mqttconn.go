package ingest

import (
	"errors"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

const (
	// maxUnsent bounds the bytes queued for one MQTT client; one that exceeds it is
	// disconnected.
	maxUnsent = 1 << 20
	// writeTimeout bounds one write to a client, closeTimeout the last one.
	writeTimeout = 10 * time.Second
	closeTimeout = time.Second
)

// mqttListener wraps every accepted connection in an mqttConn.
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

// mqttConn is the connection of one MQTT client. Write never blocks: it queues for a
// goroutine that runs only while the queue is not empty. So a client that does not read
// cannot block the goroutine that sends replies, and many PUBACKs share a system call.
type mqttConn struct {
	net.Conn
	writers *sync.WaitGroup

	// The session, set at CONNECT and used by the goroutine that reads the client.
	cl    *mqtt.Client
	will  *mqtt.Will
	check validator
	msg   Message

	mu      sync.Mutex
	unsent  []byte
	spare   []byte
	writing bool
	closed  bool
}

// Write implements net.Conn. It fails when the client is gone.
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

// write sends until the queue is empty, then closes the connection if Close was called.
func (c *mqttConn) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unsent) > 0 {
		b := c.unsent
		c.unsent, c.spare = c.spare[:0], nil
		timeout := writeTimeout
		if c.closed {
			timeout = closeTimeout
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
		_ = c.Conn.Close() // unblocks the reader
	}
}

// Close implements net.Conn. Queued bytes are still sent.
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
			c.Conn.SetWriteDeadline(time.Now().Add(closeTimeout)))
	}
	return c.Conn.Close()
}

// SetDeadline sets the read deadline alone, for the MQTT keep-alive; writes have their
// own.
func (c *mqttConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.SetReadDeadline(t)
}
