package ops

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// Level is the least severe level that a logger writes. It can be changed for a time.
type Level struct {
	usual  slog.Level
	change atomic.Pointer[LevelChange]
}

// LevelChange is a change of a level for a time.
type LevelChange struct {
	Level slog.Level
	By    string    // operator
	Until time.Time // when the usual level is back
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// ParseLevel reads a level: debug, info, warn or error, in any case.
func ParseLevel(text string) (slog.Level, error) {
	level, ok := levels[strings.ToLower(text)]
	if !ok {
		return 0, fmt.Errorf("%q: want debug, info, warn or error", text)
	}
	return level, nil
}

// LevelOf returns the level of a logger from NewLogger, nil for another one. Loggers made from it
// by With share it.
func LevelOf(log *slog.Logger) *Level {
	if k, ok := log.Handler().(*keeper); ok {
		return k.level
	}
	return nil
}

// Set changes the level for a time; the usual one is back by itself.
func (l *Level) Set(c LevelChange) { l.change.Store(&c) }

// Usual returns the level that the environment sets.
func (l *Level) Usual() slog.Level { return l.usual }

// Changed returns the change in force, nil for none.
func (l *Level) Changed() *LevelChange {
	c := l.change.Load()
	if c == nil || !time.Now().Before(c.Until) {
		return nil
	}
	return c
}

// Level returns the level in force, as slog asks for it.
func (l *Level) Level() slog.Level {
	if c := l.Changed(); c != nil {
		return c.Level
	}
	return l.usual
}
