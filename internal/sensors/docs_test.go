package sensors

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables of docs/sensors.md")

const docs = "../../docs/sensors.md"

// TestKindsAndUnitsAreDocumented compares the tables of docs/sensors.md with the catalogue.
func TestKindsAndUnitsAreDocumented(t *testing.T) {
	b, err := os.ReadFile(docs)
	require.NoError(t, err)
	text := string(b)
	for _, part := range []struct{ from, to, want string }{
		{"-update -->\n", "<!-- end of kinds -->", kindsTable()},
		{"<!-- units -->\n", "<!-- end of units -->", unitsTable()},
	} {
		head, rest, ok := strings.Cut(text, part.from)
		require.True(t, ok, part.from)
		got, tail, ok := strings.Cut(rest, part.to)
		require.True(t, ok, part.to)
		if *update {
			text = head + part.from + part.want + part.to + tail
			continue
		}
		require.Equal(t, part.want, got, "run: go test ./internal/sensors -run Documented -update")
	}
	if *update {
		require.NoError(t, os.WriteFile(docs, []byte(text), 0o600))
	}
}

func kindsTable() string {
	var b strings.Builder
	b.WriteString("| kind | unit | 中文 | English | range | further names |\n|---|---|---|---|---|---|\n")
	for _, k := range Default().Kinds() {
		unit := k.Unit
		if k.Value != Number {
			unit = string(k.Value)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", k.Name, unit, k.Zh, k.En, span(k), code(k.Match))
	}
	return b.String()
}

func span(k *Kind) string {
	switch low, high := math.IsInf(k.Min, 0), math.IsInf(k.Max, 0); {
	case low && high:
		return ""
	case high:
		return fmt.Sprintf("from %v", k.Min)
	default:
		return fmt.Sprintf("%v to %v", k.Min, k.Max)
	}
}

func unitsTable() string {
	var b strings.Builder
	b.WriteString("| quantity | units |\n|---|---|\n")
	for _, q := range quantities {
		symbols := make([]string, len(q.units))
		for i, u := range q.units {
			symbols[i] = u.symbol
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", q.name, code(symbols))
	}
	return b.String()
}

func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "` `") + "`"
}
