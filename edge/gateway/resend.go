package gateway

import (
	"context"
	"path/filepath"
	"time"

	"industrial-iot-monitor/edge/internal/ingest"
	"industrial-iot-monitor/edge/internal/resend"
)

// Bounds of reading what was received before the start. The packs that the file lacks are
// those of some seconds; without the file, those of the last ten minutes at the shortest linger
// are enough. The time when a pack was received is not asked: the clock may have been set since.
const (
	recallTimeout = 30 * time.Second
	recallPacks   = 200_000
)

// recall returns the memory of the messages before this start: from the file, and from
// the packs in the stream that are newer than it. Without them the gateway starts all the
// same, and a message that is sent again may be stored twice.
func (g *Gateway) recall() ingest.Resends {
	stream := g.broker.Stream()
	file := filepath.Join(g.cfg.DataDir, g.cfg.ID, "resends")
	r := ingest.Resends{Last: stream.Last(), File: file, MostBytes: uint64(g.broker.BufferLimit()) / 8}
	var err error
	if r.Memory, r.Kept, r.Eras, err = resend.Load(file, r.Last); err != nil {
		g.log.Warn("file that recognises resends unusable, reading the packs in the stream", "file", file, "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), recallTimeout)
	defer cancel()
	start, packs, bad := time.Now(), 0, 0
	err = stream.Replay(ctx, r.Kept+1, recallPacks, func(seq uint64, pack []byte) {
		packs++
		if err := r.Replay(seq, pack); err != nil {
			bad++
		}
	})
	if err != nil {
		g.log.Error("reading the newest packs failed, a message sent again may be stored twice", "err", err)
	}
	g.log.Info("resends recalled", "senders", r.Memory.Len(), "packs", packs, "unreadable", bad, "took", time.Since(start))
	return r
}
