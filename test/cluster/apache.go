package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Apache is an Apache Kafka broker with data of its own, run by deploy/kafka/kafka.sh.
type Apache struct {
	script string
	env    []string
	addr   string
	dir    string
}

// ApachePossible returns nil when Apache Kafka can be started on this machine.
func ApachePossible() error {
	var missing []string
	for _, tool := range []string{"java", "bash", "ps"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	libs, err := filepath.Glob(filepath.Join("data", "kafka", "libs", "kafka_*.jar"))
	if _, mvn := exec.LookPath("mvn"); err == nil && len(libs) == 0 && mvn != nil {
		missing = append(missing, "mvn")
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing for Apache Kafka: %s", strings.Join(missing, ", "))
	}
	return nil
}

// NewApache chooses ports, keeps the data in dir, and starts nothing. It must be called in the
// module's directory. The jars are shared with make kafka-up.
func NewApache(dir string) (*Apache, error) {
	script, err := filepath.Abs(filepath.Join("deploy", "kafka", "kafka.sh"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(script); err != nil {
		return nil, fmt.Errorf("not in the module's directory: %w", err)
	}
	port, err := pairOfPorts()
	if err != nil {
		return nil, err
	}
	a := &Apache{script: script, addr: "127.0.0.1:" + strconv.Itoa(port), dir: dir}
	a.env = append(os.Environ(),
		"KAFKA_PORT="+strconv.Itoa(port), "KAFKA_CONTROLLER_PORT="+strconv.Itoa(port+1), "KAFKA_DATA_DIR="+dir)
	return a, nil
}

// pairOfPorts returns a port that is free, as the next one is.
func pairOfPorts() (int, error) {
	for port := 11_000; port < 12_000; port += 2 {
		var open []net.Listener
		for _, p := range []int{port, port + 1} {
			ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(p))
			if err == nil {
				open = append(open, ln)
			}
		}
		for _, ln := range open {
			if err := ln.Close(); err != nil {
				return 0, err
			}
		}
		if len(open) == 2 {
			return port, nil
		}
	}
	return 0, errors.New("no free ports for Apache Kafka")
}

// Start starts the broker with the data it had and waits until it answers.
func (a *Apache) Start(ctx context.Context) error { return a.call(ctx, "up") }

// Stop stops the broker gracefully.
func (a *Apache) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return a.call(ctx, "down")
}

// Kill ends the broker at once.
func (a *Apache) Kill() error {
	pid, err := a.PID()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// PID returns the broker's process.
func (a *Apache) PID() (int, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, "kafka.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// Addr returns where the broker listens.
func (a *Apache) Addr() string { return a.addr }

// LogDir returns the directory with a directory of segments for each partition.
func (a *Apache) LogDir() string { return filepath.Join(a.dir, "log") }

func (a *Apache) call(ctx context.Context, command string) error {
	cmd := exec.CommandContext(ctx, a.script, command)
	cmd.Env = a.env
	// Its own session, see attributes: Ctrl-C is for the owner, who stops the broker gracefully.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Also end what the script has started.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("kafka.sh %s: %w: %s", command, err, strings.TrimSpace(string(out)))
	}
	return nil
}
