package lane

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

// heard returns the life of a lane that has heard one heartbeat.
func heard(t *testing.T, s wire.GatewayStatus) *run {
	t.Helper()
	known, err := roster.New(roster.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	data, err := s.Encode()
	require.NoError(t, err)
	_, err = known.Observe(wire.StatusSubject(s.Gateway), data)
	require.NoError(t, err)
	return &run{Lane: &Lane{o: Options{Roster: known}, log: slog.New(slog.DiscardHandler)}}
}

func TestTrimIsPutOffWhileABacklogDrains(t *testing.T) {
	for name, c := range map[string]struct {
		status wire.GatewayStatus
		want   bool
	}{
		"a backlog, and room":     {wire.GatewayStatus{LastSeq: 1000, BufferBytes: 10, BufferLimit: 100}, true},
		"no backlog":              {wire.GatewayStatus{LastSeq: 130, BufferBytes: 10, BufferLimit: 100}, false},
		"the buffer is half full": {wire.GatewayStatus{LastSeq: 1000, BufferBytes: 50, BufferLimit: 100}, false},
		"the buffer is full":      {wire.GatewayStatus{LastSeq: 1000, BufferBytes: 10, BufferLimit: 100, BufferFull: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.status.Gateway = "gw-a"
			p := &puller{r: heard(t, c.status), g: &gateway{id: "gw-a"}}
			require.Equal(t, c.want, p.unhurried(Position{Committed: checkpoint.Checkpoint{Seq: 100}}))
		})
	}
	p := &puller{r: heard(t, wire.GatewayStatus{Gateway: "gw-b"}), g: &gateway{id: "gw-a"}}
	require.False(t, p.unhurried(Position{}), "no heartbeat yet")
}

// A gateway recognises messages that are sent again by its newest packs.
func TestTrimLeavesWhatTheGatewayKeeps(t *testing.T) {
	for keepFrom, want := range map[uint64]uint64{
		0:   90, // an older gateway, or one that gave up
		1:   0,
		51:  50,
		200: 90,
	} {
		r := heard(t, wire.GatewayStatus{Gateway: "gw-a", KeepFrom: keepFrom})
		r.o.TrimMargin = 10
		require.Equal(t, want, (&puller{r: r, g: &gateway{id: "gw-a"}}).trimmable(100), "keep from %d", keepFrom)
		require.EqualValues(t, 90, (&puller{r: r, g: &gateway{id: "gw-b"}}).trimmable(100), "no heartbeat yet")
	}
}
