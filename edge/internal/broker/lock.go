package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dirLock locks a directory for one process. The kernel releases the lock when the
// process ends, in any way.
type dirLock struct{ f *os.File }

// lockDir creates dir if necessary and locks it. It fails if another gateway uses it.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("EDGE_DATA_DIR: creating the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("EDGE_DATA_DIR: opening the lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another gateway is using it (same EDGE_GATEWAY_ID and EDGE_DATA_DIR)")
		}
		return nil, errors.Join(fmt.Errorf("EDGE_DATA_DIR: locking %s: %w", dir, err), f.Close())
	}
	return &dirLock{f: f}, nil
}

// InUse reports whether a gateway runs on a directory.
func InUse(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		return false
	}
	l, err := lockDir(dir)
	if err != nil {
		return true
	}
	_ = l.release() // nothing was written
	return false
}

func (l *dirLock) release() error {
	if l == nil || l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}
