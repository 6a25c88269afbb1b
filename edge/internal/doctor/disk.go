package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// How the disk is measured: as the gateway writes, one block and one sync after the other. A slow disk
// ends it early.
const (
	syncWrites  = 100
	syncBytes   = 4096
	syncBudget  = 3 * time.Second
	syncAtLeast = 10
)

// Limits of a sync. A device waits for its answer while one lasts; the gateway tells devices to retry
// later after 1.25 s.
const (
	syncSlow    = 250 * time.Millisecond
	syncTooSlow = 1250 * time.Millisecond
)

// Quickest plausible sync of a medium: half a turn of a disk with 15,000 turns a minute is 2 ms, a flash
// card without a cache needs about a millisecond for a page and its map, an SSD or a virtual disk tens of
// microseconds for the way there and back.
const (
	syncRotating = time.Millisecond
	syncCard     = 200 * time.Microsecond
	syncAny      = 20 * time.Microsecond
)

// filesystem is what the system says of the disk of a directory.
type filesystem struct {
	kind     string // ext4, tmpfs, …; "0x…" if it has no name here
	source   string // device
	options  []string
	rotating bool
	card     bool // SD or eMMC
}

// directory is what a try at the data directory gave.
type directory struct {
	name    string
	missing bool
	err     error // of writing a file
	uid     int
}

func probeDirectory(dir string) directory {
	d := directory{name: dir, uid: os.Geteuid()}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		d.missing = true
		return d
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		d.err = err
		return d
	}
	d.err = errors.Join(f.Close(), os.Remove(f.Name()))
	return d
}

func judgeDirectory(d directory) Result {
	r := Result{Check: "data directory", Verdict: OK, Value: fmt.Sprintf("%s, writable by user %d", d.name, d.uid)}
	switch {
	case d.missing:
		r.Verdict, r.Value, r.Advice = Warn, d.name+" does not exist", "the gateway makes it at its first start if it may; check EDGE_DATA_DIR"
	case d.err != nil:
		r.Verdict, r.Value = Fail, d.err.Error()
		r.Advice = fmt.Sprintf("the gateway's user has to own %s (this ran as user %d); a read-only file system is a dying disk or a mount option", d.name, d.uid)
	}
	return r
}

// volatile, remote and layered name file systems by what a power cut leaves of them.
var (
	volatile = []string{"tmpfs", "ramfs"}
	remote   = []string{"nfs", "smb", "cifs", "smb2", "9p", "ceph"}
	layered  = []string{"overlay", "fuse"}
)

func judgeFilesystem(fs filesystem, err error) Result {
	if err != nil {
		return Result{Check: "file system", Verdict: Skip, Value: err.Error()}
	}
	r := Result{Check: "file system", Verdict: OK, Value: fmt.Sprintf("%s on %s%s", fs.kind, fs.source, medium(fs))}
	unsafe := slices.IndexFunc(fs.options, func(o string) bool { return o == "nobarrier" || o == "barrier=0" })
	switch {
	case slices.Contains(volatile, fs.kind):
		r.Verdict, r.Advice = Fail, "acknowledged readings are gone after a power cut; put EDGE_DATA_DIR on a disk"
	case unsafe >= 0:
		r.Verdict, r.Value, r.Advice = Fail, r.Value+", mounted with "+fs.options[unsafe], "a sync does not reach the disk; mount it without that option"
	case slices.Contains(fs.options, "ro"):
		r.Verdict, r.Value, r.Advice = Fail, r.Value+", read-only", "see dmesg: a file system turns read-only after errors of the disk"
	case slices.Contains(remote, fs.kind):
		r.Verdict, r.Advice = Warn, "whether a sync reaches a disk is up to the server; use a local disk"
	case slices.Contains(layered, fs.kind):
		r.Verdict, r.Advice = Warn, "the disk below cannot be seen, and the layer may go with the container; use a volume or a disk"
	}
	return r
}

func medium(fs filesystem) string {
	switch {
	case fs.card:
		return " (SD card or eMMC)"
	case fs.rotating:
		return " (rotating, as the system says)"
	}
	return ""
}

// syncs are the times of writes with a sync, sorted.
type syncs struct {
	took []time.Duration
	err  error
}

// quantile returns the time that a share q of the syncs did not exceed.
func (s syncs) quantile(q float64) time.Duration {
	return s.took[min(int(q*float64(len(s.took))), len(s.took)-1)]
}

func probeSync(ctx context.Context, dir string) (s syncs) {
	f, err := os.CreateTemp(dir, ".doctor-sync-*")
	if err != nil {
		return syncs{err: err}
	}
	defer func() { s.err = errors.Join(s.err, f.Close(), os.Remove(f.Name())) }()
	block, start := make([]byte, syncBytes), time.Now()
	for range syncWrites {
		if ctx.Err() != nil || (time.Since(start) > syncBudget && len(s.took) >= syncAtLeast) {
			break
		}
		began := time.Now()
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return syncs{err: err}
		}
		s.took = append(s.took, time.Since(began))
	}
	slices.Sort(s.took)
	return s
}

// judgeSync judges what can be known without a power cut: a sync that is quicker than the medium did not
// reach it. One that is slow enough may still end in the cache of the disk.
func judgeSync(s syncs, fs filesystem) Result {
	r := Result{Check: "sync", Verdict: OK}
	if s.err != nil || len(s.took) == 0 {
		r.Verdict, r.Value = Skip, "not measured"
		if s.err != nil {
			r.Value += ": " + s.err.Error()
		}
		return r
	}
	p50, p99 := s.quantile(0.5), s.quantile(0.99)
	r.Value = fmt.Sprintf("p50 %s, p99 %s of %d writes of %d bytes", shown(p50), shown(p99), len(s.took), syncBytes)
	const proof = "only pulling the plug under load proves a disk"
	switch least, what := plausible(fs); {
	case p99 > syncTooSlow:
		r.Verdict, r.Advice = Fail, "devices are told to retry later while it lasts; use another disk, or find what else writes to it"
	case p50 < least:
		r.Verdict = Warn
		r.Advice = fmt.Sprintf("%s does not write that fast: a cache answers in its place, and a power cut may lose acknowledged readings unless the cache has a battery; %s", what, proof)
	case p99 > syncSlow:
		r.Verdict, r.Advice = Warn, "devices wait that long for their answers; use a better disk, or find what else writes to it"
	default:
		r.Value += ", plausible for " + what
	}
	return r
}

// plausible returns the quickest plausible sync, and of what.
func plausible(fs filesystem) (least time.Duration, what string) {
	switch {
	case slices.Contains(volatile, fs.kind):
		return syncAny, "memory"
	case fs.card:
		return syncCard, "an SD card"
	case fs.rotating:
		return syncRotating, "a rotating disk"
	}
	return syncAny, "an SSD or a virtual disk"
}

func shown(d time.Duration) string {
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// Room is the buffer on its disk.
type Room struct {
	Wanted int64 // EDGE_BUFFER_BYTES
	Limit  int64 // what the disk has room for, at most Wanted
	Used   int64 // of the store now
	Free   int64 // on the disk
	Err    error
}

// errNoID is the answer to questions about the directory of a gateway without an id.
var errNoID = errors.New("the gateway has no id yet")

// room returns what Options.Store says.
func (o Options) room() Room {
	if o.Store == nil {
		return Room{Err: errNoID}
	}
	room, err := o.Store()
	room.Err = err
	return room
}

func judgeRoom(room Room) Result {
	r := Result{Check: "room for the buffer", Verdict: OK}
	if errors.Is(room.Err, errNoID) {
		r.Verdict, r.Value = Skip, room.Err.Error()
		return r
	}
	if room.Err != nil {
		r.Verdict, r.Value, r.Advice = Fail, room.Err.Error(), "free space on that disk, or set EDGE_DATA_DIR to another one"
		return r
	}
	r.Value = fmt.Sprintf("%s of %s in use, %s free on the disk", bytesOf(room.Used), bytesOf(room.Limit), bytesOf(room.Free))
	if room.Limit < room.Wanted {
		r.Verdict = Warn
		r.Advice = fmt.Sprintf("the buffer is smaller than EDGE_BUFFER_BYTES (%s): free %s, or set it lower", bytesOf(room.Wanted), bytesOf(room.Wanted-room.Limit))
	}
	return r
}

func bytesOf(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
}

// ExistingAbove returns dir or the nearest directory above it that exists.
func ExistingAbove(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
