//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/cluster"
)

// waitTimeout is how long to wait for an expected event: long, for a busy machine.
const waitTimeout = 180 * time.Second

// pollInterval is how often a condition is checked.
const pollInterval = 100 * time.Millisecond

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return // without an exit code the test run fails
	}
	bin = dir
	m.Run() // its result becomes the exit code when TestMain returns
	if err := errors.Join(goleak.Find(), os.RemoveAll(dir)); err != nil {
		panic(err)
	}
}

// bin is where the programs are built, once for all tests.
var bin string

// built builds them on first use.
var built = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	return cluster.Build(ctx, bin)
})

// duration is how long the devices send.
func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("E2E_DURATION")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "E2E_DURATION")
	return d
}

// startCluster builds and starts all programs except simulators; change may change the options.
func startCluster(t *testing.T, change ...func(*cluster.Options)) *cluster.Cluster {
	t.Helper()
	require.NoError(t, built())
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	o := cluster.Options{Dir: t.TempDir(), Bin: bin, Suffix: kafkatest.Name(t, "")}
	if kafkatest.Real() {
		o.Brokers = strings.Split(os.Getenv(kafkatest.EnvBrokers), ",")
	}
	for _, f := range change {
		f(&o)
	}
	if _, _, ok := kafkatest.Secured(); ok {
		secure(t, &o)
	}
	p, err := cluster.New(ctx, o)
	require.NoError(t, err)
	if o.EnvOf != nil {
		requireSignedIn(t, p, o.Suffix)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
		if t.Failed() {
			keepLogs(t, p)
		}
	})
	require.NoError(t, p.StartAll(ctx))
	return p
}

// keepLogs saves the programs' logs in a directory that outlives the test.
func keepLogs(t *testing.T, p *cluster.Cluster) {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-logs-") //nolint:usetesting // it must outlive the test
	if err != nil {
		t.Log(err)
		return
	}
	for _, name := range p.Names() {
		text, err := p.Logs(name)
		if err != nil {
			continue // not started
		}
		if err := os.WriteFile(filepath.Join(dir, name+".log"), []byte(text), 0o600); err != nil {
			t.Log(err)
		}
	}
	t.Logf("logs are in %s", dir)
}

// fleetPart is a simulator: a share of the devices over one protocol.
type fleetPart struct {
	name     string
	protocol string
	first    int
}

const (
	devices  = 1000
	interval = time.Second
	faults   = 60 // a minute, in each part
)

// parts are the two simulators of the tests.
var parts = []fleetPart{
	{"sim-nats", "nats", 0},
	{"sim-mqtt", "mqtt", devices / 2},
}

func (f fleetPart) ledger(dir string) string { return filepath.Join(dir, f.name+".ledger") }

// add defines the simulator as a process of the cluster. It runs until it is stopped.
func (f fleetPart) add(p *cluster.Cluster, dir string) {
	p.Add(f.name, cluster.Program{Binary: "sim", Args: []string{
		"-http=",
		"-protocol=" + f.protocol,
		"-nats=" + strings.Join(p.NATS(), ","), "-mqtt=" + strings.Join(p.MQTT(), ","),
		fmt.Sprintf("-devices=%d", devices/len(parts)), fmt.Sprintf("-first=%d", f.first),
		fmt.Sprintf("-interval=%s", interval), fmt.Sprintf("-excursions=%d", faults),
		"-ledger=" + f.ledger(dir), "-progress=1s",
	}})
}

func logs(t *testing.T, p *cluster.Cluster, name string) string {
	t.Helper()
	text, err := p.Logs(name)
	require.NoError(t, err)
	return text
}

// get returns the body of a page, empty while there is none.
func get(addr, path string) string {
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return ""
	}
	client := http.Client{Timeout: waitTimeout}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body) // half a page is none of interest
	return string(b)
}
