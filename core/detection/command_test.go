package detection_test

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/detection"
)

// command runs "core detect" and returns its exit code and what it wrote.
func command(tb testing.TB, args ...string) (code int, out, errs string) {
	tb.Helper()
	var o, e strings.Builder
	code = detection.Command(tb.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

// write writes a file of readings every minute; rows from a step on are labelled.
func write(tb testing.TB, separator string, label string, rows, step int) string {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, strings.Join([]string{"timestamp", "temperature", "anomaly"}, separator))
	rng := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for i := range rows {
		x, l := 20+0.1*rng.NormFloat64(), "0"
		if i >= step {
			x, l = x+5, label
		}
		fmt.Fprintln(&b, strings.Join([]string{at.Format("2006-01-02 15:04:05"), fmt.Sprintf("%.2f", x), l}, separator))
		at = at.Add(time.Minute)
	}
	name := filepath.Join(tb.TempDir(), "any name.csv")
	require.NoError(tb, os.WriteFile(name, []byte(b.String()), 0o600))
	return name
}

func TestRunJudgesAFile(t *testing.T) {
	const rows, step = 4000, 3000
	for _, separator := range []string{",", ";"} {
		code, out, errs := command(t, "run", "-file", write(t, separator, "1", rows, step))
		require.Zero(t, code, errs)
		got, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		require.NoError(t, err)
		require.Len(t, got, rows+1)
		require.Equal(t, []string{"time", "score", "verdict", "sensor", "kind", "low", "high"}, got[0])
		for i, row := range got[1:] {
			require.Equal(t, i >= step && i < step+1000, row[2] == "1", "row %d: %v", i, row)
		}
		require.Equal(t, "2026-03-04 02:00:00", got[1+step][0])
		require.Equal(t, "temperature", got[1+step][3])
		require.Equal(t, "spike", got[1+step][4])
		require.Equal(t, "level", got[1+step+100][4])
	}
}

func TestLabelsAreNotSeen(t *testing.T) {
	_, labelled, _ := command(t, "run", "-file", write(t, ",", "1", 4000, 3000))
	_, unlabelled, _ := command(t, "run", "-file", write(t, ",", "0", 4000, 3000))
	require.NotEmpty(t, labelled)
	require.Equal(t, labelled, unlabelled)
}

func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.csv")
	require.NoError(t, os.WriteFile(broken, []byte("time,a\n2026-01-01 00:00:00,warm\n"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "usage:"},
		{[]string{"guess"}, 2, `"guess" is not a command`},
		{[]string{"run"}, 2, "-file is missing"},
		{[]string{"run", "-file", "x.csv", "y.csv"}, 2, `unexpected "y.csv"`},
		{[]string{"run", "-file", "x.csv", "-settle", "0s"}, 2, "-settle=0s"},
		{[]string{"run", "-colour"}, 2, "-colour"},
		{[]string{"run", "-file", filepath.Join(t.TempDir(), "none.csv")}, 1, "none.csv"},
		{[]string{"run", "-file", broken}, 1, `broken.csv line 2 column 2 (a): "warm" is no finite number`},
	} {
		code, out, errs := command(t, c.args...)
		require.Equal(t, c.code, code, c.args)
		require.Contains(t, errs, c.says, c.args)
		require.Empty(t, out)
	}
	code, out, _ := command(t, "help")
	require.Zero(t, code)
	require.Contains(t, out, "core detect run")
}

func TestEvalPrintsTheTables(t *testing.T) {
	nab := t.TempDir()
	series := write(t, ",", "1", 1500, 1200)
	data, err := os.ReadFile(series)
	require.NoError(t, err)
	unlabelled := strings.NewReplacer(",anomaly\n", "\n", ",0\n", "\n", ",1\n", "\n").Replace(string(data))
	require.NoError(t, os.WriteFile(filepath.Join(nab, "one.csv"), []byte(unlabelled), 0o600))
	labels := `{"one.csv": [["2026-03-02 19:50:00.000000", "2026-03-02 21:00:00.000000"]]}`
	require.NoError(t, os.WriteFile(filepath.Join(nab, "labels.json"), []byte(labels), 0o600))

	code, out, errs := command(t, "eval", "-nab", nab, "-nab-labels", filepath.Join(nab, "labels.json"), "-skab", filepath.Dir(series),
		"-devices", "10", "-days", "2", "-seeds", "1, 2", "-healthy=false")
	require.Zero(t, code, errs)
	for _, want := range []string{"## NAB", "1 of 1", "## SKAB", "## Simulated plants", "2 seeds", "| product |", "| always |", "| never |"} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "Without faults")
}

func TestEvalSaysWhatCannotBeMeasured(t *testing.T) {
	for want, args := range map[string][]string{
		"nothing to measure":    {"eval"},
		`"x" is no seed`:        {"eval", "-devices", "5", "-seeds", "x"},
		"-days from 2 on":       {"eval", "-devices", "5", "-days", "1"},
		"combined_windows.json": {"eval", "-nab", t.TempDir()},
		"column anomaly":        {"eval", "-skab", t.TempDir()},
	} {
		code, _, errs := command(t, args...)
		require.NotZero(t, code, args)
		require.Contains(t, errs, want, args)
	}
}
