package operators

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move.
type clock struct{ at time.Time }

func newBoard() (*Board, *clock) {
	c := &clock{time.UnixMilli(1_700_000_000_000)}
	b := New("a:8080")
	b.now = func() time.Time { return c.at }
	return b, c
}

func TestOperatorWithSeveralScreensIsListedOnce(t *testing.T) {
	b, c := newBoard()
	first := b.Join("")
	require.Equal(t, []Operator{{Since: 1_700_000_000_000, Portal: "a:8080", Screens: 1}}, b.List())
	c.at = c.at.Add(time.Second)
	second := b.Join("")
	first.Rename("  李工 ")
	second.Rename("李工")
	b.Join("王工")
	require.Equal(t, []Operator{
		{"李工", 1_700_000_000_000, "a:8080", 2}, {"王工", 1_700_000_001_000, "a:8080", 1},
	}, b.List())
	first.Leave()
	first.Rename("nobody")
	require.Equal(t, Operator{"李工", 1_700_000_001_000, "a:8080", 1}, b.List()[0])
	second.Leave()
	second.Leave()
	names, screens := b.Count()
	require.Equal(t, []int{1, 1}, []int{names, screens})
}

func TestNameOfAProxyStays(t *testing.T) {
	b, _ := newBoard()
	b.Join("王工").Rename("somebody else")
	require.Equal(t, "王工", b.List()[0].Name)
}

func TestNamesAreFitToBeShown(t *testing.T) {
	b, _ := newBoard()
	s := b.Join("")
	for given, want := range map[string]string{
		"a\x00b\nc\xff": "abc", " ": "", strings.Repeat("工", 100): strings.Repeat("工", 42),
	} {
		s.Rename(given)
		require.Equal(t, want, b.List()[0].Name)
	}
}

func TestOthersAreShownWhileTheyAreHeardOf(t *testing.T) {
	b, c := newBoard()
	b.Join("a")
	b.SetOthers([]Operator{{"", 5, "b:8080", 3}, {"a", 7, "b:8080", 1}, {"c", 7, "b:8080", 1}}, 10*time.Second)
	names := []string{}
	for _, o := range b.List() {
		names = append(names, o.Name+"@"+o.Portal)
	}
	require.Equal(t, []string{"a@a:8080", "a@b:8080", "c@b:8080", "@b:8080"}, names)
	n, screens := b.Count()
	require.Equal(t, []int{2, 6}, []int{n, screens})
	require.Len(t, b.Own(), 1)
	c.at = c.at.Add(10 * time.Second)
	require.Len(t, b.List(), 1)
}
