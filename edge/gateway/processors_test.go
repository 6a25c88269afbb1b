package gateway

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessorsFollowTheLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		have, all int
		used      float64
		want      int
	}{
		"idle":                        {4, 4, 0.01, 1},
		"ordinary load":               {1, 4, 0.39, 1},
		"growing":                     {1, 4, 0.5, 1},
		"busy":                        {1, 4, 0.6, 4},
		"on all of them":              {4, 4, 3.5, 4},
		"shrinking":                   {4, 4, 0.5, 4},
		"quiet again":                 {4, 4, 0.3, 1},
		"a machine of one":            {1, 1, 0.9, 1},
		"a machine of one, when idle": {1, 1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, processors(tt.have, tt.all, tt.used)) })
	}
}

func TestBalanceGivesTheProcessorsBack(t *testing.T) {
	all := runtime.GOMAXPROCS(0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- balance(ctx) }()
	require.Eventually(t, func() bool { return runtime.GOMAXPROCS(0) == 1 }, waitTimeout, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, all, runtime.GOMAXPROCS(0))
}
