// Package reload keeps the content of a settings file in force while the file changes. An
// invalid or unreadable file changes nothing: the previous content stays in force. It knows
// neither formats nor programs; its user passes a function that parses and applies.
package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long a file must be unchanged before it is read: an editor writes
	// in several steps.
	settleTime = 100 * time.Millisecond
	// rereadEvery is the time between two reads without an event: not every file system
	// reports changes.
	rereadEvery = 10 * time.Second
)

// Options of a File. All are required but Path and Failed.
type Options struct {
	Path string // empty: no file, Use is called once with nil
	Var  string // the variable that names the file, in errors
	Name string // of the content in logs, for example "rules"
	// Use parses data, the whole file, and puts it in force. An error means that nothing
	// has changed. It is called by one goroutine at a time.
	Use    func(data []byte) error
	Failed func() // called for each change that could not be applied. May be nil
	Log    *slog.Logger
}

// File is a file whose content is in force.
type File struct {
	o     Options
	tried []byte // the content last read; nil after an error
}

// Open reads the file for the first time, when an invalid one is an error. Run follows its
// changes.
func Open(o Options) (*File, error) {
	if o.Use == nil || o.Log == nil || o.Name == "" {
		return nil, errors.New("reload: Options.Use, Log and Name are required")
	}
	if o.Failed == nil {
		o.Failed = func() {}
	}
	o.Log = o.Log.With("settings", o.Name)
	f := &File{o: o}
	if o.Path != "" {
		var err error
		if f.tried, err = os.ReadFile(o.Path); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Var, err)
		}
	}
	if err := o.Use(f.tried); err != nil {
		return nil, fmt.Errorf("%s=%s: %w", o.Var, o.Path, err)
	}
	return f, nil
}

// Reread applies the file if it has changed. Run does so by itself; a caller of Reread does
// not use Run at the same time.
func (f *File) Reread() {
	data, err := os.ReadFile(f.o.Path)
	if err != nil {
		if f.tried != nil {
			f.tried = nil // log it once
			f.o.Failed()
			f.o.Log.Error("settings file unreadable, keeping the previous content", "file", f.o.Path, "err", err)
		}
		return
	}
	if f.tried != nil && bytes.Equal(data, f.tried) {
		return
	}
	f.tried = data
	if err := f.o.Use(data); err != nil {
		f.o.Failed()
		f.o.Log.Error("settings file invalid, keeping the previous content", "file", f.o.Path, "err", err)
		return
	}
	f.o.Log.Info("settings file loaded", "file", f.o.Path)
}

// Run applies changes of the file until ctx ends, and returns nil. It watches the folder:
// editors replace the file, and Kubernetes replaces a symbolic link beside it.
func (f *File) Run(ctx context.Context) error {
	if f.o.Path == "" {
		<-ctx.Done()
		return nil
	}
	events, errs, closeWatcher := f.watch()
	defer closeWatcher()
	f.follow(ctx, events, errs)
	return nil
}

// follow reads the file some time after an event or error, and periodically.
func (f *File) follow(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) {
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	settle := time.NewTimer(settleTime) // it may have changed since Open
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settle.Reset(settleTime)
		case err := <-errs: // it may have lost events
			f.o.Log.Debug("file watcher failed", "err", err)
			settle.Reset(settleTime)
		case <-settle.C:
			f.Reread()
		case <-ticker.C:
			f.Reread()
		}
	}
}

// watch returns the events of the file's folder; nil channels if it cannot be watched.
func (f *File) watch() (<-chan fsnotify.Event, <-chan error, func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		if err = watcher.Add(filepath.Dir(f.o.Path)); err == nil {
			return watcher.Events, watcher.Errors, func() { _ = watcher.Close() }
		}
		_ = watcher.Close()
	}
	f.o.Log.Warn("settings file not watchable, reading it periodically", "every", rereadEvery, "err", err)
	return nil, nil, func() {}
}
