package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// foreignVersions are constants that are named as versions and are none of what the product keeps.
var foreignVersions = map[string]string{
	"internal/kafka/committed.go fetchVersion": "of Kafka's protocol",
	"internal/wire/frame.go frameVersion2":     "the one before, which is read too",
}

// TestUpgradeTableHasTheVersionsOfTheCode, and every version that the code writes.
func TestUpgradeTableHasTheVersionsOfTheCode(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "upgrade.md"))
	require.NoError(t, err)
	listed := map[string]string{} // by file and constant
	for _, m := range regexp.MustCompile("(?m)^\\|[^|]+\\| (\\d+) \\| `([^`]+)`(?: `(\\w+)`)? \\|").FindAllStringSubmatch(string(doc), -1) {
		listed[strings.TrimSpace(m[2]+" "+m[3])] = m[1]
	}
	const tables = "portal/internal/store/migrations"
	require.Equal(t, strconv.Itoa(newestMigration(t, tables)), listed[tables], "tables of the portal")
	delete(listed, tables)

	declared := regexp.MustCompile(`(?m)^\s*(?:const\s+)?(\w*[vV]ersion\d*)\s*=\s*(\d+)\b`)
	found := 0
	for _, file := range goFiles(t) {
		name := relative(t, abs(t, file))
		if strings.HasSuffix(name, "_test.go") || judges(name) {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			key := filepath.ToSlash(name) + " " + m[1]
			if foreignVersions[key] != "" {
				continue
			}
			found++
			require.Equal(t, m[2], listed[key], "docs/upgrade.md has another version of %s, or none", key)
			delete(listed, key)
		}
	}
	require.Empty(t, listed, "docs/upgrade.md names constants that are gone")
	require.Greater(t, found, 6)
}

// newestMigration returns the number of the newest file, which both databases have.
func newestMigration(t *testing.T, dir string) (newest int) {
	t.Helper()
	for _, dialect := range []string{"postgres", "sqlite"} {
		files, err := os.ReadDir(filepath.Join(root, dir, dialect))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		number, _, _ := strings.Cut(files[len(files)-1].Name(), "_")
		n, err := strconv.Atoi(number)
		require.NoError(t, err)
		require.True(t, newest == 0 || newest == n, "both dialects have the same tables")
		newest = n
	}
	return newest
}
