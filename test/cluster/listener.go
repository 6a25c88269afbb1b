package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ListenerPID returns the process that listens on an address of this machine, or 0 when
// unknown: the address is remote, or the system has no /proc.
func ListenerPID(addr string) int {
	_, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return 0
	}
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listeningInodes(table, port, sockets)
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	for _, l := range links {
		to, err := os.Readlink(l)
		if err != nil || !sockets[to] {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(l, "/")[2])
		if err == nil {
			return pid
		}
	}
	return 0
}

// listeningInodes adds the sockets that listen on port, in the form of the links in
// /proc/<pid>/fd. The columns are those of proc(5).
func listeningInodes(table string, port int, to map[string]bool) {
	b, err := os.ReadFile(table)
	if err != nil {
		return
	}
	suffix := fmt.Sprintf(":%04X", port)
	const local, state, inode, listening = 1, 3, 9, "0A"
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > inode && strings.HasSuffix(f[local], suffix) && f[state] == listening {
			to["socket:["+f[inode]+"]"] = true
		}
	}
}
