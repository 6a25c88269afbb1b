package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"industrial-iot-monitor/edge/internal/salvage"
	"industrial-iot-monitor/internal/wire"
)

// ErrStopped is returned by Restart after Shutdown.
var ErrStopped = errors.New("the broker is stopped")

// Mark records the newest acknowledged pack in a file of its own, with which the next
// start compares the stream. It is for the goroutine that stores packs.
func (b *Broker) Mark(epoch, counter, seq uint64, totals wire.PackTotals) {
	// After a failed write the mark is older than the store, which is allowed.
	_ = b.marker.Write(salvage.Mark{Epoch: epoch, Counter: counter, Seq: seq, Totals: totals})
}

// Salvaged returns the damage found since New, restarts included.
func (b *Broker) Salvaged() salvage.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.salvaged
}

// Restart restarts the server on the same files and port. Devices lose their connections
// and may reconnect at once; the stream's methods work again once the broker has
// reconnected, a moment later. With examineAll every block of the store is examined.
func (b *Broker) Restart(ctx context.Context, examineAll bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrStopped
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		srv := b.srv.Load()
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		return fmt.Errorf("stopping the NATS server: %w", ctx.Err())
	}
	if err := b.start(examineAll); err != nil {
		return err
	}
	openCtx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return b.stream.reopen(openCtx)
}

// StopStore makes the stream unresponsive, as after a full disk. It is for tests of the
// callers.
func (b *Broker) StopStore() error { return b.srv.Load().DisableJetStream() }

// TryDisk tests whether the disk of the store accepts writes: it writes and syncs a
// temporary file.
func (b *Broker) TryDisk() (took time.Duration, err error) {
	start := time.Now()
	f, err := os.CreateTemp(b.dir, "try-")
	if err != nil {
		return 0, fmt.Errorf("testing the disk: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, tryBytes)); err != nil {
		return 0, errors.Join(fmt.Errorf("testing the disk: %w", err), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("testing the disk: %w", err)
	}
	return time.Since(start), nil
}

// tryBytes is more than a starting server writes before the first pack.
const tryBytes = 1 << 20

// removeTries removes files that TryDisk left behind in a crash.
func removeTries(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, "try-*"))
	for _, name := range names {
		_ = os.Remove(name) // harmless if left
	}
}
