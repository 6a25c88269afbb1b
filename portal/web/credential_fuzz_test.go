package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// FuzzCredential sends invented text, as the cookie of a session, as a token and as the header of a proxy.
func FuzzCredential(f *testing.F) {
	r := signedInRig(f, func(o *Options) { o.Config.RequestRate = 0 })
	handle := r.portal.app.Handler()
	for _, text := range []string{"", "iots_", "iotp_unknown", "a; " + plainCookie + "=b", plainCookie + "=\"x\"", "é\x00\r\nX-Forwarded-User: admin", "admin"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for header, value := range map[string]string{
			"Cookie": plainCookie + "=" + text, "cookie": text, "Authorization": "Bearer " + text, "authorization": text, "X-Forwarded-User": text,
		} {
			var c fasthttp.RequestCtx
			c.Request.SetRequestURI("/api/v1/devices")
			c.Request.Header.SetHost(r.portal.Addr())
			c.Request.Header.Set(header, value)
			handle(&c)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusBadRequest}, c.Response.StatusCode(), "%s: %q: %s", header, value, c.Response.Body())
		}
	})
}
