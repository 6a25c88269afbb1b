package ops_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ops"
)

func TestLinesOfOnePlaceAreLimitedAndCounted(t *testing.T) {
	var out bytes.Buffer
	log, err := ops.NewLogger(ops.LogConfig{Level: "debug", Format: "text"}, &out)
	require.NoError(t, err)
	begin := time.UnixMilli(1640995200000)
	say := func(h slog.Handler, level slog.Level, text string, place uintptr, after time.Duration, times int) {
		for range times {
			require.NoError(t, h.Handle(t.Context(), slog.NewRecord(begin.Add(after), level, text, place)))
		}
	}
	lines := func(text string) int { return strings.Count(out.String(), text) }

	say(log.Handler(), slog.LevelWarn, "refused", 1, 0, 30)
	say(log.With("gateway", "gw-b").Handler(), slog.LevelWarn, "refused", 1, 9*time.Second, 20)
	require.Equal(t, 20, lines("refused"), "the place counts, whatever the attributes")
	require.Len(t, ops.Warnings(log, 0), 20, "the warnings that the page shows are those of the log")
	say(log.Handler(), slog.LevelInfo, "another", 2, 9*time.Second, 20)
	say(log.Handler(), slog.LevelError, "worse", 1, 9*time.Second, 1)
	say(log.Handler(), slog.LevelDebug, "fine", 3, 0, 50)
	require.Equal(t, 20, lines("another"))
	require.Equal(t, 1, lines("worse"), "a line of another level is another line")
	require.Equal(t, 50, lines("fine"), "debug has no limit")
	require.Zero(t, lines("repeats_skipped"))

	say(log.Handler(), slog.LevelWarn, "refused", 1, 10*time.Second, 2)
	require.Equal(t, 22, lines("refused"))
	require.Equal(t, 1, lines("repeats_skipped=30"), "the first one says what is missing, once")
	say(log.Handler(), slog.LevelWarn, "refused", 1, -time.Hour, 1)
	require.Equal(t, 23, lines("refused"), "a clock that is set back silences nothing")
}
