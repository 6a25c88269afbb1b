package simulator

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
)

// ledgerFile appends one line for each acknowledged reading:
//
//	device_id,timestamp,attempts
//
// It writes whole lines only, so that a killed simulator leaves no partial line.
type ledgerFile struct {
	mu   sync.Mutex
	file *os.File
	buf  []byte
	err  error // of the first failed write
}

// ledgerBuffer is the buffer size that triggers a write between two flushes.
const ledgerBuffer = 64 << 10

func openLedger(name string) (*ledgerFile, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	return &ledgerFile{file: f}, nil
}

// Acked implements publisher.Ledger.
func (l *ledgerFile) Acked(deviceID string, timestamp int64, attempts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, deviceID...)
	l.buf = append(l.buf, ',')
	l.buf = strconv.AppendInt(l.buf, timestamp, 10)
	l.buf = append(l.buf, ',')
	l.buf = strconv.AppendInt(l.buf, int64(attempts), 10)
	l.buf = append(l.buf, '\n')
	if len(l.buf) >= ledgerBuffer {
		l.write()
	}
}

func (l *ledgerFile) write() {
	if _, err := l.file.Write(l.buf); err != nil && l.err == nil {
		l.err = fmt.Errorf("writing the ledger: %w", err)
	}
	l.buf = l.buf[:0]
}

// flush writes the buffer and returns the first error so far.
func (l *ledgerFile) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write()
	return l.err
}

func (l *ledgerFile) close() error { return errors.Join(l.flush(), l.file.Close()) }
