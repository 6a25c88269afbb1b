package ops_test

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ops"
)

func TestAChangedLevelIsBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "text"}, &out)
		require.NoError(t, err)
		part := ops.Own(log.With("component", "x").WithGroup("g"))
		level := ops.LevelOf(part)
		require.Nil(t, level.Changed())
		part.Debug("before")
		level.Set(ops.LevelChange{Level: slog.LevelDebug, By: "Li Wei", Until: time.Now().Add(time.Minute)})
		part.Debug("during")
		require.Equal(t, "Li Wei", ops.LevelOf(log).Changed().By, "loggers made from one share it")
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		part.Debug("after")
		require.Equal(t, slog.LevelInfo, level.Level())
		require.Equal(t, slog.LevelInfo, level.Usual())
		require.NotContains(t, out.String(), "before")
		require.Contains(t, out.String(), "during")
		require.NotContains(t, out.String(), "after")
		level.Set(ops.LevelChange{Level: slog.LevelError, Until: time.Now().Add(time.Minute)})
		log.Warn("quiet")
		require.NotContains(t, out.String(), "quiet")
	})
	require.Nil(t, ops.LevelOf(slog.New(slog.DiscardHandler)))
}

func TestOwnWarningsAreNotThoseOfOthers(t *testing.T) {
	log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "text"}, io.Discard)
	require.NoError(t, err)
	core, edge := ops.Own(log), ops.Own(log)
	core.With("component", "a").Warn("core's")
	edge.WithGroup("g").Warn("edge's")
	log.Warn("nobody's")
	messages := func(l *slog.Logger) (out []string) {
		for _, w := range ops.Warnings(l, 0) {
			out = append(out, w.Message)
		}
		return out
	}
	require.Equal(t, []string{"core's", "nobody's"}, messages(core))
	require.Equal(t, []string{"edge's", "nobody's"}, messages(edge))
	require.Equal(t, []string{"core's", "edge's", "nobody's"}, messages(log))
	other := slog.New(slog.DiscardHandler)
	require.Same(t, other, ops.Own(other))
}
