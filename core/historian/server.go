package historian

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"industrial-iot-monitor/core/internal/prom"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/ops"
)

const (
	// questions, exports and replays bound those answered at the same time, and so their memory. A
	// question does not wait for exports and replays, which take long.
	questions = 4
	exports   = 2
	replays   = 2
	// answerTime is the longest that an answer may take, and exportPause that a client of an
	// export may take none of it.
	answerTime  = 30 * time.Second
	exportPause = 30 * time.Second
)

func (h *Historian) server() *http.Server {
	mux := http.NewServeMux()
	take := func(turn chan struct{}, f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if why := h.refused.Load(); why != nil {
				http.Error(w, *why, http.StatusServiceUnavailable)
				return
			}
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-r.Context().Done():
				return
			}
			h.answer(w, r, f)
		}
	}
	asked := make(chan struct{}, questions)
	mux.HandleFunc("GET "+history.SeriesPath, take(asked, h.series))
	mux.HandleFunc("GET "+history.DetectPath, take(make(chan struct{}, replays), h.detect))
	mux.HandleFunc("GET "+history.StatusPath, take(asked, h.status))
	mux.HandleFunc("GET "+history.ExportPath, take(make(chan struct{}, exports), h.export))
	mux.Handle(prom.Prefix+"/", h.promql())
	mux.HandleFunc("GET "+history.ProgressPath, h.progress)
	return &http.Server{
		Handler: h.authenticated(mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
}

// authenticated passes requests with CORE_HISTORY_TOKEN to next, or all if that is not set.
func (h *Historian) authenticated(next http.Handler) http.Handler {
	if h.o.Config.Token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ops.HasToken(r, h.o.Config.Token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "send Authorization: Bearer with CORE_HISTORY_TOKEN; a portal has it as PORTAL_HISTORY_TOKEN", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// questionError is a question that cannot be answered.
type questionError struct{ error }

// answer runs a handler that has written nothing when it returns an error.
func (h *Historian) answer(w http.ResponseWriter, r *http.Request, f func(w http.ResponseWriter, r *http.Request) error) {
	err := f(w, r)
	var bad questionError
	switch {
	case err == nil, r.Context().Err() != nil:
	case errors.As(err, &bad):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		h.log.Warn("a question about the history was not answered", "path", r.URL.Path, "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (h *Historian) series(w http.ResponseWriter, r *http.Request) error {
	q, err := history.ParseQuery(r.URL.Query())
	if err = errors.Join(err, q.Check()); err != nil {
		return questionError{err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	a, err := h.keeper.Series(ctx, &q)
	if err != nil {
		return err
	}
	return reply(w, a)
}

func (h *Historian) status(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	s, err := h.keeper.Status(ctx)
	if err != nil {
		return err
	}
	s.Behind = h.lag()
	return reply(w, s)
}

func reply(w http.ResponseWriter, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // the client has gone
	return nil
}

// export streams readings. One that fails on the way ends without its last chunk, which the client
// sees.
func (h *Historian) export(w http.ResponseWriter, r *http.Request) error {
	q, err := history.ParseExportQuery(r.URL.Query())
	if err = errors.Join(err, q.Check()); err != nil {
		return questionError{err}
	}
	control := http.NewResponseController(w)
	out := bufio.NewWriterSize(&patient{w, control}, 64<<10)
	w.Header().Set("Content-Type", history.ContentType(q.Format))
	e := newExporter(q.Format, out)
	step, done := h.exports.follow(&q)
	defer done()
	if err = e.begin(); err == nil {
		err = h.keeper.Export(r.Context(), &q, step(e.block))
	}
	if err == nil {
		err = e.end()
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		if r.Context().Err() == nil {
			h.log.Warn("an export of the history ended early", "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// patient writes to a client as long as it takes some now and then.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(exportPause)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}
