package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// stopTimeout is how long a stopping server waits for responses in progress.
const stopTimeout = 2 * time.Second

// ServerOptions sets up the operations server of one program.
type ServerOptions struct {
	Addr     string // required, host:port; port 0 picks a free one
	AddrVar  string // the environment variable Addr came from, named when the port is taken
	Gatherer prometheus.Gatherer
	Pprof    PprofConfig
	// Ready returns nil while the program makes progress, otherwise the reason.
	Ready func() error
	// Log gets the HTTP server's own errors; nil keeps it silent. Its level is the one that /debug/loglevel changes.
	Log *slog.Logger
}

// Server serves /metrics, /livez, /readyz and /debug/loglevel, and /debug/pprof when asked to.
type Server struct {
	ln  net.Listener
	srv *http.Server
}

// NewServer binds the listener; Run serves it.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Gatherer == nil {
		return nil, errors.New("ops: ServerOptions.Gatherer is required")
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := o.Pprof.CheckPprof(o.Addr, o.AddrVar); err != nil {
		return nil, err
	}
	ln, err := Listen(o.Addr, o.AddrVar)
	if err != nil {
		return nil, err
	}
	return &Server{ln: ln, srv: &http.Server{
		Handler:           Handler(o.Gatherer, o.Ready, o.Pprof, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.With("component", "ops").Handler(), slog.LevelWarn),
	}}, nil
}

// Handler returns the operations routes. Metrics are in the form of OpenMetrics, with exemplars, for who asks for it. What tells of the plant, metrics and the reason why a program is not ready,
// is for this machine and for who has the token; the level of log, if it is one of NewLogger, for this machine alone.
func Handler(g prometheus.Gatherer, ready func() error, profiles PprofConfig, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	a := access{profiles.OpsToken}
	readyText := "ready"
	if len(profiles.Insecure) > 0 {
		readyText += ", INSECURE=" + strings.Join(profiles.Insecure, ",")
	}
	mux.Handle("GET /metrics", a.only(promhttp.HandlerFor(prometheus.Gatherers{profiles.Gatherer(g), readiness(ready)}, promhttp.HandlerOpts{EnableOpenMetrics: true})))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		var err error
		if ready != nil {
			err = ready()
		}
		switch full := a.allows(r); {
		case err != nil && full:
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		case full:
			fmt.Fprintln(w, readyText)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
	handleLevel(mux, log)
	if profiles.Pprof {
		handlePprof(mux, a)
	}
	return mux
}

// readiness is the metric of what /readyz answers. It has a registry of its own, since programs of one process share theirs.
func readiness(ready func() error) prometheus.Gatherer {
	own := prometheus.NewRegistry()
	own.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "iot_ready", Help: "1 while the program makes progress, as /readyz says, else 0.",
	}, func() float64 {
		if ready != nil && ready() != nil {
			return 0
		}
		return 1
	}))
	return own
}

// Addr returns the bound address.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Run serves until ctx ends, then closes within two seconds.
func (s *Server) Run(ctx context.Context) error { return Serve(ctx, s.srv, s.ln, "operations") }

// Serve serves what until ctx ends, then closes within two seconds.
func Serve(ctx context.Context, srv *http.Server, ln net.Listener, what string) error {
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving %s on %s: %w", what, ln.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := srv.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close() // slow clients have had their time
	}
	if serve := <-done; !errors.Is(serve, http.ErrServerClosed) {
		err = errors.Join(err, serve)
	}
	if err != nil {
		return fmt.Errorf("closing %s on %s: %w", what, ln.Addr(), err)
	}
	return nil
}

// Close releases the listener of a server that was never run. A second call is harmless.
func (s *Server) Close() error {
	if err := s.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing %s: %w", s.Addr(), err)
	}
	return nil
}

// Listen binds addr for TCP. The error names the environment variable to change.
func Listen(addr, envVar string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err == nil {
		return ln, nil
	}
	if envVar == "" {
		envVar = "address"
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s=%s: another program uses this port: %w", envVar, addr, err)
	}
	return nil, fmt.Errorf("%s=%s: cannot listen there: %w", envVar, addr, err)
}
