package program

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
		"ordinary load":               {1, 4, 0.19, 1},
		"growing":                     {1, 4, 0.25, 1},
		"busy":                        {1, 4, 0.3, 4},
		"on all of them":              {4, 4, 3.5, 4},
		"shrinking":                   {4, 4, 0.2, 4},
		"quiet again":                 {4, 4, 0.19, 1},
		"a machine of one":            {1, 1, 0.9, 1},
		"a machine of one, when idle": {1, 1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, processors(tt.have, tt.all, tt.used)) })
	}
}

func TestBalanceGivesTheProcessorsBack(t *testing.T) {
	all := runtime.GOMAXPROCS(0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); balance(ctx) }()
	require.Eventually(t, func() bool { return runtime.GOMAXPROCS(0) == 1 }, time.Minute, 10*time.Millisecond)
	cancel()
	<-done
	require.Equal(t, all, runtime.GOMAXPROCS(0))
}
