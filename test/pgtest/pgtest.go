// Package pgtest starts real PostgreSQL servers for tests, each as processes of its own on loopback.
// The directory of its programs comes from the variable POSTGRES_BIN, which make test-store sets.
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/freeport"
)

// Server is a PostgreSQL server.
type Server struct {
	tb        testing.TB
	dir       string
	addr      string
	as        *syscall.Credential // nil: the user of the test
	cmd       *exec.Cmd
	log       *os.File
	ended     chan struct{} // closed when cmd has ended
	databases int
}

// Start starts a server with an empty cluster, which ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	dir, err := os.MkdirTemp("", "postgres") //nolint:usetesting // another user has to reach it
	require.NoError(tb, err)
	s := &Server{tb: tb, dir: filepath.Join(dir, "data"), addr: freeport.Address(tb)}
	tb.Cleanup(func() { require.NoError(tb, os.RemoveAll(dir)) })
	if os.Getuid() == 0 { // which PostgreSQL refuses
		u, err := user.Lookup("postgres")
		require.NoError(tb, err)
		s.as = &syscall.Credential{Uid: number(tb, u.Uid), Gid: number(tb, u.Gid)}
		require.NoError(tb, os.Chown(dir, int(s.as.Uid), int(s.as.Gid)))
	}
	out, err := s.program("initdb", "--no-sync", "--auth=trust", "--username=portal", "--encoding=UTF8", "--no-locale", "--pgdata="+s.dir).CombinedOutput()
	require.NoError(tb, err, string(out))
	s.log, err = os.Create(filepath.Join(dir, "log"))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		if text, err := os.ReadFile(s.log.Name()); tb.Failed() && err == nil {
			tb.Logf("log of PostgreSQL:\n%s", text)
		}
		_ = s.log.Close()
	})
	s.Restart()
	tb.Cleanup(s.Kill)
	return s
}

func number(tb testing.TB, text string) uint32 {
	tb.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(tb, err)
	return uint32(n)
}

// program returns a command of PostgreSQL.
func (s *Server) program(name string, args ...string) *exec.Cmd {
	bin := os.Getenv("POSTGRES_BIN")
	require.NotEmpty(s.tb, bin, "POSTGRES_BIN is not set: run make test-store")
	cmd := exec.Command(filepath.Join(bin, name), args...) //nolint:noctx // it ends with Kill
	cmd.Dir = filepath.Dir(s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

// Restart starts the server after Kill and waits until it answers.
func (s *Server) Restart() {
	s.tb.Helper()
	s.start()
	require.Eventually(s.tb, func() bool {
		select {
		case <-s.ended: // it found something left of the one before
			s.start()
		default:
		}
		return s.exec("select 1") == nil
	}, time.Minute, 50*time.Millisecond)
}

func (s *Server) start() {
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(s.tb, err)
	s.cmd = s.program("postgres", "-D", s.dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "logging_collector=off")
	s.cmd.Stderr = s.log
	require.NoError(s.tb, s.cmd.Start())
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		_ = cmd.Wait() // the log says why it ended
		close(ended)
	}()
}

// Kill ends all processes of the server at once, as a power cut does.
func (s *Server) Kill() {
	select {
	case <-s.ended:
		return
	default:
	}
	s.signal(syscall.SIGSTOP) // or it would start further ones
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// Pause stops the server, which then answers nothing.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume continues after Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// signal sends a signal to the server and to the processes that it started, each of which has a group
// of its own.
func (s *Server) signal(n syscall.Signal) {
	s.tb.Helper()
	pid := s.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	require.NoError(s.tb, err)
	require.NoError(s.tb, syscall.Kill(pid, n))
	for child := range strings.FieldsSeq(string(children)) {
		_ = syscall.Kill(int(number(s.tb, child)), n) // it may have ended
	}
}

// Database makes an empty database and returns its address.
func (s *Server) Database() string {
	s.tb.Helper()
	s.databases++
	name := fmt.Sprintf("plant%d", s.databases)
	require.NoError(s.tb, s.exec("create database "+name))
	return s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres://portal@" + s.addr + "/" + database + "?sslmode=disable&connect_timeout=3"
}

func (s *Server) exec(statement string) error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}
