package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is how a process is run and when it is ready.
type Program struct {
	Binary  string // file name in the directory of programs
	Args    []string
	Env     map[string]string
	HTTP    string // host:port that serves /readyz and /metrics, "" for none
	Listens string // host:port that accepts connections when ready, for a program without HTTP
}

// process is one program, over all its starts.
type process struct {
	name    string
	prog    Program
	bin     string
	dir     string
	logFile string

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil before the first start
	gone chan struct{} // closed when cmd has ended
	exit error         // of cmd, set before gone is closed
	past Usage         // of earlier starts
	seen int64         // bytes, the highest resident set of cmd when it was last read
}

func (pr *process) start() error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	log, err := os.OpenFile(pr.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", pr.name, err)
	}
	// The process outlives the call; Cluster.Close stops it.
	cmd := exec.CommandContext(context.Background(), pr.bin, pr.prog.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = pr.dir, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	for k, v := range pr.prog.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", pr.name, err), log.Close())
	}
	inherited := highestRSS(os.Getpid())
	gone := make(chan struct{})
	pr.cmd, pr.gone, pr.exit, pr.seen = cmd, gone, nil, 0
	go func() {
		err := cmd.Wait()
		pr.mu.Lock()
		pr.exit = errors.Join(err, log.Close())
		pr.past.add(exitUsage(cmd.ProcessState, inherited, pr.seen))
		pr.mu.Unlock()
		close(gone)
	}()
	return nil
}

// state returns the process of the current start and the channel closed at its exit.
func (pr *process) state() (*exec.Cmd, chan struct{}) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.cmd, pr.gone
}

func (pr *process) running() bool {
	cmd, gone := pr.state()
	if cmd == nil {
		return false
	}
	select {
	case <-gone:
		return false
	default:
		return true
	}
}

func (pr *process) exitError() error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.exit == nil {
		return nil
	}
	return fmt.Errorf("%s: %w; tail of %s:\n%s", pr.name, pr.exit, pr.logFile, tail(pr.logFile))
}

func (pr *process) signal(s os.Signal) error {
	cmd, _ := pr.state()
	if cmd == nil {
		return fmt.Errorf("%s not started", pr.name)
	}
	rss := highestRSS(cmd.Process.Pid)
	pr.mu.Lock()
	pr.seen = max(pr.seen, rss)
	pr.mu.Unlock()
	if err := cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signalling %s: %w", pr.name, err)
	}
	return nil
}

// signalAndWait sends s and waits at most limit for the end, then kills.
func (pr *process) signalAndWait(s os.Signal, limit time.Duration) error {
	if err := pr.signal(s); err != nil {
		return err
	}
	_, gone := pr.state()
	select {
	case <-gone:
		return nil
	case <-time.After(limit):
	}
	err := fmt.Errorf("%s still running %s after %s; tail of %s:\n%s", pr.name, limit, s, pr.logFile, tail(pr.logFile))
	// SIGQUIT makes a Go program log its stacks.
	err = errors.Join(err, pr.signal(syscall.SIGQUIT))
	select {
	case <-gone:
		return err
	case <-time.After(time.Second):
	}
	err = errors.Join(err, pr.signal(os.Kill))
	<-gone
	return err
}

func (pr *process) stop() error {
	if !pr.running() {
		return errors.Join(fmt.Errorf("%s is not running", pr.name), pr.exitError())
	}
	if err := pr.signalAndWait(syscall.SIGTERM, StopTime); err != nil {
		return err
	}
	return pr.exitError()
}

func (pr *process) wait(ctx context.Context) error {
	_, gone := pr.state()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", pr.name, ctx.Err())
	case <-gone:
		return pr.exitError()
	}
}

// awaitReady waits until the process is ready.
func (pr *process) awaitReady(ctx context.Context) error {
	_, gone := pr.state()
	for {
		last := pr.ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-gone:
			return errors.Join(fmt.Errorf("%s exited while starting", pr.name), pr.exitError())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to be ready: %w: %w; tail of %s:\n%s", pr.name, ctx.Err(), last, pr.logFile, tail(pr.logFile))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ready returns nil when the process is ready now.
func (pr *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if pr.prog.HTTP == "" {
		if pr.prog.Listens == "" {
			return nil
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", pr.prog.Listens)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	code, body, err := get(ctx, "http://"+pr.prog.HTTP+"/readyz")
	if err == nil && code != http.StatusOK {
		err = errors.New(strings.TrimSpace(body))
	}
	return err
}

// tail returns the last lines of a log.
func tail(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
