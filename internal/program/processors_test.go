package program

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessorsFollowTheLoad(t *testing.T) {
	quietly := slices.Repeat([]float64{0.19}, calmLooks)
	for name, tt := range map[string]struct {
		all  int
		used []float64
		want int
	}{
		"at the start":                  {4, nil, 4},
		"quiet for a moment":            {4, quietly[1:], 4},
		"quiet":                         {4, quietly, 1},
		"neither quiet nor busy, after": {4, append(slices.Clone(quietly), 0.39), 1},
		"busy":                          {4, append(slices.Clone(quietly), 0.4), 4},
		"a pause in the work":           {4, append(append(slices.Clone(quietly), 3.5), quietly[1:]...), 4},
		"the end of the work":           {4, append(append(slices.Clone(quietly), 3.5), quietly...), 1},
		"pauses with work between them": {4, append(append(slices.Clone(quietly[1:]), 0.2), quietly[1:]...), 4},
		"a machine of one":              {1, append(slices.Clone(quietly), 0.9), 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := scheduler{all: tt.all, now: tt.all}
			for _, used := range tt.used {
				s.next(used)
			}
			require.Equal(t, tt.want, s.now)
		})
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
