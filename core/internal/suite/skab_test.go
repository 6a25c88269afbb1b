package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeTable writes a table of one sensor whose value is 1 where value has an x, with the labels of
// label.
func writeTable(tb testing.TB, path, value, label string) {
	tb.Helper()
	var b strings.Builder
	b.WriteString("datetime;s;anomaly;changepoint\n")
	for i := range value {
		fmt.Fprintf(&b, "%d;%d;%d;0\n", 1_600_000_000+i, bit(value[i]), bit(label[i]))
	}
	require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(tb, os.WriteFile(path, []byte(b.String()), 0o600))
}

func bit(c byte) int {
	if c == 'x' {
		return 1
	}
	return 0
}

// echo calls a row unusual whose value is 1.
type echo struct{ rows int }

func (e *echo) Row(_ int64, values []float64) (score float64, unusual bool) {
	e.rows++
	return values[0], values[0] > 0.5
}

func TestSKABCountsAsByHand(t *testing.T) {
	dir := t.TempDir()
	// 2 of 4 anomalous rows, 1 row late, found; a false event of 2 rows.
	writeTable(t, filepath.Join(dir, "a", "1.csv"), "xx...xx....", "....xxxx...")
	// Two events: one not found, one found at once, judged one row too long.
	writeTable(t, filepath.Join(dir, "b.CSV"), "......xxx.", "..xx..xx..")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "free.csv"), []byte("t;s\n1600000000;1\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "readme.txt"), []byte("none"), 0o600))

	r, err := SKAB(dir, func() Judge { return &echo{} })
	require.NoError(t, err)
	require.Len(t, r.Files, 2, "a table without labels is not scored")
	assert.Equal(t, filepath.Join("a", "1.csv"), r.Files[0].Name)
	assert.Equal(t, Confusion{TP: 2, FP: 2, FN: 2, TN: 5}, r.Files[0].Confusion)
	assert.Equal(t, []int{1}, r.Files[0].Delays)
	assert.Equal(t, Confusion{TP: 2, FP: 1, FN: 2, TN: 5}, r.Files[1].Confusion)
	assert.Equal(t, Confusion{TP: 4, FP: 3, FN: 4, TN: 10}, r.Confusion)
	assert.InDelta(t, 8.0/15, r.F1(), 1e-9)
	assert.InDelta(t, 300.0/13, r.FAR(), 1e-9)
	assert.InDelta(t, 50, r.MAR(), 1e-9)
	assert.InDelta(t, 4.0/7, r.Precision(), 1e-9)
	assert.InDelta(t, 0.5, r.Recall(), 1e-9)
	assert.Equal(t, []int{3, 2, 1, 1}, []int{r.Events, r.Found, r.False, r.Delay})
	assert.LessOrEqual(t, r.F1CI.Low, r.F1())
	assert.GreaterOrEqual(t, r.F1CI.High, r.F1())

	again, err := SKAB(dir, func() Judge { return &echo{} })
	require.NoError(t, err)
	assert.Equal(t, r, again, "the bootstrap is seeded")
}

func TestSKABPerfectAlwaysAndNever(t *testing.T) {
	dir := t.TempDir()
	writeTable(t, filepath.Join(dir, "1.csv"), "..xx......", "..xx......")
	writeTable(t, filepath.Join(dir, "2.csv"), "xxxx......", "xxxx......")
	want := map[string][3]float64{"perfect": {1, 0, 0}, "always": {12.0 / 26, 100, 0}, "never": {0, 0, 100}}
	for _, c := range append(SKABBaselines(), Candidate{"perfect", func() Judge { return &echo{} }}) {
		r, err := SKAB(dir, c.New)
		require.NoError(t, err)
		if w, ok := want[c.Name]; ok {
			got := [3]float64{r.F1(), r.FAR(), r.MAR()}
			assert.InDeltaSlice(t, w[:], got[:], 1e-9, c.Name)
			delete(want, c.Name)
		}
	}
	assert.Empty(t, want)
}

func TestSKABGivesEachTableItsOwnDetector(t *testing.T) {
	dir := t.TempDir()
	writeTable(t, filepath.Join(dir, "1.csv"), "...", "..x")
	writeTable(t, filepath.Join(dir, "2.csv"), ".....", "..x..")
	var all []*echo
	_, err := SKAB(dir, func() Judge {
		all = append(all, &echo{})
		return all[len(all)-1]
	})
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, []int{3, 5}, []int{all[0].rows, all[1].rows})
}

func TestSKABLeaveOneOutDoesNotSeeTheFileItScores(t *testing.T) {
	dir := t.TempDir()
	// On 1 and 2 echo is right; on 3 it is always wrong, but it is chosen by 1 and 2.
	writeTable(t, filepath.Join(dir, "1.csv"), "..xxxxx...", "..xxxxx...")
	writeTable(t, filepath.Join(dir, "2.csv"), "..xxxxx...", "..xxxxx...")
	writeTable(t, filepath.Join(dir, "3.csv"), "xxx...xxxx", "...xxx....")
	candidates := []Candidate{
		{"always", func() Judge { return flat(1) }},
		{"echo", func() Judge { return &echo{} }},
	}
	r, chosen, err := SKABLeaveOneOut(dir, candidates)
	require.NoError(t, err)
	assert.Equal(t, Confusion{FP: 7, FN: 3}, r.Files[2].Confusion)
	assert.Equal(t, map[string]int{"always": 2, "echo": 1}, chosen, "without 1 or 2 always is better")
}

func TestSKABNamesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	_, err := SKAB(dir, func() Judge { return &echo{} })
	require.ErrorIs(t, err, ErrNoTables)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.csv"), []byte("t;s\nnever;1\n"), 0o600))
	_, err = SKAB(dir, func() Judge { return &echo{} })
	require.ErrorIs(t, err, ErrTable)
	assert.ErrorContains(t, err, "x.csv line 2")
}

func TestSigmaBaselineSeesAStep(t *testing.T) {
	for _, c := range SKABBaselines()[2:] {
		j := c.New()
		for i := range 200 {
			_, unusual := j.Row(int64(i), []float64{float64(i % 3)})
			assert.False(t, unusual)
		}
		_, unusual := j.Row(200, []float64{50})
		assert.True(t, unusual, c.Name)
	}
}
