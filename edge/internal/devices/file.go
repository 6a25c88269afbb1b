package devices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"industrial-iot-monitor/internal/durable"
)

// create makes the file if it is missing.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("EDGE_DATA_DIR: making a directory for credentials: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("EDGE_DATA_DIR: opening the file of device credentials: %w", err)
	}
	return f.Close()
}

// private refuses a file that others can read or write: who writes it lets anybody in.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading the mode of %s: %w", path, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the file has mode %04o: want 0600, which chmod 600 %s sets", mode, path)
	}
	return nil
}

// change changes the file of credentials: edit gets the credentials and returns those to add or replace.
// The new file takes the place of the old one at once, whole and synced; other lines stay as they are.
func change(path string, edit func(*Set) ([]*Credential, error)) (err error) {
	if err := create(path); err != nil {
		return err
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	data, set, err := read(path)
	if err != nil {
		return err
	}
	changed, err := edit(set)
	if err != nil {
		return err
	}
	if data, err = merge(data, changed); err != nil {
		return err
	}
	if _, err := Parse(data); err != nil {
		return err
	}
	return replace(path, data)
}

// read returns the file's content and the credentials in it, none if there is no file.
func read(path string) ([]byte, *Set, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("reading the credentials: %w", err)
	}
	set, err := Parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, set, nil
}

// merge puts credentials in place of the lines of the same devices, and the others at the end.
func merge(data []byte, changed []*Credential) ([]byte, error) {
	lines := map[string][]byte{}
	for _, c := range changed {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("encoding a credential: %w", err)
		}
		lines[c.ID] = append(line, '\n')
	}
	var out bytes.Buffer
	for old := range bytes.Lines(data) {
		var c struct{ ID string }
		if json.Unmarshal(old, &c) == nil && lines[c.ID] != nil { // else it is a comment, or another's
			old = lines[c.ID]
			delete(lines, c.ID)
		}
		out.Write(bytes.TrimRight(old, "\n"))
		out.WriteByte('\n')
	}
	for _, c := range changed {
		out.Write(lines[c.ID])
		delete(lines, c.ID)
	}
	return out.Bytes(), nil
}

// replace writes a new file and renames it. Its owner is that of the old one: root may add a device to a
// gateway that runs as another user.
func replace(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	next := path + ".new"
	if err := durable.Write(next, data, 0o600); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		err = os.Chown(next, int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = durable.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}

// lock waits until no other command changes the file.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("EDGE_DATA_DIR: opening the lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("EDGE_DATA_DIR: locking %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}
