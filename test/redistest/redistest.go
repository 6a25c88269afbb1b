// Package redistest starts real Redis servers, each as a process of its own on a free port of loopback. The
// program is redis-server of the PATH, or the one that the variable REDIS_SERVER names.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/freeport"
)

// Server is a Redis server that keeps nothing on disk: after Kill and Restart it is empty.
type Server struct {
	program, dir, addr string

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// Find returns the program, or an error that says how to get it.
func Find() (string, error) {
	name := "redis-server"
	if set := os.Getenv("REDIS_SERVER"); set != "" {
		name = set
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: install Debian's package redis-server, or set REDIS_SERVER", err)
	}
	return path, nil
}

// Launch starts a server that has its log in a directory. It ends with Kill.
func Launch(ctx context.Context, dir string) (*Server, error) {
	program, err := Find()
	if err != nil {
		return nil, err
	}
	addr, err := freeport.Addresses(1)
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, dir: dir, addr: addr[0]}
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Start starts a server that ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := Launch(tb.Context(), tb.TempDir())
	require.NoError(tb, err)
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("log of Redis:\n%s", s.Log())
		}
	})
	return s
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.addr }

// URL returns the address for REDIS_URL.
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Log returns what the server has logged.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// startWithin bounds the start of a server.
const startWithin = 30 * time.Second

// Restart starts the server after Kill, empty, and waits until it answers.
func (s *Server) Restart(ctx context.Context) error {
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	s.cmd = exec.Command(s.program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", //nolint:noctx // it ends with Kill
		"--dir", s.dir, "--logfile", "redis.log", "--daemonize", "no")
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", s.program, err)
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		_ = cmd.Wait() // its log says why it ended
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("redis-server ended at its start: %s", s.Log())
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("waiting for redis-server: %w", err)
		case <-tick.C:
		}
	}
}

var errPong = errors.New("no PONG")

func (s *Server) ping(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+PONG") {
		err = fmt.Errorf("%w: %q", errPong, line)
	}
	return err
}

// Kill ends the server at once, with all that it has.
func (s *Server) Kill() {
	select {
	case <-s.ended:
		return
	default:
	}
	_ = s.cmd.Process.Kill() // it may have ended just now
	<-s.ended
}

// Pause stops the server, which then answers nothing and keeps its connections.
func (s *Server) Pause() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume continues after Pause.
func (s *Server) Resume() error { return s.cmd.Process.Signal(syscall.SIGCONT) }
