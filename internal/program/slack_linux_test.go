package program

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// childVariable makes this test binary a child that says what its threads' timer slack is.
const childVariable = "PROGRAM_TEST_CHILD"

// child does what a child does, and reports whether this process is one.
func child() bool {
	if os.Getenv(childVariable) == "" { //nolint:forbidigo // says what this process is
		return false
	}
	loosenTimers()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	fmt.Fprintln(os.Stdout, slack, err, os.Args[1:])
	threads, err := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		data, err := os.ReadFile("/proc/" + t.Name() + "/timerslack_ns")
		fmt.Fprint(os.Stdout, string(data), err, "\n")
	}
	fmt.Fprintln(os.Stdout, err)
	return true
}

func TestEveryThreadGetsTheTimerSlack(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "an argument")
	cmd.Env = append(cmd.Environ(), childVariable+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Equal(t, fmt.Sprintf("%d <nil> [an argument]", timerSlack), lines[0])
	require.Greater(t, strings.Count(string(out), fmt.Sprintf("%d\n", timerSlack)), 2, "the monitor has it too: %s", out)
	require.NotContains(t, string(out), "\n50000\n")
}
