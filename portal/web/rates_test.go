package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/people"
)

// TestFloodOfListsIsRefusedAndLiveValuesGoOn: a list of all devices costs more than one device, and who asks for
// lists without end keeps its live values.
func TestFloodOfListsIsRefusedAndLiveValuesGoOn(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Config.TrustedProxies, o.Config.RequestRate = []string{"127.0.0.1"}, 1 // ten at once
	})
	r.publish("gw", reading("d1", "A", r.portal.model.Now()))
	r.eventually("a device", func() bool { return r.portal.model.Stats().Devices.Total == 1 })
	from := []string{"X-Forwarded-For", "192.0.2.1"}
	ws, _, err := r.dial(r.portal.Addr(), http.Header{from[0]: {from[1]}})
	require.NoError(t, err)
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe_all"}`)))

	began, let := time.Now(), 0
	for range 100 {
		a := r.get("/api/v1/devices", from...)
		if a.status == http.StatusOK {
			let++
			continue
		}
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "rate_limited", a.failure(t).Code)
		require.Contains(t, []string{"1", "2", "3", "4", "5"}, a.header.Get("Retry-After"))
	}
	require.GreaterOrEqual(t, let, 2, "ten tokens are two lists")
	require.LessOrEqual(t, float64(let), 2+time.Since(began).Seconds()/sorting+1)
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices", from[0], "192.0.2.2").status, "others go on")

	now := r.portal.model.Now()
	r.publish("gw", reading("d1", "A", now))
	for arrived := false; !arrived; {
		arrived = strings.Contains(string(r.receive(ws).Payload), strconv.FormatInt(now, 10))
	}
}

// TestControlRoomStaysBelowTheLimit: ten pages behind one address, with what each asks for when it opens.
func TestControlRoomStaysBelowTheLimit(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Config.TrustedProxies, o.Config.RequestRate = []string{"127.0.0.1"}, 100 // the default
	})
	paths := []string{"/api/v1/rules", "/api/v1/views", "/api/v1/alerts/summary", "/api/v1/alerts/trend", "/api/v1/unusual", "/api/v1/dashboards", "/api/v1/processes"}
	for i := range 12 {
		paths = append(paths, fmt.Sprintf("/api/v1/devices/d%d/series", i))
	}
	for range 10 {
		for _, path := range paths {
			require.NotEqual(t, http.StatusTooManyRequests, r.get(path, "X-Forwarded-For", "192.0.2.1").status, path)
		}
	}
	require.Equal(t, http.StatusNotFound, r.get("/api/v1/nonsense", "X-Forwarded-For", "192.0.2.1").status)
	require.Contains(t, r.get("/metrics").body, `portal_rate_limit_total{limit="requests",result="allowed"} 191`, "each is counted, unknown paths too")
}

// TestCallersPayForThemselves: who is signed in pays from all addresses together, and others nothing for them. Who
// may not see anything pays by address.
func TestCallersPayForThemselves(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) {
		o.Config.TrustedProxies, o.Config.RequestRate = []string{"127.0.0.1"}, 1 // ten at once
	})
	person := r.signIn("viewer")
	secret, _, err := r.portal.people.AddToken(t.Context(), firstAdmin, people.NewToken{Name: "viewer", Role: people.Viewer, TTL: time.Hour})
	require.NoError(t, err)
	flood := func(from func(i int) string, want int, header ...string) {
		t.Helper()
		began, let := time.Now(), 0
		for i := range 50 {
			a := r.get("/api/v1/devices", append([]string{"X-Forwarded-For", from(i)}, header...)...)
			if a.status == want {
				let++
				continue
			}
			require.Equal(t, http.StatusTooManyRequests, a.status, a.body)
		}
		require.GreaterOrEqual(t, let, 2, "ten tokens are two lists")
		require.LessOrEqual(t, float64(let), 2+time.Since(began).Seconds()/sorting+1)
	}
	everywhere := func(i int) string { return fmt.Sprint("192.0.2.", i) }
	flood(everywhere, http.StatusOK, person...)
	flood(everywhere, http.StatusOK, "Authorization", "Bearer "+secret)
	flood(func(int) string { return "192.0.2.1" }, http.StatusUnauthorized)
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices", "X-Forwarded-For", "192.0.2.2").status)
}
