package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"industrial-iot-monitor/internal/ops"
)

// leafConnectError is the prefix of the server's log line about an unreachable hub.
const leafConnectError = "Error trying to connect as leafnode"

// serverLog writes nats-server's log to slog, its notices at debug level. A fatal error,
// after which nats-server's own logger would exit the process, is kept for start.
type serverLog struct {
	log     *slog.Logger
	refused *refusals

	limit ops.LogLimit // of failed handshakes: with the hub there are four a second

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
	text := fmt.Sprintf(format, v...)
	if isHandshake(text) {
		l.handshake(text)
		return
	}
	l.log.Debug("NATS server notice", "text", text)
}

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("NATS server warning", "text", fmt.Sprintf(format, v...))
}

// Errorf implements server.Logger.
func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if isRefusal(text) {
		l.refused.add()
		l.log.Debug("NATS server error", "text", text) // the gateway logs it in its own words, less often
		return
	}
	if isHandshake(text) {
		l.handshake(text)
		return
	}
	level := slog.LevelError
	if strings.HasPrefix(format, leafConnectError) {
		level = slog.LevelWarn // the hub may be down at any time
	}
	l.log.Log(context.Background(), level, "NATS server error", "text", text)
}

// isRefusal recognises the log line of a leaf link that the hub refused; the server has
// no event for it.
func isRefusal(text string) bool {
	return strings.Contains(text, "Leafnode Error") && strings.Contains(text, "Authorization Violation")
}

// isHandshake recognises the log lines of a failed TLS, with the hub or a device.
func isHandshake(text string) bool {
	return strings.Contains(text, "handshake error") || strings.Contains(text, "TLS Handshake Failure")
}

func (l *serverLog) handshake(text string) {
	if skipped, ok := l.limit.Allow(); ok {
		l.log.Warn("TLS failed: the certificate is not trusted, or one side speaks no TLS", "err", text, "skipped", skipped)
	}
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
