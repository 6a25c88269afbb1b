package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"industrial-iot-monitor/internal/ops"
)

// serverLog forwards the server's log to slog. Its notices become debug lines, and a fatal
// one is kept as the reason why it did not start.
type serverLog struct {
	log        *slog.Logger
	died       atomic.Pointer[string]
	handshakes ops.LogLimit
}

func newServerLog(log *slog.Logger) *serverLog { return &serverLog{log: log} }

// fatal returns the server's fatal error, nil without one.
func (l *serverLog) fatal() error {
	if s := l.died.Load(); s != nil {
		return errors.New(*s)
	}
	return nil
}

// Noticef implements server.Logger.
func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats server", "detail", fmt.Sprintf(format, v...))
}

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats server", "detail", fmt.Sprintf(format, v...))
}

// Fatalf implements server.Logger. It does not end the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
	l.died.CompareAndSwap(nil, &s)
}

// Errorf implements server.Logger. A refused connection is a debug line: it may come several times a
// second, and the guard logs it in its own words, less often.
func (l *serverLog) Errorf(format string, v ...any) {
	text, level := fmt.Sprintf(format, v...), slog.LevelError
	if strings.Contains(text, "handshake error") { // a client that does not trust the certificate keeps trying
		l.handshake(text)
		return
	}
	if strings.Contains(text, "authentication error") {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "nats server", "detail", text)
}

func (l *serverLog) handshake(text string) {
	if skipped, ok := l.handshakes.Allow(); ok {
		l.log.Warn("a connection failed at TLS", "detail", text, "skipped", skipped)
	}
}

// Debugf implements server.Logger.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *serverLog) Tracef(string, ...any) {}
