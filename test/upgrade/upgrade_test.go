//go:build upgrade

package upgrade

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

const (
	waitTimeout = 3 * time.Minute
	devices     = 100
	// least is how many readings each version has to store before the next one takes over.
	least = 300
)

// commit returns the commit to build.
func commit(t *testing.T) string {
	t.Helper()
	if c := os.Getenv("UPGRADE_FROM"); c != "" {
		return c
	}
	text, err := os.ReadFile("before")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	require.Fail(t, "the file before names no commit")
	return ""
}

// command runs a command and returns what it printed.
func command(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// buildOld builds the gateway of a commit and returns its file.
func buildOld(t *testing.T, commit string) string {
	t.Helper()
	if out, err := command(t, ".", "git", "cat-file", "-e", commit+"^{commit}"); err != nil {
		require.Fail(t, "the history has no commit "+commit+": fetch it (git fetch --unshallow), or set UPGRADE_FROM to one that it has", out)
	}
	tree, file := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "edge-before")
	out, err := command(t, ".", "git", "worktree", "add", "--detach", tree, commit)
	require.NoError(t, err, out)
	t.Cleanup(func() {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "git", "worktree", "remove", "--force", tree)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	})
	out, err = command(t, tree, "go", "build", "-trimpath", "-ldflags=-w", "-o", file, "./edge")
	require.NoError(t, err, out)
	return file
}

// plant is one gateway with devices, and the way to Kafka.
type plant struct {
	*cluster.Cluster
	gateway string
	dir     string
	now     string // the gateway of this version
}

func startPlant(t *testing.T) *plant {
	t.Helper()
	bin, dir := t.TempDir(), t.TempDir()
	require.NoError(t, cluster.BuildPackages(t.Context(), bin, "./edge", "./bridge", "./sim", "./test/faults/cmd/devkafka"))
	c, err := cluster.New(t.Context(), cluster.Options{Dir: dir, Bin: bin, Gateways: 1, Env: map[string]string{"BRIDGE_TRIM_MARGIN": "1"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	p := &plant{Cluster: c, gateway: cluster.Gateway(0), dir: dir, now: filepath.Join(bin, "edge")}
	c.Add("sim", cluster.Program{Binary: "sim", Args: []string{
		"-http=", "-nats=" + c.NATS()[0], fmt.Sprint("-devices=", devices), "-interval=200ms", "-ledger=" + p.ledger(), "-progress=1s",
	}})
	return p
}

func (p *plant) ledger() string { return filepath.Join(p.dir, "sim.ledger") }

// gauge returns a metric of the gateway.
func (p *plant) gauge(t *testing.T, name string) float64 {
	t.Helper()
	m, err := p.Metrics(t.Context(), p.gateway)
	require.NoError(t, err)
	return m.Sum(name)
}

// turn runs a version of the gateway on the packs that the other one left, until it has stored enough readings.
// With the hub they are delivered. It returns how many packs it leaves.
func (p *plant) turn(t *testing.T, binary string, hub bool, held float64) (left float64) {
	t.Helper()
	require.NoError(t, p.SetBinary(p.gateway, binary))
	require.NoError(t, p.Start(t.Context(), p.gateway))
	// Metrics of the buffer are a second old at most.
	require.Eventually(t, func() bool { return p.gauge(t, "edge_buffer_packs") > held }, waitTimeout, 50*time.Millisecond,
		"the packs of the other version, and new ones")
	require.Eventually(t, func() bool { return p.gauge(t, "edge_readings_accepted_total") >= least }, waitTimeout, 50*time.Millisecond)
	if hub { // the margin that the bridge leaves behind its checkpoint is one pack
		require.NoError(t, p.Start(t.Context(), cluster.Bridge))
		require.Eventually(t, func() bool { return p.gauge(t, "edge_buffer_packs") < held }, waitTimeout, 50*time.Millisecond)
		require.NoError(t, p.Stop(cluster.Bridge))
	}
	return p.gauge(t, "edge_buffer_packs")
}

// judge waits until every acknowledged reading is in device-data, and returns the verdict.
func (p *plant) judge(t *testing.T) oracle.Verdict {
	t.Helper()
	o := oracle.New()
	require.NoError(t, o.ReadLedgerFile(p.ledger()))
	in, err := kafkatest.NewReader(p.Brokers(), p.Topics.DeviceData)
	require.NoError(t, err)
	defer in.Close()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	for {
		before := o.Verdict()
		require.NoError(t, in.CatchUp(ctx, func(rec *kgo.Record) error {
			x, err := oracle.Decode(rec)
			if err == nil {
				o.Stored(x)
			}
			return err
		}))
		now := o.Verdict()
		if now.Lost == 0 && now.Records == before.Records {
			return now
		}
		select {
		case <-ctx.Done(): // what is missing will not arrive any more
			return now
		case <-time.After(3 * time.Second): // longer than a transaction
		}
	}
}

// TestTheBufferOutlivesUpgradeAndDowngrade: what one version has acknowledged, the other one delivers, once, both ways.
func TestTheBufferOutlivesUpgradeAndDowngrade(t *testing.T) {
	before := buildOld(t, commit(t))
	p := startPlant(t)
	require.NoError(t, p.Start(t.Context(), cluster.Kafka, cluster.Bridge)) // makes the topics
	require.NoError(t, p.Stop(cluster.Bridge))
	require.NoError(t, p.SetBinary(p.gateway, before))
	require.NoError(t, p.Start(t.Context(), p.gateway, "sim"))

	var held float64
	for i, turn := range []struct {
		binary    string
		hub, kill bool
	}{
		{binary: before},
		{binary: p.now, kill: true},  // upgrade
		{binary: before, hub: true},  // downgrade, which delivers what the newer one stored
		{binary: p.now},              // upgrade again
		{binary: before, kill: true}, // downgrade with a full buffer, ended by a power cut
		{binary: p.now, hub: true},   // the newer one delivers what the older one stored
	} {
		left := p.turn(t, turn.binary, turn.hub, held)
		t.Logf("turn %d, %s: found %g packs, left %g", i, filepath.Base(turn.binary), held, left)
		held = left
		if i == 5 {
			require.NoError(t, p.Stop("sim"))
			break
		}
		if turn.kill {
			require.NoError(t, p.Kill(p.gateway))
		} else {
			require.NoError(t, p.Stop(p.gateway))
		}
	}
	require.NoError(t, p.Start(t.Context(), cluster.Bridge))
	v := p.judge(t)
	t.Log(v.String())
	require.NoError(t, v.Err())
	require.Greater(t, v.Acked, 6*least)
	require.NoDirExists(t, filepath.Join(p.dir, "edge", p.gateway, "damaged"))
}
