package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/freeport"
)

// TestSystemdHearsTheGateway: the program says when devices can publish, that it gets on, and that it stops.
func TestSystemdHearsTheGateway(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // the name of a socket has 108 bytes
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	name := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	hear := func() string {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitTimeout)))
		b := make([]byte, 256)
		n, err := conn.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
	awaits := func(state string) {
		for hear() != state { //nolint:revive // hear fails when nothing comes
		}
	}
	ops := freeport.Address(t)
	cmd := spawn(t, "NOTIFY_SOCKET="+name, "EDGE_GATEWAY_ID=gw-n", "EDGE_NATS_ADDR=127.0.0.1:0", "EDGE_MQTT_ADDR=127.0.0.1:0", "EDGE_HTTP_ADDR="+ops,
		"EDGE_HUB_URL=nats-leaf://127.0.0.1:1", "EDGE_DATA_DIR="+filepath.Join(dir, "data"), "LOG_LEVEL=error")
	awaits("READY=1")
	awaits("WATCHDOG=1")
	awaits("WATCHDOG=1")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	awaits("STOPPING=1")
	require.NoError(t, cmd.Wait())
}

// TestCommandsOfRootWriteAsTheOwnerOfTheData: the gateway could not read a key of root.
func TestCommandsOfRootWriteAsTheOwnerOfTheData(t *testing.T) {
	data, err := os.MkdirTemp("", "d") //nolint:usetesting // another user must reach it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(data)) })
	want := uint32(os.Getuid())
	if want == 0 { // others own what they write anyway
		const another = 65_534
		want = another
		require.NoError(t, os.Chown(data, another, another))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], asProgram, "key")
	cmd.Dir, cmd.Env = "/", []string{"EDGE_GATEWAY_ID=gw-n", "EDGE_DATA_DIR=" + data}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{"gw-n", "gw-n/security", "gw-n/security/gateway.nk"} {
		info, err := os.Stat(filepath.Join(data, name))
		require.NoError(t, err)
		st, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		require.Equal(t, want, st.Uid, name)
	}
}
