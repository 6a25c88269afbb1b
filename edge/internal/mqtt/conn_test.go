package mqtt

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func pipe(t *testing.T) (c *conn, peer net.Conn, writers *sync.WaitGroup) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	writers = &sync.WaitGroup{}
	return &conn{Conn: ours, writers: writers}, theirs, writers
}

func TestClientThatDoesNotReadBlocksNoWriter(t *testing.T) {
	c, _, writers := pipe(t)
	var err error
	sent := 0
	for err == nil { // a blocking write would hang
		_, err = c.Write(make([]byte, 1000))
		sent += 1000
	}
	require.ErrorIs(t, err, net.ErrClosed)
	require.LessOrEqual(t, sent, 2*maxUnsent+2000)
	writers.Wait()
	_, err = c.Write([]byte("x"))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestQueuedBytesArriveInOrderBeforeClose(t *testing.T) {
	c, peer, writers := pipe(t)
	var want []byte
	for i := range 100 {
		_, err := c.Write([]byte{byte(i)})
		require.NoError(t, err)
		want = append(want, byte(i))
	}
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	got, err := io.ReadAll(peer)
	require.NoError(t, err)
	require.Equal(t, want, got)
	writers.Wait()
	require.ErrorIs(t, c.extend(time.Now().Add(time.Second)), net.ErrClosed)
}

func TestCloseEndsTheReader(t *testing.T) {
	for _, writing := range []bool{false, true} {
		c, _, writers := pipe(t)
		if writing {
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			done <- err
		}()
		require.NoError(t, c.Close())
		require.Error(t, <-done)
		writers.Wait()
	}
}

// recorder is a connection that keeps the last write deadline.
type recorder struct {
	net.Conn
	deadline time.Time
	written  []byte
	err      error
}

func (r *recorder) SetWriteDeadline(t time.Time) error { r.deadline = t; return nil }
func (r *recorder) SetReadDeadline(time.Time) error    { return nil }
func (r *recorder) Close() error                       { return nil }

func (r *recorder) Write(b []byte) (int, error) {
	r.written = append(r.written, b...)
	return len(b), r.err
}

func TestWriteDeadlines(t *testing.T) {
	for _, closed := range []bool{false, true} {
		r := &recorder{}
		c := &conn{Conn: r, unsent: []byte("x"), writing: true, closed: closed}
		start := time.Now()
		c.write()
		require.Equal(t, "x", string(r.written))
		require.False(t, c.writing)
		want := writeTimeout
		if closed {
			want = closeTimeout
		}
		require.WithinRange(t, r.deadline, start.Add(want), time.Now().Add(want))
	}
	r := &recorder{err: net.ErrClosed}
	c := &conn{Conn: r, unsent: []byte("x"), writing: true}
	c.write()
	_, err := c.Write([]byte("y"))
	require.ErrorIs(t, err, net.ErrClosed, "after a failed write the client is gone")
	require.Equal(t, "x", string(r.written))
}

func TestQueueOfAClientIsBounded(t *testing.T) {
	c := &conn{Conn: &recorder{}, writing: true} // no goroutine writes
	n, err := c.Write(make([]byte, maxUnsent))
	require.NoError(t, err)
	require.Equal(t, maxUnsent, n)
	for range 2 {
		n, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.Zero(t, n)
		c.unsent = nil // once closed it stays closed
	}
}
