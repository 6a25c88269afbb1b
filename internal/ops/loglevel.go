package ops

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"industrial-iot-monitor/internal/listen"
)

const (
	levelPath = "/debug/loglevel"
	// levelFor is how long a level that is set here holds unless the request says otherwise, levelForMost at most.
	levelFor     = 15 * time.Minute
	levelForMost = 24 * time.Hour
)

// handleLevel adds /debug/loglevel: GET answers with the level of the log, PUT sets it for a time; from this machine alone.
func handleLevel(mux *http.ServeMux, log *slog.Logger) {
	level := LevelOf(log)
	if level == nil {
		return
	}
	mux.HandleFunc("GET "+levelPath, onThisMachine(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, level.text()) }))
	mux.HandleFunc("PUT "+levelPath, onThisMachine(func(w http.ResponseWriter, r *http.Request) {
		change, err := readLevelChange(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		level.Set(change)
		log.Info("log level changed", "component", "ops", "log_level", strings.ToLower(change.Level.String()), "by", change.By, "until", change.Until)
		fmt.Fprintln(w, level.text())
	}))
}

// text says the level in force, and until when if it was changed.
func (l *Level) text() string {
	usual := strings.ToLower(l.usual.String())
	c := l.Changed()
	if c == nil {
		return usual
	}
	return fmt.Sprintf("%s until %s, then %s", strings.ToLower(c.Level.String()), c.Until.Format(time.RFC3339), usual)
}

// readLevelChange reads the level in the body, and the query parameter for.
func readLevelChange(r *http.Request) (c LevelChange, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16))
	if err != nil {
		return c, fmt.Errorf("reading the level: %w", err)
	}
	if c.Level, err = ParseLevel(strings.TrimSpace(string(body))); err != nil {
		return c, err
	}
	hold := levelFor
	if text := r.URL.Query().Get("for"); text != "" {
		if hold, err = time.ParseDuration(text); err != nil || hold < time.Second || hold > levelForMost {
			return c, fmt.Errorf("for=%q: want a duration from 1s to %s, such as 1h", text, levelForMost)
		}
	}
	c.By, c.Until = "localhost", time.Now().Add(hold)
	return c, nil
}

// onThisMachine refuses requests from other machines, and those of web pages whose name was pointed at this one.
func onThisMachine(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !local(r) || !listen.Loopback(net.JoinHostPort(host, "0")) {
			http.Error(w, levelPath+" is for this machine alone: ask http://127.0.0.1", http.StatusForbidden)
			return
		}
		h(w, r)
	}
}
