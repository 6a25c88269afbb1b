// Package salvage looks at the files of a gateway's stream before the embedded server
// opens them, and saves what the server would throw away. A server that finds a
// damaged record cuts the file there and loses what lies behind; salvage takes whole
// packs out of the damage, writes the file anew without it, every pack in its place,
// and sets the damaged file aside. It is not for a server that runs, and it does not
// know whether the bridge has a pack already: packs say that by themselves.
//
// Run blocks while it reads: nothing of an orderly stopped store, and otherwise the
// blocks that the server is about to read as well.
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
	Aside   string // directory that takes damaged files
	Mark    string // file with the mark of the last run; may be absent
	Log     *slog.Logger
	// All examines every block, whatever the signs.
	All bool
}

// Report is what Run found.
type Report struct {
	Examined     int    // blocks that were read
	Salvaged     uint64 // packs that the server would not have kept
	DamagedBytes uint64 // in damaged files, belonging to no whole pack
	// MissingPacks counts acknowledged packs at the end of the stream that are in no
	// file, MissingReadings what they held as far as it is known.
	MissingPacks    uint64
	MissingReadings uint64
	SetAside        []string // files
}

// Damaged reports whether there was anything to report.
func (r *Report) Damaged() bool {
	return r.Salvaged > 0 || r.DamagedBytes > 0 || r.MissingPacks > 0 || len(r.SetAside) > 0
}

// Run examines and mends the files of a stream. An error means that the server should
// not be started on them: it might throw away what could not be saved.
func Run(o Options) (Report, error) {
	s := &salvager{o: o, aside: filepath.Join(o.Aside, time.Now().UTC().Format("20060102T150405.000"))}
	if err := s.run(); err != nil {
		return s.report, fmt.Errorf("salvaging the store in %s: %w", o.Dir, err)
	}
	s.tell()
	return s.report, nil
}

// salvager is one run.
type salvager struct {
	o      Options
	aside  string // where this run puts damaged files
	report Report

	files    []uint32 // numbers of the block files, in order
	index    index
	hasIndex bool   // index can be read
	believed bool   // the server will believe it
	last     place  // newest pack seen
	highest  uint64 // highest sequence known
	buf      []byte
}

func (s *salvager) run() error {
	if err := s.checkMeta(); err != nil {
		return err
	}
	if err := s.look(); err != nil {
		return err
	}
	if err := s.examineFiles(); err != nil {
		return err
	}
	return s.keepPlace()
}

// examineFiles goes through the blocks. When one turns out to be damaged the server will
// read all of them, and so does this.
func (s *salvager) examineFiles() error {
	for i := 0; i < len(s.files); i++ {
		n := s.files[i]
		suspect, err := s.suspect(n)
		if err != nil {
			return err
		}
		if !suspect {
			s.passOver(n)
			continue
		}
		whole, err := s.examineFile(n, i == len(s.files)-1)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		if _, err := os.Lstat(s.block(n)); err != nil { // nothing in it was whole
			s.files = slices.Delete(s.files, i, i+1)
			i--
		}
		if s.believed {
			s.believed, s.last, s.highest, s.report.Examined, i = false, place{}, 0, 0, -1
		}
	}
	return nil
}

// passOver takes from the index what examining a block would have shown.
func (s *salvager) passOver(n uint32) {
	for _, b := range s.index.blocks {
		if b.number == n {
			s.last = place{seq: b.lastInFile}
			s.highest = max(s.highest, b.lastInFile)
		}
	}
}

// examineFile reads one block file and mends it if it is damaged.
func (s *salvager) examineFile(n uint32, newest bool) (whole bool, err error) {
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
	if (b.whole() && short == 0) || (newest && b.torn && s.markCovered()) {
		return true, nil
	}
	file, dropped := c.mend(b, before)
	s.report.Salvaged += uint64(b.saved - dropped)
	s.report.DamagedBytes += uint64(b.damaged) + short
	mended := c.examine(file)
	s.note(&mended)
	return false, s.replace(n, file)
}

// note remembers the newest pack and the highest sequence of a block.
func (s *salvager) note(b *block) {
	for _, p := range b.pieces {
		if p.last.seq > s.last.seq {
			s.last = place{p.last.seq, slices.Clone(p.last.pack)} // the block's memory is used again
		}
	}
	s.highest = max(s.highest, b.highest())
}

// markCovered reports whether every acknowledged pack is in the stream, so that what is
// broken behind the last whole one was being written when the power went.
func (s *salvager) markCovered() bool {
	m, ok := ReadMark(s.o.Mark)
	return ok && m.Seq <= s.highest
}

// keepPlace holds the sequences of packs that are gone from the end of the stream:
// used a second time they would hide the loss. An empty pack in the place of the last
// one tells what they held.
func (s *salvager) keepPlace() error {
	number := uint32(1)
	if len(s.files) > 0 {
		number = s.files[len(s.files)-1] + 1
	}
	c, now := newCodec(s.o.Stream, s.o.Subject, number), time.Now().UnixNano()
	if s.believed {
		s.highest = max(s.highest, s.index.lastSeq)
	}
	if m, ok := ReadMark(s.o.Mark); ok && m.Seq > s.highest {
		s.report.MissingPacks = m.Seq - s.highest
		s.report.MissingReadings = s.missing(m)
		if err := s.forgetIndex(); err != nil {
			return err
		}
		return s.write(number, c.appendMessage(nil, m.Seq, now, m.pack()))
	}
	if s.hasIndex && !s.believed && s.index.lastSeq > s.highest {
		s.report.MissingPacks = s.index.lastSeq - s.highest
		if err := s.forgetIndex(); err != nil {
			return err
		}
		return s.write(number, c.appendTombstone(nil, s.index.lastSeq, max(s.index.lastTime, 0)))
	}
	return nil
}

// missing is the number of readings between the newest pack seen and the mark; 0 where
// that cannot be told.
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

// tell puts the report into the log.
func (s *salvager) tell() {
	r := &s.report
	if !r.Damaged() {
		s.o.Log.Debug("store examined", "blocks", r.Examined)
		return
	}
	s.o.Log.Error("the store was damaged; what was whole is saved, damaged files are set aside",
		"salvaged_packs", r.Salvaged, "damaged_bytes", r.DamagedBytes,
		"missing_packs", r.MissingPacks, "missing_readings", r.MissingReadings, "set_aside", r.SetAside)
}
