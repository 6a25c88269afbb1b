package ops_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ops"
)

func TestOneLineInTenSecondsWithTheNumberOfSkippedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ops.LogLimit
		count := func(events int) (lines, skipped int) {
			for range events {
				if n, ok := l.Allow(); ok {
					lines, skipped = lines+1, skipped+n
				}
			}
			return lines, skipped
		}
		lines, skipped := count(1000)
		require.Equal(t, []int{1, 0}, []int{lines, skipped}, "the first at once")
		time.Sleep(10*time.Second - 1) //nolint:forbidigo // the bubble's clock
		lines, _ = count(1)
		require.Zero(t, lines)
		time.Sleep(time.Nanosecond) //nolint:forbidigo // the bubble's clock
		lines, skipped = count(3)
		require.Equal(t, []int{1, 1000}, []int{lines, skipped})
	})
}
