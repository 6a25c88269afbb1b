package tcpline

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

// echo starts a server that echoes lines.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, ln.Close())
		<-done
	})
	return ln.Addr().String()
}

func start(t *testing.T) *Line {
	t.Helper()
	l, err := New(echo(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// talk dials the line.
func talk(t *testing.T, l *Line) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, bufio.NewReader(c)
}

func requireEcho(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(waitTimeout)))
	_, err := c.Write([]byte("hello\n"))
	require.NoError(t, err)
	got, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", got)
}

// requireNothing checks that neither a byte nor a close arrives.
func requireNothing(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, err := r.ReadByte()
	var ne net.Error
	require.ErrorAs(t, err, &ne)
	require.True(t, ne.Timeout(), "%v", err)
}

func requireEnd(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(waitTimeout)))
	_, err := r.ReadByte()
	var ne net.Error
	require.Error(t, err)
	require.False(t, errors.As(err, &ne) && ne.Timeout(), "%v", err)
}

func TestForwards(t *testing.T) {
	l := start(t)
	c, r := talk(t, l)
	requireEcho(t, c, r)
	require.Equal(t, 1, l.Connections())
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return l.Connections() == 0 }, waitTimeout, time.Millisecond)
	require.Equal(t, 1, l.Dialled())
}

func TestCutClosesAndRefuses(t *testing.T) {
	l := start(t)
	c, r := talk(t, l)
	requireEcho(t, c, r)
	require.NoError(t, l.Cut())
	requireEnd(t, c, r)
	_, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	require.Error(t, err)
	require.NoError(t, l.Cut(), "twice")
	require.NoError(t, l.Restore())
	require.NoError(t, l.Restore(), "twice")
	c, r = talk(t, l)
	requireEcho(t, c, r)
}

func TestSilenceIsInvisibleToBothEnds(t *testing.T) {
	l := start(t)
	c, r := talk(t, l)
	requireEcho(t, c, r)
	l.Silence()
	_, err := c.Write([]byte("lost\n"))
	require.NoError(t, err)
	requireNothing(t, c, r)
	late, lateReader := talk(t, l) // accepted, not forwarded
	requireNothing(t, late, lateReader)
	require.NoError(t, l.Restore())
	requireEnd(t, c, r)
	c, r = talk(t, l)
	requireEcho(t, c, r)
}

func TestHalfOpenClosesOneEnd(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	l, err := New(ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	c, r := talk(t, l)
	conn, err := ln.Accept()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("hello\n"))
	require.NoError(t, err)
	got, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", got)
	l.HalfOpen()
	requireEnd(t, conn, bufio.NewReader(conn))
	requireNothing(t, c, r)
	require.NoError(t, l.Restore())
	requireEnd(t, c, r)
}

func TestCloseEndsEverything(t *testing.T) {
	for _, prepare := range []func(l *Line){func(*Line) {}, (*Line).Silence, (*Line).HalfOpen, func(l *Line) { require.NoError(t, l.Cut()) }} {
		l, err := New(echo(t))
		require.NoError(t, err)
		c, r := talk(t, l)
		requireEcho(t, c, r)
		prepare(l)
		require.NoError(t, l.Close())
		require.Error(t, l.Restore())
		require.Zero(t, l.Connections())
		requireEnd(t, c, r)
	}
}

func TestSlowLineHoldsBack(t *testing.T) {
	l := start(t)
	c, r := talk(t, l)
	requireEcho(t, c, r)
	l.Slow(100 * time.Millisecond)
	begun := time.Now()
	requireEcho(t, c, r)
	require.GreaterOrEqual(t, time.Since(begun), 200*time.Millisecond, "in both directions")
	l.Slow(time.Hour)
	_, err := c.Write([]byte("hello\n"))
	require.NoError(t, err)
	requireNothing(t, c, r)
	require.NoError(t, l.Restore()) // which nothing waits for
	l.Slow(0)
}
