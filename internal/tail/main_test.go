package tail

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout bounds each wait of a test.
const waitTimeout = 180 * time.Second

var quiet = slog.New(slog.DiscardHandler)
