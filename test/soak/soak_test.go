package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The whole harness for some seconds. That is too short for a verdict on memory.
func TestSoakWatchesARealPlant(t *testing.T) {
	results := t.TempDir()
	var out bytes.Buffer
	require.NoError(t, soak(t.Context(), options{
		For: 6 * time.Second, Every: 200 * time.Millisecond, Devices: 100, Interval: time.Second, Clients: 2,
		Dir: t.TempDir(), Results: results, Only: allInOne,
	}, &out))
	for name, want := range map[string]string{
		"samples.csv": "\nallinone,", "verdict.txt": "allinone", "heap-warm/allinone/allinone.pprof": "", "heap-end/allinone/allinone.pprof": "",
	} {
		found, err := filepath.Glob(filepath.Join(results, "*", name))
		require.NoError(t, err)
		require.Len(t, found, 1, name)
		content, err := os.ReadFile(found[0])
		require.NoError(t, err)
		require.NotEmpty(t, content)
		require.Contains(t, string(content), want)
	}
	require.Contains(t, out.String(), "RSS without garbage MB")
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-only=x"}, {"-for=0"}, {"-every=-1s"}, {"x"}} {
		_, err := parse(args, &bytes.Buffer{})
		require.Error(t, err, args)
	}
}
