package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests run this binary again for the processes that play gateways.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == playFlag {
		main() // which exits
	}
	m.Run()
}

func TestEveryPackOfEveryGatewayReachesKafkaOnce(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, scale(t.Context(), options{
		Gateways: 5, Processes: 2, Stage: time.Second, Every: 200 * time.Millisecond, Busy: 100, Limit: time.Minute, Links: "off", Dir: t.TempDir(),
	}, &out))
	t.Log("\n" + out.String())
	require.Contains(t, out.String(), "in Kafka")
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-gateways=1"}, {"-processes=0"}, {"-stage=1ms"}, {"-busy=0"}, {"x"}} {
		_, err := parse(args, &bytes.Buffer{})
		require.Error(t, err, args)
	}
}
