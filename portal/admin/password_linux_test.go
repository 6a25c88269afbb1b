package admin

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestTerminalDoesNotShowThePassword types one at a terminal.
func TestTerminalDoesNotShowThePassword(t *testing.T) {
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = screen.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = terminal.Close() })

	var prompt bytes.Buffer
	typed := make(chan string, 1)
	go func() {
		password, err := (&tool{Streams: Streams{In: terminal, Err: &prompt}}).password()
		if err != nil {
			password = err.Error()
		}
		typed <- password
	}()
	shows := func() bool {
		mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		return err != nil || mode.Lflag&unix.ECHO != 0
	}
	require.Eventually(t, func() bool { return !shows() }, time.Minute, time.Millisecond)
	_, err = screen.WriteString("correct horse 电池\n")
	require.NoError(t, err)
	require.Equal(t, "correct horse 电池", <-typed)
	require.Equal(t, "Password: \n", prompt.String())
	require.True(t, shows(), "again, for what is typed next")
}
