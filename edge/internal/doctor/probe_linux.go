package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// probeFilesystem finds the mount of a directory, and what kind of device is below it.
func probeFilesystem(dir string) (filesystem, error) {
	dir, err := filepath.EvalSymlinks(ExistingAbove(dir))
	if err != nil {
		return filesystem{}, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return filesystem{}, err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return filesystem{}, err
	}
	fs, device, found := mountOf(table, dir)
	if !found {
		return filesystem{}, fmt.Errorf("no mount of %s in /proc/self/mountinfo", dir)
	}
	fs.rotating, fs.card = blockDevice("/sys/dev/block", device)
	return fs, nil
}

// mountOf finds in a mountinfo (proc_pid_mountinfo(5)) the mount that holds a directory, and the numbers of
// its device.
func mountOf(table []byte, dir string) (fs filesystem, device string, found bool) {
	longest := -1
	for line := range bytes.Lines(table) {
		before, after, ok := strings.Cut(string(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		point := unescape(left[4])
		// Of two mounts in one place the later one is on top.
		if len(point) < longest || (point != "/" && dir != point && !strings.HasPrefix(dir, point+"/")) {
			continue
		}
		kind, _, _ := strings.Cut(right[0], ".") // fuse.sshfs; nfs4 below
		longest, device, found = len(point), left[2], true
		fs = filesystem{
			kind: strings.TrimSuffix(kind, "4"), source: unescape(right[1]),
			options: append(strings.Split(left[5], ","), strings.Split(right[2], ",")...),
		}
		if kind == "ext4" {
			fs.kind = kind
		}
	}
	return fs, device, found
}

// unescape decodes \040 and the like.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// blockDevice reports what the kernel says of a device. A partition has the queue of its disk above it; a
// file system without one device, such as btrfs, has none of both.
func blockDevice(root, device string) (rotating, card bool) {
	where, err := filepath.EvalSymlinks(filepath.Join(root, device))
	if err != nil {
		return false, false
	}
	for _, dir := range []string{where, filepath.Dir(where)} {
		value, err := os.ReadFile(filepath.Join(dir, "queue", "rotational"))
		if err != nil {
			continue
		}
		name := filepath.Base(dir)
		card = strings.HasPrefix(name, "mmcblk")
		// Virtual disks say that they rotate whatever is below them.
		virtual := strings.HasPrefix(name, "vd") || strings.HasPrefix(name, "xvd") || strings.HasPrefix(name, "nbd")
		return strings.TrimSpace(string(value)) == "1" && !card && !virtual, card
	}
	return false, false
}

// probeClock asks the kernel how well the clock is kept.
func probeClock(now time.Time) clock {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return clock{now: now, err: err}
	}
	return clock{
		now: now, known: true, synchronised: state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0,
		error: time.Duration(tx.Maxerror) * time.Microsecond,
	}
}

// openFiles returns the limit of open files of a process, of this one for 0. A Go program raises its limit
// to the hard one.
func openFiles(pid int) (uint64, error) {
	var l unix.Rlimit
	if pid == 0 {
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return 0, err
		}
		return l.Max, nil
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Max open files"); ok {
			fields := strings.Fields(rest)
			if len(fields) > 0 && fields[0] == "unlimited" {
				return unix.RLIM_INFINITY, nil
			}
			if len(fields) > 0 {
				return strconv.ParseUint(fields[0], 10, 64)
			}
		}
	}
	return 0, errors.New("no limit of open files in /proc")
}

// available returns the memory that programs can get without swapping, and all there is.
func available() (free, total int64, err error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemAvailable:":
			free = kib << 10
		case "MemTotal:":
			total = kib << 10
		}
	}
	if total == 0 {
		return 0, 0, errors.New("no MemTotal in /proc/meminfo")
	}
	return free, total, nil
}

// holder returns the process that holds the lock of a gateway's directory, 0 for none. It reads the
// kernel's table: taking the lock, even for a moment, could keep a gateway from starting.
func holder(lockFile string) (pid int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(lockFile, &st); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		return 0, err
	}
	table, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0, err
	}
	return lockHolder(table, fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)), nil
}

// lockHolder finds in /proc/locks (proc_locks(5)) the process with a lock by flock(2) on a file. File
// systems without a device of their own show different numbers there: for them the inode decides.
func lockHolder(table []byte, file string) (pid int) {
	inode := file[strings.LastIndexByte(file, ':'):]
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 6 || f[1] != "FLOCK" {
			continue
		}
		if f[5] == file || (strings.HasPrefix(file, "00:") && strings.HasSuffix(f[5], inode)) {
			if n, err := strconv.Atoi(f[4]); err == nil {
				return n
			}
		}
	}
	return 0
}
