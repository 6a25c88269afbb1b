package hub

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/wire"
)

// The table in the documentation and the configuration of an external hub give the same rights as the
// embedded one.
func TestRightsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/security.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(doc), "### Rights in the plant's account")
	require.True(t, found)
	conf, err := os.ReadFile("../../../deploy/nats/hub.conf")
	require.NoError(t, err)
	for _, role := range access.Roles() {
		row := regexp.MustCompile(`(?m)^\| ` + string(role) + ` \| ([^|]*) \| ([^|]*) \|$`).FindStringSubmatch(section)
		require.NotNil(t, row, role)
		require.ElementsMatch(t, rights[role].say, quoted(row[1], "`"), "%s says, in docs/security.md", role)
		require.ElementsMatch(t, rights[role].hear, quoted(row[2], "`"), "%s hears, in docs/security.md", role)

		_, user, found := strings.Cut(string(conf), "UKEY_OF_"+strings.ToUpper(string(role)))
		require.True(t, found)
		list := regexp.MustCompile(`(?s)publish: \[(.*?)\].*?subscribe: \[(.*?)\]`).FindStringSubmatch(user)
		require.NotNil(t, list, role)
		say := rights[role].say
		if role == access.RoleBridge {
			say = append([]string{"$JS.*.API.>", wire.DevicesSubject("*")}, say...) // by imports, in place of a connection into each account
		}
		require.ElementsMatch(t, say, quoted(list[1], `"`), "%s says, in hub.conf", role)
		require.ElementsMatch(t, rights[role].hear, quoted(list[2], `"`), "%s hears, in hub.conf", role)
	}
}

// quoted returns the parts of a text between quotes.
func quoted(text, quote string) []string {
	var out []string
	for i, part := range strings.Split(text, quote) {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}
