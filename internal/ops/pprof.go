package ops

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
)

// PprofConfig is the part of every program's environment that serves profiles.
type PprofConfig struct {
	Pprof bool `env:"OPS_PPROF" envDefault:"false" help:"serve /debug/pprof beside /metrics; that address has to be a loopback one then"`
}

// CheckPprof refuses profiles on an address that other machines reach: a profile shows
// memory and commands, and taking one costs CPU. addrVar is the variable addr came from.
func (cfg PprofConfig) CheckPprof(addr, addrVar string) error {
	host, _, _ := net.SplitHostPort(addr)
	if !cfg.Pprof || host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s=%s with OPS_PPROF=true: profiles are served on loopback addresses only, such as 127.0.0.1", addrVar, addr)
}

// handlePprof adds /debug/pprof.
func handlePprof(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
