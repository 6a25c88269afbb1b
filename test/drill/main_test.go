package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/test/drill/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryFaultIsDescribed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, f := range faults() {
		t.Run(f.Name, func(t *testing.T) {
			require.Regexp(t, name, f.Name)
			require.NotEmpty(t, f.Breaks)
			require.NotEmpty(t, f.Expects)
			require.Positive(t, f.Times)
			require.LessOrEqual(t, f.Quick, f.Times)
			require.NotNil(t, f.Run)
			require.False(t, seen[f.Name], "the name is taken")
			seen[f.Name] = true
		})
	}
	require.Greater(t, len(seen), 15)
}

func TestCommandLine(t *testing.T) {
	all := faults()
	for _, c := range []struct {
		args string
		want func(o rig.Options) bool
	}{
		{"", func(o rig.Options) bool { return !o.Quick && len(o.Faults) == len(all) && o.Seed != 0 }},
		{"-quick -seed 7 -dir x -keep -allow-missing", func(o rig.Options) bool {
			return o.Quick && o.Seed == 7 && o.Dir == "x" && o.Keep && o.AllowMissing && len(o.Faults) <= len(all)
		}},
		{"-only hub-kill,gateway-kill -kafka k:1 -bin b", func(o rig.Options) bool {
			return len(o.Faults) == 2 && o.Faults[0].Name == "gateway-kill" && o.Kafka == "k:1" && o.Bin == "b"
		}},
	} {
		o, err := parse(strings.Fields(c.args), io.Discard)
		require.NoError(t, err, c.args)
		require.True(t, c.want(o), "%s: %+v", c.args, o)
	}
	for _, args := range []string{"-only nothing", "more", "-seed x"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
		require.NotErrorIs(t, err, errDone, args)
	}
}

func TestListAndHelpEnd(t *testing.T) {
	for _, args := range []string{"-list", "-h"} {
		var out bytes.Buffer
		_, err := parse([]string{args}, &out)
		require.ErrorIs(t, err, errDone)
		require.Contains(t, out.String(), map[string]string{"-list": "gateway-kill", "-h": "-allow-missing"}[args])
	}
}

func TestPeek(t *testing.T) {
	made, building, ok := peek([]byte(`{"device_id":"d","timestamp":1640995200000,"location":{"building":"A栋","floor":3},"sensors":{}}`))
	require.True(t, ok)
	require.Equal(t, int64(1640995200000), made)
	require.Equal(t, "A栋", building)
	for _, text := range []string{"", `{"timestamp":12`, `{"timestamp":x,"building":"A"}`, `{"building":"A"}`} {
		_, _, ok := peek([]byte(text))
		require.False(t, ok, text)
	}
}

func TestRefusalsAreRecognised(t *testing.T) {
	require.True(t, mentionsRefusal("level=WARN msg=\"the hub refuses this gateway: another gateway with its id is connected\" gateway=gw-a\n", "gw-a"))
	require.True(t, mentionsRefusal("level=INFO msg=x\nlevel=ERROR msg=\"gateway refused, another installation\" gateway=gw-a\n", "gw-a"))
	require.False(t, mentionsRefusal("level=WARN msg=\"another gateway\" gateway=gw-b\n", "gw-a"))
	require.False(t, mentionsRefusal("level=INFO msg=\"another gateway\" gateway=gw-a\n", "gw-a"))
	require.False(t, mentionsRefusal("level=WARN msg=\"the disk is slow\" gateway=gw-a\n", "gw-a"))
}

func TestPoisonsAreNoReadings(t *testing.T) {
	require.Len(t, sortedKeys(poisons()), 8)
	require.Less(t, screenLimit, 2*time.Second)
}
