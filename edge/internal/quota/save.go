package quota

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Save writes which devices are known, one a line with the second when it was last heard, so that they
// are no new ones after a restart.
func (t *Table) Save(path string) error {
	type line struct {
		device string
		second int64
	}
	var lines []line // readings wait while the table is locked
	t.mu.Lock()
	for e := t.ring.after; e != &t.ring; e = e.after {
		if e.device != "" {
			lines = append(lines, line{e.device, e.heard.Unix()})
		}
	}
	t.mu.Unlock()
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintln(&b, l.device, l.second)
	}
	if err := os.WriteFile(path+".new", b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("keeping the known devices: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keeping the known devices: %w", err)
	}
	return nil
}

// Load makes the devices of a file known, which may be missing. Lines that say nothing are skipped: the
// worst of a damaged file is that a device is a new one again.
func (t *Table) Load(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the known devices: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		device, heard, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		second, err := strconv.ParseInt(string(heard), 10, 64)
		if err != nil || !telemetry.ValidDeviceID(string(device)) || t.devices[string(device)] != nil {
			continue
		}
		t.add(string(device)).heard = time.Unix(second, 0)
	}
	return nil
}
