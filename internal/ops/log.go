// Package ops is the operations side of every program: logs, the metrics registry with the
// process's own figures, and the HTTP server with /metrics, /livez, /readyz and /debug/pprof.
// Run blocks until its context ends; nothing else here blocks.
package ops

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// LogConfig is the part of every program's environment that sets its logs.
type LogConfig struct {
	Level  string `env:"LOG_LEVEL" envDefault:"info" help:"least severe level that is logged: debug, info, warn, error"`
	Format string `env:"LOG_FORMAT" envDefault:"text" help:"log format: text or json"`
}

// Logger is NewLogger, for configurations that embed LogConfig.
func (cfg LogConfig) Logger(w io.Writer) (*slog.Logger, error) { return NewLogger(cfg, w) }

// NewLogger returns a logger writing to w, whose newest warnings Warnings returns and whose level LevelOf. An unknown
// level or format is an error that names the variable.
func NewLogger(cfg LogConfig, w io.Writer) (*slog.Logger, error) {
	usual, err := ParseLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("LOG_LEVEL=%w", err)
	}
	level := &Level{usual: usual}
	o := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(cfg.Format) {
	case "text":
		return keep(slog.NewTextHandler(w, o), level), nil
	case "json":
		return keep(slog.NewJSONHandler(w, o), level), nil
	default:
		return nil, fmt.Errorf("LOG_FORMAT=%q: want text or json", cfg.Format)
	}
}
