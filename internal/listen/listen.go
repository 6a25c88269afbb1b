// Package listen holds the start rule: a port that other machines reach asks for authentication and speaks TLS,
// unless INSECURE allows otherwise. It checks settings: it opens no port and blocks on nothing.
package listen

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Words of INSECURE.
const (
	Anonymous = "anonymous" // other machines may connect without authentication
	Plaintext = "plaintext" // other machines may connect without TLS
)

// Words returns all words of INSECURE.
func Words() []string { return []string{Anonymous, Plaintext} }

// Rule is the part of every program's environment that lifts the rule.
type Rule struct {
	Insecure []string `env:"INSECURE" envSeparator:"," help:"comma-separated list of what other machines may do where this program listens beyond loopback: anonymous, connect without authentication; plaintext, connect without TLS; what is missing there keeps the program from starting"`
}

// Port is an address that a program listens on.
type Port struct {
	Variable, Addr string // host:port, as set; an empty one is not listened on
	// Proof names what to set for authentication, Encryption what to set for TLS; each is empty if that is set, or
	// if the port needs none.
	Proof, Encryption string
}

var errWord = fmt.Errorf("want some of %s", strings.Join(Words(), ", "))

// CheckPorts returns an error for each lack of authentication or TLS that INSECURE does not allow; each names the
// variable to set.
func (r Rule) CheckPorts(ports ...Port) error {
	for _, word := range r.Insecure {
		if !slices.Contains(Words(), word) {
			return fmt.Errorf("INSECURE=%s: %w", strings.Join(r.Insecure, ","), errWord)
		}
	}
	var errs []error
	for _, p := range ports {
		if p.Addr == "" || Loopback(p.Addr) {
			continue
		}
		if p.Proof != "" && !slices.Contains(r.Insecure, Anonymous) {
			errs = append(errs, fmt.Errorf("%s=%s can be reached from other machines without authentication: set %s, or INSECURE=%s to allow it", p.Variable, p.Addr, p.Proof, Anonymous))
		}
		if p.Encryption != "" && !slices.Contains(r.Insecure, Plaintext) {
			errs = append(errs, fmt.Errorf("%s=%s can be reached from other machines without TLS: set %s, or INSECURE=%s to allow it", p.Variable, p.Addr, p.Encryption, Plaintext))
		}
	}
	return errors.Join(errs...)
}

// Loopback reports whether only this machine reaches addr, host:port. No host is every interface, and a name
// other than localhost may resolve to any address.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// Warn logs that INSECURE is set.
func (r Rule) Warn(log *slog.Logger) {
	if len(r.Insecure) > 0 {
		log.Warn("INSECURE is set: other machines may connect without authentication or without TLS", "insecure", strings.Join(r.Insecure, ","))
	}
}

// Gatherer returns g with the metric iot_insecure.
func (r Rule) Gatherer(g prometheus.Gatherer) prometheus.Gatherer {
	insecure := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "iot_insecure",
		Help: "1 for each word of INSECURE: what other machines may do where the program listens beyond loopback.",
	}, []string{"what"})
	for _, word := range Words() {
		insecure.WithLabelValues(word).Set(0)
	}
	for _, word := range r.Insecure {
		insecure.WithLabelValues(word).Set(1)
	}
	own := prometheus.NewRegistry()
	own.MustRegister(insecure)
	return prometheus.Gatherers{g, own}
}
