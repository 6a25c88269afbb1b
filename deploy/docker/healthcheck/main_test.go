package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExitCodeFollowsTheAnswer(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not ready: no hub", status)
	}))
	defer s.Close()

	var out bytes.Buffer
	require.Equal(t, 0, run([]string{s.URL + "/readyz"}, &out))

	status = http.StatusServiceUnavailable
	out.Reset()
	require.Equal(t, 1, run([]string{s.URL + "/readyz"}, &out))
	require.Equal(t, "not ready: no hub\n", out.String(), "the reason is shown")
}

func TestNoAnswerIsUnhealthy(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL
	s.Close()
	for _, args := range [][]string{{url}, {"://"}, {}, {"a", "b"}} {
		var out bytes.Buffer
		require.Equal(t, 1, run(args, &out), "%q", args)
		require.NotEmpty(t, out.String(), "%q", args)
	}
}
