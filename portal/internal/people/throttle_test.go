package people

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThrottleIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := newThrottle(func() time.Time { return now })
	for range 2 * freeTries {
		now = now.Add(longestDelay)
		th.begin("wang", "192.0.2.1", true)
	}
	for i := range mostThrottled/2 + 10 {
		th.begin(fmt.Sprint("name", i), fmt.Sprint("address", i), false)
	}
	require.Len(t, th.tries, mostThrottled)
	require.Positive(t, th.begin("wang", "192.0.2.2", false), "names that are tried once push none out that is tried often")
	now = now.Add(forgetAfter)
	require.Zero(t, th.begin("wang", "192.0.2.2", false))
}

func TestAttemptThatWasNotJudgedDoesNotCount(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := newThrottle(func() time.Time { return now })
	for range 2 * freeTries {
		require.Zero(t, th.begin("wang", "192.0.2.1", false))
		th.dropped("wang", "192.0.2.1")
	}
	require.Empty(t, th.tries)
}

func TestOddHashesMatchNothing(t *testing.T) {
	h := newHasher(8)
	for _, hash := range []string{
		"", "x", "$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=18$m=8,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=0,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=8,t=1,p=0$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4000000000,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=8,t=1,p=1$AAAA$", "$argon2id$v=19$m=8,t=1,p=1$!$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		ok, err := h.matches(t.Context(), "", hash)
		require.False(t, ok, hash)
		require.ErrorIs(t, err, errHash, hash)
	}
	require.Zero(t, h.done.Load())
	ok, err := h.matches(t.Context(), "password", h.nobodys)
	require.NoError(t, err)
	require.False(t, ok)
}
