package lane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
)

// A jump in the sequence is a hole in the stream or a pack lost between the gateway and the
// puller. Only the stream can tell, and only the former may be skipped.
func TestPackThatVanishedOnItsWayIsNotBelievedAsAHole(t *testing.T) {
	s := fullSource(t, 0, 10, 6)
	p := &puller{src: s, g: &gateway{pos: checkpoint.Checkpoint{Seq: 3}}}
	require.NoError(t, p.inSequence(t.Context(), 4))
	require.ErrorIs(t, p.inSequence(t.Context(), 5), errJump, "the stream has pack 4")
	require.ErrorIs(t, p.inSequence(t.Context(), 3), errJump, "pack 3 was read before")

	stream, err := s.stream(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 4))
	require.NoError(t, p.inSequence(t.Context(), 5), "a hole")
	require.ErrorIs(t, p.inSequence(t.Context(), 6), errJump, "the stream has pack 5")
}

// A gateway that was cut off goes on with packs of 1 MiB. As many of them as of the small
// ones before would fill the bridge's memory.
func TestLargePacksArriveWithinTheAllowance(t *testing.T) {
	const packs, size = 16, 1 << 20
	s := fullSource(t, 0, size, packs)
	cons, err := s.consume(t.Context(), 1)
	require.NoError(t, err)
	f, err := s.prefetch(cons)
	require.NoError(t, err)
	t.Cleanup(f.stop)
	before := s.nc.Stats().InBytes
	for taken := range packs {
		_, err := f.next(t.Context(), window{packs: 512, bytes: 100 << 10, heartbeat: maxHeartbeat})
		require.NoError(t, err)
		_, err = s.view(t.Context(), 0) // the answer arrives behind the packs
		require.NoError(t, err)
		require.Less(t, s.nc.Stats().InBytes-before, uint64((taken+4)*size), "unread packs")
	}
}
