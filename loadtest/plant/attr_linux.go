package plant

import "syscall"

// attributes make the system end the process when the plant's own process dies, so
// that a test that is killed leaves nothing behind.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
