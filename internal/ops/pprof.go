package ops

import (
	"fmt"
	"net/http"
	"net/http/pprof"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/listen"
)

// PprofConfig is the part of every program's environment about its operations endpoints, and INSECURE.
type PprofConfig struct {
	listen.Rule

	OpsToken config.Secret `env:"OPS_TOKEN" help:"who sends it as Authorization: Bearer sees /metrics and the reason in /readyz from other machines too; empty: only this machine does"`
	Pprof    bool          `env:"OPS_PPROF" envDefault:"false" help:"serve /debug/pprof beside /metrics; that address has to be a loopback one then"`
}

// CheckPprof refuses profiles on an address that other machines reach: a profile shows
// memory and commands, and taking one costs CPU. addrVar is the variable addr came from.
func (cfg PprofConfig) CheckPprof(addr, addrVar string) error {
	if !cfg.Pprof || listen.Loopback(addr) {
		return nil
	}
	return fmt.Errorf("%s=%s with OPS_PPROF=true: profiles are served on loopback addresses only, such as 127.0.0.1", addrVar, addr)
}

// OpsPort returns the port of the operations endpoints for the start rule. Plain HTTP is enough there: without the
// token they tell readiness alone, with it figures; what they change, the level of the log, only this machine changes.
func (cfg PprofConfig) OpsPort(variable, addr string) listen.Port {
	p := listen.Port{Variable: variable, Addr: addr}
	if cfg.OpsToken == "" {
		p.Proof = "OPS_TOKEN"
	}
	return p
}

// handlePprof adds /debug/pprof.
func handlePprof(mux *http.ServeMux, a access) {
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("GET /debug/pprof/"+path, a.only(h))
	}
}
