package cluster

import "syscall"

// attributes make the system kill the process when the test's process dies, so that a killed
// test leaves nothing behind. It has its own session, as under a service manager: Ctrl-C is for
// the owner of the cluster, who then stops it gracefully, and Linux shares the processors out
// by session. With busy jobs in one session with the plant the kernel's own threads, which
// complete its writes, were measured to wait for a second.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
}
