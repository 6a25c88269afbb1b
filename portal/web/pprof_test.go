package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfilesAreServedOnRequestOnly(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/profile?seconds=1"} {
		require.Equal(t, http.StatusNotFound, start(t, nil).get(path).status, path)
		a := start(t, func(o *Options) { o.Config.Pprof = true }).get(path)
		require.Equal(t, http.StatusOK, a.status, path)
		require.NotEmpty(t, a.body, path)
	}
}
