package people_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/people"
)

// TestAClockThatIsSetBringsNothingBack: what was ended stays so, back and forth; sessions end early at most.
func TestAClockThatIsSetBringsNothingBack(t *testing.T) {
	t.Parallel()
	d, s, c := plant(t)
	running(t, d.Run)
	ended, kept := signIn(t, d, "Wang", home), signIn(t, d, "Li", home)
	revoked, token, err := d.AddToken(t.Context(), "Li", people.NewToken{Name: "ci", Role: people.Viewer, TTL: 24 * time.Hour})
	require.NoError(t, err)
	require.NoError(t, d.SignOut(t.Context(), ended))
	require.NoError(t, d.RevokeToken(t.Context(), "Li", token.ID))
	for _, by := range []time.Duration{-time.Hour, 2 * time.Hour, -24 * time.Hour} {
		c.advance(by)
		for _, portal := range []*people.Directory{d, directory(t, s.People(), c)} { // this one, and one that has started since
			for _, credential := range []string{ended, revoked} {
				_, err := portal.Check(t.Context(), credential, false)
				require.ErrorIs(t, err, people.ErrNotSignedIn, by)
			}
			if _, err := portal.Check(t.Context(), kept, false); err != nil {
				require.ErrorIs(t, err, people.ErrNotSignedIn, by)
			}
		}
	}
}
