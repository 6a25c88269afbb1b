package mqtt

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// maxUnsent bounds the bytes queued for one client; one that exceeds it is
	// disconnected.
	maxUnsent = 1 << 20
	// maxDiscarded bounds what linger reads.
	maxDiscarded = 64 << 20
	// writeTimeout bounds one write to a client, closeTimeout the last one.
	writeTimeout = 10 * time.Second
	closeTimeout = time.Second
)

// conn is the connection of one client. Write never blocks: it queues for a
// goroutine that runs only while the queue is not empty. So a client that does not read
// cannot block the goroutine that sends replies, and many PUBACKs share a system call.
type conn struct {
	net.Conn
	writers *sync.WaitGroup

	mu      sync.Mutex
	unsent  []byte
	spare   []byte
	writing bool
	closed  bool
	last    bool // a last packet was queued, which says why the connection ends
}

// NetConn returns the connection under the queue.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Write implements net.Conn. It fails when the client is gone.
func (c *conn) Write(b []byte) (int, error) {
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
func (c *conn) write() {
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
		c.shut()
	}
}

// shut closes the connection, the sending half only if the client has yet to read the last
// packet: the kernel discards what was sent when a socket with unread input is closed
// (RFC 1122, section 4.2.2.13), and a client that is refused may still be sending.
func (c *conn) shut() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.last {
		_ = half.CloseWrite() // linger closes the rest
		return
	}
	_ = c.Conn.Close() // unblocks the reader
}

// Close implements net.Conn. Queued bytes are still sent.
func (c *conn) Close() error {
	c.finish(nil)
	return nil
}

// finish queues a last packet, which may be nil, and ends the connection once the queue is
// sent. The reader must call linger then.
func (c *conn) finish(last []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed, c.last = true, len(last) > 0
	c.unsent = append(c.unsent, last...)
	if !c.writing && !c.last {
		_ = c.Conn.Close() // the client is gone either way
		return
	}
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // the reader stops now
	_ = c.Conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	if !c.writing {
		c.writing = true
		c.writers.Go(c.write)
	}
}

// linger discards what the client still sends after a last packet, until it closes the
// connection, for at most closeTimeout.
func (c *conn) linger() {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if !last {
		return
	}
	input := c.Conn
	if ws, ok := input.(*wsConn); ok {
		input = ws.Conn // after an error a WebSocket reads no more
	}
	_ = input.SetReadDeadline(time.Now().Add(closeTimeout)) // without it the connection is gone
	_, _ = io.CopyN(io.Discard, input, maxDiscarded)        // until an error
	_ = c.Conn.Close()                                      // nothing is left to send
}

// extend sets the read deadline. Writes have deadlines of their own.
func (c *conn) extend(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.SetReadDeadline(t)
}
