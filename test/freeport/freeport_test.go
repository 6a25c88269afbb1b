package freeport

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary print addresses until it is killed.
const asProgram = "FREEPORT_TEST_PRINT"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		free, err := Addresses(3 * blockSize)
		fmt.Fprintln(os.Stdout, strings.Join(free, " "), err)
		select {}
	}
	m.Run()
}

// TestNoTwoCallersGetTheSame has four processes choose, each while the others hold what they chose.
func TestNoTwoCallersGetTheSame(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	all, err := Addresses(3 * blockSize)
	require.NoError(t, err)
	all = append(all, Address(t))
	for range 3 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		fields := strings.Fields(line)
		require.Equal(t, "<nil>", fields[len(fields)-1])
		all = append(all, fields[:len(fields)-1]...)
	}
	require.Len(t, all, 4*3*blockSize+1)
	seen := map[string]bool{}
	for _, addr := range all {
		require.False(t, seen[addr], addr)
		seen[addr] = true
		ln, err := listen(addr)
		require.NoError(t, err, "nothing listens there")
		require.NoError(t, ln.Close())
	}
}
