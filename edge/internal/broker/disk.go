package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

const (
	// minBuffer is the smallest buffer to which a small disk may lower the limit.
	minBuffer = 64 << 20
	// minConfigured is the smallest configurable buffer; the largest pack fits.
	minConfigured = 1 << 20
	// diskReserve stays free on the disk: after a full disk the store does not respond
	// until the server restarts, so the buffer must be full first.
	diskReserve = 128 << 20
)

// Room is how much of a disk the buffer has and could have, in bytes.
type Room struct {
	Limit int64 // of the buffer: as wanted, or lowered to the disk
	Used  int64 // by the store now
	Free  int64 // on the disk
}

// RoomIn returns the room for a buffer of want bytes of the gateway with a directory, which need not exist
// yet: then above is a directory on the same disk. It fails if a gateway would not start there.
func RoomIn(dir, above string, want int64) (r Room, err error) {
	if r.Free, err = diskFree(above); err != nil {
		return r, err
	}
	if r.Used, err = dirSize(storeDir(dir)); err != nil {
		return r, err
	}
	r.Limit, err = fit(want, r.Free, r.Used)
	return r, err
}

// fitBuffer lowers the wanted limit to the room on the disk without diskReserve and logs
// a warning: a gateway with a smaller buffer is better than none. A disk without room for
// minBuffer is an error.
func (b *Broker) fitBuffer(want int64) (int64, error) {
	room, err := RoomIn(b.dir, b.dir, want)
	if err != nil {
		return 0, fmt.Errorf("%w (in %s)", err, b.dir)
	}
	if room.Limit < want {
		b.log.Warn("disk too small for EDGE_BUFFER_BYTES, buffer limit lowered",
			"wanted_bytes", want, "buffer_bytes", room.Limit, "disk_free_bytes", room.Free, "dir", b.dir)
	}
	return room.Limit, nil
}

// fit returns the limit of a buffer of want bytes, of which used are on disk already, on
// a disk with free bytes left.
func fit(want, free, used int64) (int64, error) {
	if want < minConfigured {
		return 0, fmt.Errorf("EDGE_BUFFER_BYTES=%d: want at least %d", want, minConfigured)
	}
	room := free + used - diskReserve
	if want <= room {
		return want, nil
	}
	if room < minBuffer {
		return 0, fmt.Errorf("EDGE_DATA_DIR: the disk has %d MB free, a gateway needs %d MB", free>>20, (minBuffer+diskReserve)>>20)
	}
	return room, nil
}

// CheckDisk returns the free bytes on the disk and makes the stream refuse packs while
// less than half of the reserve is left.
func (b *Broker) CheckDisk() (int64, error) {
	free, err := diskFree(b.dir)
	if err != nil {
		return 0, err
	}
	low := free < diskReserve/2
	if b.diskLow.Swap(low) != low {
		b.log.Warn("free disk space crossed the reserve", "low", low, "disk_free_bytes", free, "dir", b.dir)
	}
	return free, nil
}

func diskFree(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("EDGE_DATA_DIR: free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// dirSize sums the files below dir, 0 when it does not exist.
func dirSize(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				sum += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("EDGE_DATA_DIR: size of %s: %w", dir, err)
	}
	return sum, nil
}
