package relay

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

func TestFloodOfBadHeartbeatsIsOneLogLineWithACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		known, err := roster.New(roster.Options{Log: log})
		require.NoError(t, err)
		receive := (&Relay{roster: known, log: log}).observer()
		bad := &nats.Msg{Subject: wire.StatusSubject("gw-a"), Data: []byte("{")}
		for range 1000 {
			receive(bad)
		}
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), "skipped=0")
		time.Sleep(10 * time.Second) //nolint:forbidigo // the bubble's clock
		receive(bad)
		require.Equal(t, 2, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), "skipped=999")
	})
}
