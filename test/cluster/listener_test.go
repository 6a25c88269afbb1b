package cluster

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListenerPID(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.Equal(t, os.Getpid(), ListenerPID(addr))
	require.NoError(t, ln.Close())
	require.Zero(t, ListenerPID(addr))
	require.Zero(t, ListenerPID("nonsense"))
	require.Zero(t, ListenerPID("127.0.0.1:http"))
}
