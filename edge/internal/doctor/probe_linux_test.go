package doctor

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mounts = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
25 22 0:23 / /proc rw - proc proc rw
30 22 0:30 / /var/lib rw - tmpfs tmpfs rw,size=1k
31 22 179:2 / /var/lib/iot\040edge rw,noatime - ext4 /dev/mmcblk0p2 rw,barrier=0
33 22 0:40 / /mnt rw shared:4 master:2 - nfs4 server:/x rw,vers=4.2
34 22 0:41 / /fuse rw - fuse.sshfs user@host: rw
`

func TestTheNearestMountIsThatOfADirectory(t *testing.T) {
	for dir, want := range map[string]string{
		"/": "ext4", "/var/libx": "ext4", "/var/lib": "tmpfs", "/var/lib/other": "tmpfs",
		"/var/lib/iot edge/gw-a": "ext4", "/mnt/a": "nfs", "/fuse": "fuse",
	} {
		fs, _, found := mountOf([]byte(mounts), dir)
		require.True(t, found, dir)
		require.Equal(t, want, fs.kind, dir)
	}
	fs, device, _ := mountOf([]byte(mounts), "/var/lib/iot edge")
	require.Equal(t, "179:2", device)
	require.Equal(t, "/dev/mmcblk0p2", fs.source)
	require.Equal(t, []string{"rw", "noatime", "rw", "barrier=0"}, fs.options)
	_, _, found := mountOf([]byte("rubbish\n"), "/")
	require.False(t, found)
}

func TestTheMediumIsThatOfTheDisk(t *testing.T) {
	root := t.TempDir()
	for disk, rotational := range map[string]string{"sda": "1", "nvme0n1": "0", "mmcblk0": "0", "vda": "1"} {
		part := filepath.Join(root, "devices", disk, disk+"p1")
		require.NoError(t, os.MkdirAll(part, 0o700))
		require.NoError(t, os.MkdirAll(filepath.Join(root, "devices", disk, "queue"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, "devices", disk, "queue", "rotational"), []byte(rotational+"\n"), 0o600))
		require.NoError(t, os.Symlink(part, filepath.Join(root, disk)))
	}
	for device, want := range map[string][2]bool{"sda": {true, false}, "nvme0n1": {}, "mmcblk0": {false, true}, "vda": {}, "0:40": {}} {
		rotating, card := blockDevice(root, device)
		require.Equal(t, want, [2]bool{rotating, card}, device)
	}
}

func TestProbesReadThisMachine(t *testing.T) {
	fs, err := probeFilesystem("/proc/self")
	require.NoError(t, err)
	require.Equal(t, "proc", fs.kind)
	fs, err = probeFilesystem(filepath.Join(t.TempDir(), "not", "there", "yet"))
	require.NoError(t, err)
	require.NotEmpty(t, fs.kind)

	own, err := openFiles(0)
	require.NoError(t, err)
	require.NotZero(t, own)
	_, err = openFiles(os.Getpid())
	require.NoError(t, err)
	free, total, err := available()
	require.NoError(t, err)
	require.Positive(t, free)
	require.Greater(t, total, free)
	require.True(t, probeClock(time.Now()).known)
}

func TestTheLockIsSeenAndNotTaken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	pid, err := holder(name)
	require.NoError(t, err)
	require.Zero(t, pid, "no file")
	f, err := os.Create(name)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	pid, err = holder(name)
	require.NoError(t, err)
	require.Zero(t, pid, "no lock")
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	pid, err = holder(name)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	const row = "1: FLOCK  ADVISORY  WRITE 77 fe:00:42 0 EOF\n2: POSIX  ADVISORY  WRITE 78 00:1e:43 0 EOF\n"
	require.Equal(t, 77, lockHolder([]byte(row), "fe:00:42"))
	require.Equal(t, 77, lockHolder([]byte(row), "00:2b:42"), "a file system without a device")
	require.Zero(t, lockHolder([]byte(row), "fe:01:42"), "another disk")
	require.Zero(t, lockHolder([]byte(row), "00:1e:43"), "another kind of lock")
}

func TestTheDiskIsMeasuredAndLeftAsItWas(t *testing.T) {
	dir := t.TempDir()
	s := probeSync(t.Context(), dir)
	require.NoError(t, s.err)
	require.GreaterOrEqual(t, len(s.took), syncAtLeast)
	require.Positive(t, s.quantile(0.5))
	require.GreaterOrEqual(t, s.quantile(0.99), s.quantile(0.5))
	require.NoError(t, probeDirectory(dir).err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.True(t, probeDirectory(filepath.Join(dir, "none")).missing)
	require.Error(t, probeDirectory("/proc").err)
	require.Error(t, probeSync(t.Context(), "/proc").err)
}

func TestPortsAreProbedWithoutDisturbingAGateway(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.True(t, probePort(t.Context(), addr, running{}).held, "taken")
	require.True(t, probePort(t.Context(), addr, running{pid: 1}).held, "answers")
	require.NoError(t, ln.Close())
	require.Equal(t, port{}, probePort(t.Context(), addr, running{}))
	require.Error(t, probePort(t.Context(), addr, running{pid: 1}).err)
	require.Equal(t, "localhost:1883", reachable("0.0.0.0:1883"))
	require.Equal(t, "localhost:1883", reachable(":1883"))
	require.Equal(t, "10.0.0.1:1883", reachable("10.0.0.1:1883"))
}

func TestGaugesAreThoseOfTheGateway(t *testing.T) {
	const body = "# TYPE edge_buffer_limit_bytes gauge\nedge_buffer_limit_bytes{gateway=\"gw-a\"} 5\nedge_buffer_limit_bytes{gateway=\"gw-b\"} 6\n" +
		"# TYPE iot_memory_usage_bytes gauge\niot_memory_usage_bytes 7\n"
	for id, want := range map[string]float64{"gw-a": 5, "gw-b": 6} {
		got, err := gauges(body, id)
		require.NoError(t, err)
		require.Equal(t, map[string]float64{"edge_buffer_limit_bytes": want, "iot_memory_usage_bytes": 7}, got)
	}
	_, err := gauges(body, "gw-c")
	require.ErrorContains(t, err, "not of gateway gw-c")
	_, err = gauges("<html>", "gw-a")
	require.Error(t, err, "another program")
}
