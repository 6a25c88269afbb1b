// Package freeport finds free ports on loopback for programs that tests and drills start.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ports are below the system's ephemeral range, so that no outgoing connection uses one
// between a stop and a start.
const firstPort, lastPort = 12_000, 32_000

// blockSize is how many ports a process claims at a time.
const blockSize = 50

// ports are what this process may still hand out. Tests run beside each other, and a program
// listens long after its port was chosen: a process listens on the first port of each block that
// it hands out, so that no other process chooses from it, and hands out each port once.
var ports struct {
	mu     sync.Mutex
	next   int
	end    int            // of the block
	claims []net.Listener // until the process ends
}

// Addresses returns n loopback addresses, "127.0.0.1:PORT", that no other caller gets as long as
// this process runs.
func Addresses(n int) ([]string, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	var free []string
	for len(free) < n {
		if ports.next == ports.end {
			if err := claim(); err != nil {
				return nil, err
			}
		}
		addr := address(ports.next)
		ports.next++
		ln, err := listen(addr)
		if err != nil {
			continue // taken
		}
		if err := ln.Close(); err != nil {
			return nil, err
		}
		free = append(free, addr)
	}
	return free, nil
}

// Address is Addresses for one, in a test.
func Address(tb testing.TB) string {
	tb.Helper()
	free, err := Addresses(1)
	require.NoError(tb, err)
	return free[0]
}

// claim takes a block that no other process has.
func claim() error {
	const blocks = (lastPort - firstPort) / blockSize
	start := rand.N(blocks)
	for i := range blocks {
		first := firstPort + (start+i)%blocks*blockSize
		if ln, err := listen(address(first)); err == nil {
			ports.claims = append(ports.claims, ln)
			ports.next, ports.end = first+1, first+blockSize
			return nil
		}
	}
	return fmt.Errorf("all %d blocks of ports from %d to %d are taken", blocks, firstPort, lastPort) //nolint:err113 // for a person
}

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func listen(addr string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
}
