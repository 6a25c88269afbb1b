// Package durable writes files that survive a power cut: whole, or as they were before. A file's
// content is on the disk after its own sync, its name after that of its directory (fsync(2)).
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes a file and syncs it. It may be there in part after a power cut: see Replace.
func Write(name string, data []byte, mode fs.FileMode) error {
	if err := write(name, data, mode); err != nil {
		return err
	}
	return Sync(filepath.Dir(name))
}

// Replace gives a file new content at once: readers, also after a power cut, find all of the old
// or all of the new. It writes name.new first.
func Replace(name string, data []byte, mode fs.FileMode) error {
	next := name + ".new"
	if err := write(next, data, mode); err != nil {
		return err
	}
	return Rename(next, name)
}

// Rename renames a file or directory within one directory, and syncs that.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return Sync(filepath.Dir(to))
}

// Sync syncs a file or directory.
func Sync(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func write(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
