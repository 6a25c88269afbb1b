package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnswersAreCountedByClass: errors of handlers and of the router, too; probes and scrapes are left out.
func TestAnswersAreCountedByClass(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	before := r.get("/metrics").body
	require.Contains(t, before, "\niot_ready ")
	require.Contains(t, before, `portal_http_requests_total{class="5xx"} 0`)
	require.Equal(t, http.StatusOK, r.get("/api/openapi.json").status)
	require.Equal(t, http.StatusNotFound, r.get("/api/v1/nothing").status)
	require.Equal(t, http.StatusBadRequest, r.get("/api/v1/devices?limit=x").status)
	require.Equal(t, http.StatusOK, r.get("/livez").status)
	after := r.get("/metrics").body
	require.Contains(t, after, `portal_http_requests_total{class="4xx"} 2`)
	require.Contains(t, after, `portal_http_requests_total{class="5xx"} 0`)
	require.Contains(t, after, `portal_http_requests_total{class="2xx"} 1`)
}
