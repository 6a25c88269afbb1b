package credential

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// TestSubjectsAreJudgedAsNATSDoes compares with the server, which the package is to do without.
func TestSubjectsAreJudgedAsNATSDoes(t *testing.T) {
	subjects := []string{"", ".", "a", "a.", ".a", "a..b", "a.b", "a.b.c", "a.*", "a.*.c", "*.b", "a.>", ">", "a.>.c", "a b", "a.\tb", "a.b>", "shellies.kitchen.status"}
	for _, filter := range subjects {
		require.Equal(t, server.IsValidSubject(filter), validSubject(filter), "%q", filter)
		if !validSubject(filter) {
			continue
		}
		for _, subject := range subjects {
			if server.IsValidLiteralSubject(subject) {
				require.Equal(t, server.SubjectMatchesFilter(subject, filter), matches(subject, filter), "%q of %q", subject, filter)
			}
		}
	}
}

// TestTwoSecretsHoldAtMost: the newest, and the one of before.
func TestTwoSecretsHoldAtMost(t *testing.T) {
	c := Credential{ID: "d1", Kind: Secret}
	var secrets []string
	for range 3 {
		was := c
		secret, err := c.Draw()
		require.NoError(t, err)
		require.NoError(t, c.Check())
		require.Len(t, was.Hashes, min(len(secrets), MaxHashes), "a copy stays as it is")
		secrets = append(secrets, secret)
	}
	require.Nil(t, c.Hash(secrets[0]))
	require.NotNil(t, c.Hash(secrets[1]))
	require.NotNil(t, c.Hash(secrets[2]))
}
