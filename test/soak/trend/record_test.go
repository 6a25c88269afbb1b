package trend_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/soak/trend"
)

const childEnv = "TREND_TEST_CHILD"

func TestMain(m *testing.M) {
	if rate := os.Getenv(childEnv); rate != "" {
		child(rate == "leaks")
		return
	}
	goleak.VerifyTestMain(m)
}

// child makes the test binary a program that either holds its memory or leaks 1 MB every 10 ms,
// until its input ends.
func child(leaks bool) {
	held := [][]byte{bytes.Repeat([]byte{1}, 32*mb)}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	fmt.Fprintln(os.Stdout, "ready")
	tick := time.NewTicker(10 * time.Millisecond)
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if leaks {
			held = append(held, bytes.Repeat([]byte{1}, mb))
		}
	}
}

// runChild starts a child and returns its process id.
func runChild(t *testing.T, mode string) int {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0]) // it ends with its input
	cmd.Env = append(os.Environ(), childEnv+"="+mode)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd.Process.Pid
}

func look(pid int) trend.Look {
	return func(context.Context) (trend.Sample, error) {
		f, err := cluster.ProcessFootprint(pid)
		return trend.Sample{RSS: float64(f.RSS), Files: float64(f.Files)}, err
	}
}

func TestALeakingProcessIsFound(t *testing.T) {
	processes := map[string]trend.Look{"leaks": look(runChild(t, "leaks")), "holds": look(runChild(t, "holds"))}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	recording, err := trend.Record(ctx, 20*time.Millisecond, processes)
	require.NoError(t, err)
	var grown []string
	for _, f := range recording.Judge(time.Second) {
		if f.Grows() {
			grown = append(grown, f.Process+" "+f.Quantity)
		}
	}
	require.Equal(t, []string{"leaks RSS without garbage MB"}, grown)
}

func TestRecordEndsWithAProcess(t *testing.T) {
	gone := errors.New("gone")
	n := 0
	recording, err := trend.Record(t.Context(), time.Millisecond, map[string]trend.Look{"core": func(context.Context) (trend.Sample, error) {
		if n++; n > 3 {
			return trend.Sample{}, gone
		}
		return trend.Sample{RSS: 1}, nil
	}})
	require.ErrorIs(t, err, gone)
	require.ErrorContains(t, err, "core")
	require.Len(t, recording["core"], 3)
}

func TestReportNamesWhatGrows(t *testing.T) {
	r := trend.Recording{}
	for at := time.Duration(0); at < 20*time.Minute; at += 10 * time.Second {
		r["core"] = append(r["core"], trend.Sample{At: at, RSS: 120 * mb, Garbage: 20 * mb, Heap: 50 * mb, Goroutines: 30, Files: 20 + at.Minutes()*2})
		warming := min(at, 10*time.Minute)
		r["portal"] = append(r["portal"], trend.Sample{At: at, RSS: 100*mb + warming.Minutes()*10*mb, Goroutines: 40})
	}
	var table, samples bytes.Buffer
	require.NoError(t, trend.WriteTable(&table, r.Judge(10*time.Minute)))
	require.Contains(t, table.String(), "core: files grow by 120.0 an hour")
	require.NotContains(t, table.String(), "portal:")
	require.Regexp(t, `(?m)^core +100 → 100 \(\+0\.0\) +50 → 50 \(\+0\.0\) +30 → 30 \(\+0\.0\) +41 → 59 \(\+120\.0\)$`, table.String())
	require.NoError(t, r.WriteCSV(&samples))
	require.Contains(t, samples.String(), "\ncore,10.0,125829120,104857600,52428800,30,20\n")
}

func TestARiseWithinTheNoiseIsNoGrowth(t *testing.T) {
	r := trend.Recording{}
	for at := time.Duration(0); at < time.Minute; at += time.Second { // 300 MB an hour, but for a minute
		r["core"] = append(r["core"], trend.Sample{At: at, RSS: 100*mb + at.Minutes()*5*mb})
	}
	for _, f := range r.Judge(0) {
		require.False(t, f.Grows(), f)
	}
}
