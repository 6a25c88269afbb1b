package ops

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"

	"industrial-iot-monitor/internal/config"
)

// access decides who sees what tells of the plant.
type access struct{ token config.Secret }

// allows reports whether a request comes from this machine or has the token.
func (a access) allows(r *http.Request) bool {
	if local(r) {
		return true
	}
	return HasToken(r, a.token)
}

// HasToken reports whether a request has the token, as Authorization: Bearer; false for an empty token.
func HasToken(r *http.Request, token config.Secret) bool {
	sent, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return false
	}
	got, want := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(token)) // of one length
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// only returns h for those whom access allows.
func (a access) only(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.allows(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "send Authorization: Bearer with the OPS_TOKEN of this program", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// local reports whether a request comes from this machine, and not by a proxy on it.
func local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(header)) > 0 {
			return false
		}
	}
	return true
}
