package lifecycle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.True(t, Pause(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, Pause(ctx, time.Hour))
		require.Equal(t, time.Minute+time.Second, time.Since(start))
	})
}

func TestOutliveEndsSomeTimeAfterItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		life, cut := Outlive(ctx, time.Minute)
		defer cut()
		cancel()
		require.True(t, Pause(t.Context(), time.Minute-1))
		require.NoError(t, life.Err())
		require.True(t, Pause(t.Context(), 1))
		synctest.Wait()
		require.Error(t, life.Err())

		life, cut = Outlive(t.Context(), time.Minute)
		require.NoError(t, life.Err())
		cut()
		require.Error(t, life.Err())
	})
}
