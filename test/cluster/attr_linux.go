package cluster

import "syscall"

// attributes make the system kill the process when the test's process dies, so that a killed
// test leaves nothing behind. It has its own process group: Ctrl-C is for the owner of the
// cluster, who then stops it gracefully.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
