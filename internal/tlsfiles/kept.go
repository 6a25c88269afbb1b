package tlsfiles

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// lookEvery is how often a handshake looks whether the files have changed, at most.
const lookEvery = time.Second

// kept is what was read from files, and is read again when they have changed. What cannot be read later changes nothing.
type kept[T any] struct {
	files []string
	read  func() (T, error)
	log   *slog.Logger

	mu      sync.Mutex
	current T
	state   []fileState // of the files that were last read
	looked  time.Time
}

// fileState tells a file from a later one.
type fileState struct {
	size    int64
	changed time.Time
}

// keep reads the files for the first time.
func keep[T any](log *slog.Logger, read func() (T, error), files ...string) (*kept[T], error) {
	k := &kept[T]{files: files, read: read, log: log}
	return k, k.look()
}

// get returns what is in force.
func (k *kept[T]) get() T {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) >= lookEvery {
		if err := k.look(); err != nil {
			k.log.Error("certificates cannot be read, keeping those of before", "files", k.files, "err", err)
		}
	}
	return k.current
}

func (k *kept[T]) look() error {
	k.looked = time.Now()
	state := make([]fileState, len(k.files))
	for i, name := range k.files {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("reading certificates: %w", err)
		}
		state[i] = fileState{info.Size(), info.ModTime()}
	}
	if slices.Equal(state, k.state) {
		return nil
	}
	next, err := k.read()
	if err != nil {
		return err
	}
	k.current, k.state = next, state
	return nil
}
