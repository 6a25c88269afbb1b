package program

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// timerSlack is by how much the kernel may delay a timer of this process to fire it with others,
// in ns. While there is something to do, the Go runtime's monitor thread looks at it every 20 µs,
// and with the usual slack of 50 µs each look is a wake-up of its own: ten for a reading that
// comes alone. Nothing here needs a timer more exact than this.
const timerSlack = 500_000

// main stays on the process's first thread until loosenTimers is through: what a parent has
// asked the kernel for, such as a signal when it dies, belongs to that thread.
func init() { runtime.LockOSThread() } //nolint:gochecknoinits // later it may run on another one

// loosenTimers gives the process its timer slack. A thread can set only its own, and the monitor
// runs already, so the program is executed again, under the same process id: a thread passes its
// slack on to what it executes and starts (prctl(2), PR_SET_TIMERSLACK). It returns when the
// process has it, or cannot have it.
func loosenTimers() {
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return
	}
	if has, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || has >= timerSlack {
		return
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0); err != nil {
		return
	}
	_ = syscall.Exec(self, os.Args, os.Environ()) //nolint:forbidigo // passed on as it is; without this the process costs a little more
}
