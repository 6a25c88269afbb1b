package oracle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// ReadLedger adds the acknowledgements of a simulator's ledger: lines of
// device_id,timestamp,attempts.
func (o *Oracle) ReadLedger(r io.Reader) error {
	names := map[string]string{} // one copy of each device id
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		id, rest, _ := strings.Cut(in.Text(), ",")
		ts, attempts, ok := strings.Cut(rest, ",")
		timestamp, err1 := strconv.ParseInt(ts, 10, 64)
		_, err2 := strconv.Atoi(attempts)
		if err := errors.Join(err1, err2); !ok || err != nil {
			return fmt.Errorf("ledger line %d: %q is not device_id,timestamp,attempts", n, in.Text())
		}
		name, ok := names[id]
		if !ok {
			name = strings.Clone(id)
			names[name] = name
		}
		o.Acked(name, timestamp)
	}
	return in.Err()
}

// ReadLedgerFile is ReadLedger for a file, which need not exist.
func (o *Oracle) ReadLedgerFile(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the ledger: %w", err)
	}
	return errors.Join(o.ReadLedger(f), f.Close())
}
