package cluster

import (
	"errors"

	"golang.org/x/sys/unix"
)

// awaitSuspended waits until no thread of a child runs after SIGSTOP, also not in the kernel.
func awaitSuspended(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
