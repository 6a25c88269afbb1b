package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
)

// leafConnectError begins the line that tells of a hub that cannot be reached.
const leafConnectError = "Error trying to connect as leafnode"

// serverLog puts nats-server's log lines into slog. Notices become debug lines: they
// tell of the server's inner life. A fatal line is kept for start to report, where
// nats-server's own logger would end the process.
type serverLog struct {
	log     *slog.Logger
	refused *refusals

	mu  sync.Mutex
	err error
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Noticef implements server.Logger.
func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats server notice", "text", fmt.Sprintf(format, v...))
}

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats server warning", "text", fmt.Sprintf(format, v...))
}

// Errorf implements server.Logger.
func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if isRefusal(text) {
		l.refused.add()
		l.log.Debug("nats server error", "text", text) // the gateway says it in plain words, and less often
		return
	}
	level := slog.LevelError
	if strings.HasPrefix(format, leafConnectError) {
		level = slog.LevelWarn // a hub that is not there yet is nothing out of the ordinary
	}
	l.log.Log(context.Background(), level, "nats server error", "text", text)
}

// isRefusal recognises the line that tells that the hub refused the leaf link. The
// server has no other way to say it.
func isRefusal(text string) bool {
	return strings.Contains(text, "Leafnode Error") && strings.Contains(text, "Authorization Violation")
}

// Fatalf implements server.Logger.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, fmt.Errorf(format, v...))
}

// Debugf implements server.Logger.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *serverLog) Tracef(string, ...any) {}

// ignoreMissing turns "does not exist" into nil.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
