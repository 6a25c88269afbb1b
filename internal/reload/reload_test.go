package reload

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a file whose content is in force unless it says "bad".
type fixture struct {
	*File
	path     string
	inForce  atomic.Pointer[string]
	failures atomic.Int64
	log      logtest.Buffer
}

func (x *fixture) use(data []byte) error {
	if string(data) == "bad" {
		return errors.New("line 1: bad")
	}
	s := string(data)
	x.inForce.Store(&s)
	return nil
}

func (x *fixture) write(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(x.path, []byte(text), 0o600))
}

func (x *fixture) open() (err error) {
	x.File, err = Open(Options{
		Path: x.path, Var: "X_FILE", Name: "x file", Use: x.use, Failed: func() { x.failures.Add(1) },
		Log: slog.New(slog.NewTextHandler(&x.log, nil)),
	})
	return err
}

func opened(t *testing.T, text string) *fixture {
	t.Helper()
	x := &fixture{path: filepath.Join(t.TempDir(), "x.yaml")}
	x.write(t, text)
	require.NoError(t, x.open())
	return x
}

func TestABadFileStopsTheStart(t *testing.T) {
	x := &fixture{path: filepath.Join(t.TempDir(), "x.yaml")}
	require.ErrorContains(t, x.open(), "X_FILE: ")
	x.write(t, "bad")
	require.ErrorContains(t, x.open(), "X_FILE="+x.path+": line 1: bad")
	_, err := Open(Options{})
	require.ErrorContains(t, err, "required")
}

func TestABadFileKeepsThePreviousContent(t *testing.T) {
	x := opened(t, "one")
	x.Reread()
	require.NotContains(t, x.log.String(), "loaded", "the same content")
	x.write(t, "bad")
	x.Reread()
	x.Reread()
	require.EqualValues(t, 1, x.failures.Load(), "counted once")
	require.Contains(t, x.log.String(), "line 1: bad")
	require.NoError(t, os.Remove(x.path))
	x.Reread()
	x.Reread()
	require.EqualValues(t, 2, x.failures.Load(), "counted once")
	require.Equal(t, "one", *x.inForce.Load())
	x.write(t, "two")
	x.Reread()
	require.Equal(t, "two", *x.inForce.Load())
	require.EqualValues(t, 2, x.failures.Load())
}

func TestWithoutAFileNothingIsRead(t *testing.T) {
	x := &fixture{}
	require.NoError(t, x.open())
	require.Empty(t, *x.inForce.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, x.Run(ctx))
}

// TestFileBehindASymbolicLink is what Kubernetes does with a mounted ConfigMap; a rename
// over the file is what editors do.
func TestFileBehindASymbolicLink(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "x.yaml"), []byte(text), 0o600))
	}
	version("..1", "one")
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	x := &fixture{path: filepath.Join(dir, "x.yaml")}
	require.NoError(t, os.Symlink(filepath.Join("..data", "x.yaml"), x.path))
	require.NoError(t, x.open())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	is := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return *x.inForce.Load() == want }, time.Minute, 10*time.Millisecond)
	}
	version("..2", "two")
	require.NoError(t, os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	is("two")
	other := filepath.Join(dir, "new")
	require.NoError(t, os.WriteFile(other, []byte("three"), 0o600))
	require.NoError(t, os.Rename(other, x.path))
	is("three")
	cancel()
	require.NoError(t, <-done)
}

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestAFileIsReadSoonAfterAnEvent also has lost events, and a change without any.
func TestAFileIsReadSoonAfterAnEvent(t *testing.T) {
	x := opened(t, "one")
	synctest.Test(t, func(t *testing.T) {
		events, errs := make(chan fsnotify.Event), make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go x.follow(ctx, events, errs)
		pass(settleTime)
		for text, notify := range map[string]func(){
			"two":   func() { events <- fsnotify.Event{} },
			"three": func() { errs <- fsnotify.ErrEventOverflow },
		} {
			x.write(t, text)
			notify()
			pass(settleTime - 1)
			notify() // an editor that is not finished
			pass(settleTime - 1)
			require.NotEqual(t, text, *x.inForce.Load())
			pass(1)
			require.Equal(t, text, *x.inForce.Load())
		}
		x.write(t, "four")
		pass(rereadEvery)
		require.Equal(t, "four", *x.inForce.Load())
	})
}
