package ops_test

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ops"
)

func TestALoggerKeepsItsNewestWarnings(t *testing.T) {
	log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "text"}, io.Discard)
	require.NoError(t, err)
	log.Info("no warning")
	part := log.With("component", "lane")
	part.Warn("retrying", "err", errors.New("gone"))
	part.WithGroup("kafka").Error("refused", "partition", 3)

	got := ops.Warnings(log, 0)
	require.Len(t, got, 2)
	require.Equal(t, "retrying", got[0].Message)
	require.Equal(t, "component=lane err=gone", got[0].Detail)
	require.Equal(t, slog.LevelError, got[1].Level)
	require.Equal(t, "component=lane kafka.partition=3", got[1].Detail)

	for range 300 {
		require.NoError(t, log.Handler().Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelWarn, "more", 0))) // of no place: no limit
	}
	got = ops.Warnings(part, 290)
	require.Len(t, got, 12, "numbers 291 to 302")
	require.EqualValues(t, 302, got[11].Number)
	require.Len(t, ops.Warnings(log, 0), 100, "a bound")
}

func TestOtherLoggersKeepNoWarnings(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	log.Warn("x")
	require.Nil(t, ops.Warnings(log, 0))
}
