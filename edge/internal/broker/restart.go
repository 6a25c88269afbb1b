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

// ErrStopped says that the broker was shut down.
var ErrStopped = errors.New("the broker is stopped")

// Mark remembers the newest acknowledged pack beside the store, for the next start to
// compare with what it finds. It is for the goroutine that stores packs.
func (b *Broker) Mark(epoch, counter, seq uint64, totals wire.PackTotals) {
	// A mark that could not be written is older than the store, which is allowed.
	_ = b.marker.Write(salvage.Mark{Epoch: epoch, Counter: counter, Seq: seq, Totals: totals})
}

// Salvaged returns what was found damaged since New began, restarts included.
func (b *Broker) Salvaged() salvage.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.salvaged
}

// Restart stops the server and starts it again, on the same files and the same port.
// Connections of devices are lost and may come back at once; the stream's methods work
// again when the connections of the broker are made again, which takes a moment. With
// examineAll every block of the store is looked at in between.
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
		return fmt.Errorf("stopping the nats server: %w", ctx.Err())
	}
	if err := b.start(examineAll); err != nil {
		return err
	}
	openCtx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return b.stream.reopen(openCtx)
}

// StopStore makes the stream stop answering, as it does when the disk was full. It is
// for tests of those who have to notice.
func (b *Broker) StopStore() error { return b.srv.Load().DisableJetStream() }

// TryDisk writes a little to the disk of the store and syncs it, to find out whether
// it takes anything now. The file is removed again.
func (b *Broker) TryDisk() (took time.Duration, err error) {
	began := time.Now()
	f, err := os.CreateTemp(b.dir, "try-")
	if err != nil {
		return 0, fmt.Errorf("trying the disk: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, tryBytes)); err != nil {
		return 0, errors.Join(fmt.Errorf("trying the disk: %w", err), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("trying the disk: %w", err)
	}
	return time.Since(began), nil
}

// tryBytes is more than a starting server writes before it takes the first pack.
const tryBytes = 1 << 20

// removeTries removes what a crash left of TryDisk.
func removeTries(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, "try-*"))
	for _, name := range names {
		_ = os.Remove(name) // a leftover does no harm
	}
}
