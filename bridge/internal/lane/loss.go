package lane

import (
	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

// A disk that loses what was written last shows little of it: the stream just goes on
// from an earlier sequence. What it held before is known only from the heartbeats that
// were heard, so the numbers here are lower bounds, and 0 says that nothing is known.

// knownLost is the number of packs that a changed stream held beyond a checkpoint.
func knownLost(r *roster.Roster, pos checkpoint.Checkpoint, v checkpoint.View) uint64 {
	now, before := r.Heard(pos.Gateway)
	from := pos.Seq
	switch checkpoint.Hex(pos.Epoch) {
	case now.Epoch: // the new epoch's heartbeat is still to come
		before = now
	case before.Epoch:
	default: // several restarts ago: packs up to the stream's present end may be there
		from = max(from, v.Last)
	}
	if before.LastSeq <= from {
		return 0
	}
	return before.LastSeq - from
}

// overwritten is the number of packs that the first pack of an epoch and those after it
// took the place of. The bridge had none of them, or it would have found the stream
// changed.
func overwritten(r *roster.Roster, gateway string, h *wire.PackHeader, seq uint64) uint64 {
	now, before := r.Heard(gateway)
	switch {
	case now.Epoch == checkpoint.Hex(h.Epoch):
	case now.Started <= h.Base: // the new epoch's heartbeat is still to come
		before = now
	default: // the pack is of an epoch before
		return 0
	}
	if before.LastSeq < seq {
		return 0
	}
	return before.LastSeq - seq + 1
}
