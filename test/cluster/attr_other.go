//go:build !linux

package cluster

import "syscall"

// attributes are none: only Linux can kill a process with its parent.
func attributes() *syscall.SysProcAttr { return nil }
