//go:build monitoring

package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// divisor is by how much durations are shorter. A range has to hold several samples, one a second.
const divisor = 30

var (
	ruleDurations  = regexp.MustCompile(`(for: |\[)(\d+)([smhd])(\]|\n)`)
	alertDurations = regexp.MustCompile(`((?:group_wait|group_interval|repeat_interval): )(\d+)([smhd])(\n)`)
)

// shorten divides the durations that a pattern finds: what is before, digits, unit, what is after.
func shorten(t *testing.T, text string, durations *regexp.Regexp) string {
	t.Helper()
	found := 0
	text = durations.ReplaceAllStringFunc(text, func(s string) string {
		found++
		m := durations.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[3]]
		return m[1] + strconv.FormatInt((time.Duration(n)*unit/divisor).Milliseconds(), 10) + "ms" + m[4]
	})
	require.Positive(t, found, "the pattern fits the file")
	return text
}

// shortened writes the shipped file with its durations divided, and returns its path.
func shortened(t *testing.T, dir, file string, durations *regexp.Regexp, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	out := filepath.Join(dir, filepath.Base(file))
	short := strings.NewReplacer(replace...).Replace(shorten(t, string(text), durations))
	require.NoError(t, os.WriteFile(out, []byte(short), 0o600))
	return out
}

func TestDurationsAreDivided(t *testing.T) {
	t.Parallel()
	const rule = "expr: rate(a[5m]) > 60 and b > 300\nfor: 10m\n"
	require.Equal(t, "expr: rate(a[10000ms]) > 60 and b > 300\nfor: 20000ms\n", shorten(t, rule, ruleDurations))
}
