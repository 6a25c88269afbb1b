// Package salvage repairs the files of a gateway's stream before the embedded server
// opens them. At a damaged record the server truncates the file and loses all packs after
// it; salvage finds the intact packs in and after the damage, rewrites the file with every
// pack at its sequence, and sets the damaged file aside. It is not for a running server,
// and it keeps packs that the bridge may already have.
//
// Run blocks while it reads: nothing of a cleanly stopped store, otherwise the blocks that
// the server is about to read.
package salvage

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"industrial-iot-monitor/internal/wire"
)

// Options of Run. All are required but Mark.
type Options struct {
	Dir     string // of the stream: …/streams/<name>
	Stream  string // its name
	Subject string // of every pack in it
	Aside   string // directory for damaged files
	Mark    string // file with the mark of the last run; may be absent
	Log     *slog.Logger
	// All examines every block, not only the suspect ones.
	All bool
}

// Report is the result of Run.
type Report struct {
	Examined     int    // blocks that were read
	Salvaged     uint64 // packs that the server would have lost
	DamagedBytes uint64 // in damaged files, outside intact packs
	// MissingPacks counts acknowledged packs missing at the end of the stream,
	// MissingReadings their readings as far as known.
	MissingPacks    uint64
	MissingReadings uint64
	SetAside        []string // files
}

// Damaged reports whether anything was damaged or missing.
func (r *Report) Damaged() bool {
	return r.Salvaged > 0 || r.DamagedBytes > 0 || r.MissingPacks > 0 || len(r.SetAside) > 0
}

// Run examines and repairs the files of a stream. After an error the server must not be
// started on them: it might discard packs that could not be salvaged.
func Run(o Options) (Report, error) {
	s := &salvager{o: o, aside: filepath.Join(o.Aside, time.Now().UTC().Format("20060102T150405.000"))}
	if err := s.run(); err != nil {
		return s.report, fmt.Errorf("salvaging the store in %s: %w", o.Dir, err)
	}
	s.log()
	return s.report, nil
}

// salvager is one run.
type salvager struct {
	o      Options
	aside  string // directory of this run for damaged files
	report Report

	files    []uint32 // numbers of the block files, in order
	index    index
	hasIndex bool   // index is readable
	trusted  bool   // the server will use it
	last     place  // newest pack seen
	highest  uint64 // highest sequence known
	buf      []byte
}

func (s *salvager) run() error {
	if err := s.checkMeta(); err != nil {
		return err
	}
	if err := s.list(); err != nil {
		return err
	}
	if err := s.examineFiles(); err != nil {
		return err
	}
	return s.reserve()
}

// examineFiles examines the suspect blocks. After damage in one the server will read all
// of them, so it starts again with all.
func (s *salvager) examineFiles() error {
	for i := 0; i < len(s.files); i++ {
		n := s.files[i]
		suspect, err := s.suspect(n)
		if err != nil {
			return err
		}
		if !suspect {
			s.skip(n)
			continue
		}
		intact, err := s.examineFile(n, i == len(s.files)-1)
		if err != nil {
			return err
		}
		if intact {
			continue
		}
		if _, err := os.Lstat(s.block(n)); err != nil { // nothing in it was intact
			s.files = slices.Delete(s.files, i, i+1)
			i--
		}
		if s.trusted {
			s.trusted, s.last, s.highest, s.report.Examined, i = false, place{}, 0, 0, -1
		}
	}
	return nil
}

// skip notes a block's newest pack and highest sequence from the index.
func (s *salvager) skip(n uint32) {
	for _, b := range s.index.blocks {
		if b.number == n {
			s.last = place{seq: b.lastInFile}
			s.highest = max(s.highest, b.lastInFile)
		}
	}
}

// examineFile reads one block file and repairs it if it is damaged.
func (s *salvager) examineFile(n uint32, newest bool) (intact bool, err error) {
	data, err := s.read(n)
	if err != nil {
		return false, err
	}
	s.report.Examined++
	c := newCodec(s.o.Stream, s.o.Subject, n)
	b := c.examine(data)
	before := s.last
	s.note(&b)
	short := s.shortage(n, len(data))
	if (b.intact() && short == 0) || (newest && b.torn && s.markCovered()) {
		return true, nil
	}
	file, dropped := c.repair(b, before)
	s.report.Salvaged += uint64(b.saved - dropped)
	s.report.DamagedBytes += uint64(b.damaged) + short
	repaired := c.examine(file)
	s.note(&repaired)
	return false, s.replace(n, file)
}

// note updates the newest pack and the highest sequence from a block.
func (s *salvager) note(b *block) {
	for _, p := range b.pieces {
		if p.last.seq > s.last.seq {
			s.last = place{p.last.seq, slices.Clone(p.last.pack)} // the block's buffer is reused
		}
	}
	s.highest = max(s.highest, b.highest())
}

// markCovered reports whether every acknowledged pack is in the stream, so that a damaged
// end is an unacknowledged write cut off by a power failure.
func (s *salvager) markCovered() bool {
	m, ok := ReadMark(s.o.Mark)
	return ok && m.Seq <= s.highest
}

// reserve prevents the reuse of sequences of packs missing at the end of the stream, which
// would hide the loss. An empty pack at the last sequence holds the totals.
func (s *salvager) reserve() error {
	number := uint32(1)
	if len(s.files) > 0 {
		number = s.files[len(s.files)-1] + 1
	}
	c, now := newCodec(s.o.Stream, s.o.Subject, number), time.Now().UnixNano()
	if s.trusted {
		s.highest = max(s.highest, s.index.lastSeq)
	}
	if m, ok := ReadMark(s.o.Mark); ok && m.Seq > s.highest {
		s.report.MissingPacks = m.Seq - s.highest
		s.report.MissingReadings = s.missing(m)
		if err := s.dropIndex(); err != nil {
			return err
		}
		return s.write(number, c.appendMessage(nil, m.Seq, now, m.pack()))
	}
	if s.hasIndex && !s.trusted && s.index.lastSeq > s.highest {
		s.report.MissingPacks = s.index.lastSeq - s.highest
		if err := s.dropIndex(); err != nil {
			return err
		}
		return s.write(number, c.appendTombstone(nil, s.index.lastSeq, max(s.index.lastTime, 0)))
	}
	return nil
}

// missing returns the number of readings between the newest pack seen and the mark, 0 if
// unknown.
func (s *salvager) missing(m Mark) uint64 {
	before, h, err := wire.TotalsAfter(s.last.pack)
	switch {
	case err != nil || h.Epoch != m.Epoch:
		return m.Totals.Readings
	case before.Readings > m.Totals.Readings:
		return 0
	}
	return m.Totals.Readings - before.Readings
}

// log logs the report.
func (s *salvager) log() {
	r := &s.report
	if !r.Damaged() {
		s.o.Log.Debug("store examined", "blocks", r.Examined)
		return
	}
	s.o.Log.Error("store damaged, intact packs salvaged, damaged files set aside",
		"salvaged_packs", r.Salvaged, "damaged_bytes", r.DamagedBytes,
		"missing_packs", r.MissingPacks, "missing_readings", r.MissingReadings, "set_aside", r.SetAside)
}
