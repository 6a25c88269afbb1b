package broker

import (
	"fmt"
	"path/filepath"
	"time"

	"industrial-iot-monitor/edge/internal/salvage"
	"industrial-iot-monitor/internal/wire"
)

// Last returns the sequence of the newest message in the stream at its opening.
func (s *Stream) Last() uint64 { return s.last }

// Replay calls f for the packs on the disk from a sequence on, in their order, and leaves out
// whole files of packs older than since. Packs that were removed may be among them. f must not
// keep the pack.
func (s *Stream) Replay(from uint64, since time.Time, f func(seq uint64, pack []byte)) error {
	if err := salvage.Replay(s.b.streamDir(), s.Name(), s.subject, from, since, f); err != nil {
		return fmt.Errorf("reading the packs of stream %s: %w", s.Name(), err)
	}
	return nil
}

// streamDir is where the server keeps the stream.
func (b *Broker) streamDir() string {
	return filepath.Join(storeDir(b.dir), accountUplink, "streams", wire.PackStream(b.gateway))
}
