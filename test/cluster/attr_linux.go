package cluster

import "syscall"

// attributes make the system end the process when the cluster's own process dies, so
// that a test that is killed leaves nothing behind. The process has a group of its own:
// Ctrl-C is for whoever owns the cluster, who then stops it in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
