package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * day, "0": 0, "36h": 36 * time.Hour, "1d": day} {
		var a Age
		require.NoError(t, a.UnmarshalText([]byte(text)))
		require.Equal(t, want, time.Duration(a))
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "week", "-3h"} {
		require.ErrorIs(t, new(Age).UnmarshalText([]byte(text)), errAge, text)
	}
	require.Equal(t, "90d", Age(90*day).String())
	require.Equal(t, "36h0m0s", Age(36*time.Hour).String())
}
