//go:build postgres

package feed

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/portal/internal/store"
	"industrial-iot-monitor/test/pgtest"
)

// TestPostgreSQLFailsWhileTwoPortalsFillIt kills and suspends the server, and starts a portal again, while
// records arrive. In the end the database has each record once.
func TestPostgreSQLFailsWhileTwoPortalsFillIt(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	auditTopic(t, brokers, topics)
	server := pgtest.Start(t)
	o := store.Options{URL: server.Database()}
	first, second := copyTopics(t, brokers, topics, o), copyTopics(t, brokers, topics, o)
	n := 0
	for round := range 8 {
		for range 10 {
			produceEntries(t, brokers, topics.Audit, n, n+50)
			n += 50
			lifecycle.Pause(t.Context(), time.Duration(rand.IntN(20))*time.Millisecond) // the moment is any
		}
		switch round % 4 {
		case 0, 2:
			server.Kill()
			produceEntries(t, brokers, topics.Audit, n, n+50)
			n += 50
			server.Restart()
		case 1:
			server.Pause()
			produceEntries(t, brokers, topics.Audit, n, n+50)
			n += 50
			lifecycle.Pause(t.Context(), time.Second)
			server.Resume()
		case 3:
			second.stop()
			second = copyTopics(t, brokers, topics, o)
		}
	}
	first.has(0, n)
	second.has(0, n)
	require.Eventually(t, func() bool { return !first.feed.StoreBehind() && !second.feed.StoreBehind() }, waitTimeout, 10*time.Millisecond)
	require.InDelta(t, 0, first.written("refused")+second.written("refused"), 0)
}
