package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/oracle"
)

// damageReady is how soon a gateway with damaged files is ready.
const damageReady = 5 * time.Second

// damaging is one way to damage the files of a gateway.
type damaging struct {
	name   string
	kill   bool // the gateway is killed before; otherwise stopped
	damage func(s *storedPacks) (lost []storedPack, err error)
}

func damages() []damaging {
	return []damaging{
		{"a bit in a pack", false, flipPack},
		{"a bit in a pack, after a kill", true, flipPack},
		{"a bit before a pack", false, flipHead},
		{"the tail cut off", false, cutTail},
		{"the tail cut off, without an index", false, func(s *storedPacks) ([]storedPack, error) {
			lost, err := cutTail(s)
			return lost, errors.Join(err, os.Remove(filepath.Join(s.dir, "msgs", "index.db")))
		}},
		{"index, description and consumers zeroed", false, func(s *storedPacks) ([]storedPack, error) {
			return nil, errors.Join(zeroFile(filepath.Join(s.dir, "msgs", "index.db")), zeroBesides(s.dir))
		}},
		{"description and consumers zeroed", true, func(s *storedPacks) ([]storedPack, error) { return nil, zeroBesides(s.dir) }},
	}
}

// destroyed are the readings in damaged packs. Not all of them must be lost: a device that
// had not received the acknowledgement when the gateway ended sends the reading again.
type destroyed struct {
	mu    sync.Mutex
	made  map[oracle.Reading]bool // true once it was sent again
	again int
}

func (d *destroyed) add(p storedPack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range p.made {
		d.made[m] = false
	}
}

func (d *destroyed) observe(x oracle.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := oracle.Reading{Device: x.Device, Timestamp: x.Timestamp}
	if seen, ok := d.made[m]; ok && !seen {
		d.made[m] = true
		d.again++
	}
}

// judge checks that only readings in damaged packs are lost.
func (d *destroyed) judge(lost []oracle.Reading) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, m := range lost {
		if _, ok := d.made[m]; !ok && len(errs) < 5 {
			errs = append(errs, fmt.Errorf("lost, but in no damaged pack: %s %d", m.Device, m.Timestamp))
		}
	}
	return errors.Join(errs...)
}

// damageFiles damages undelivered packs of gateways, each time in another way.
func damageFiles(ctx context.Context, r *rig.Round) error {
	all := &destroyed{made: map[oracle.Reading]bool{}}
	remove := r.Observe(all.observe)
	counts := map[string]int{}
	before := map[string]uint64{}
	for _, g := range r.GatewayNames() {
		before[g] = r.Ledger(g).Value.Total.Damaged
	}
	for k := range r.Times {
		i := r.Rand.IntN(r.Site.Gateways)
		packs, err := damageOnce(ctx, r, i, damages()[k%len(damages())], all)
		if err != nil {
			remove()
			return err
		}
		for _, p := range packs {
			counts[cluster.Gateway(i)] += len(p.made)
		}
	}
	r.AllowLoss(all.judge)
	r.AtEnd(func(ctx context.Context) error {
		defer remove()
		r.Note("%d readings were in damaged packs; %d of them arrived anyway, sent again by devices without an answer", len(all.made), all.again)
		for _, g := range r.GatewayNames() {
			_, err := rig.AwaitFor(ctx, "the ledger of "+g, 10*time.Second, func() error {
				if got := r.Ledger(g).Value.Total.Damaged - before[g]; got != uint64(counts[g]) {
					return fmt.Errorf("the ledger of %s counts %d damaged readings, expected %d", g, got, counts[g])
				}
				return nil
			})
			r.Check(err == nil, "%v", err)
		}
		return nil
	})
	return nil
}

// damageOnce cuts the line of a gateway so that packs accumulate, damages some of them, and
// restarts it.
func damageOnce(ctx context.Context, r *rig.Round, i int, d damaging, all *destroyed) (lost []storedPack, err error) {
	gateway := cluster.Gateway(i)
	if err := r.Lines[i].Cut(); err != nil {
		return nil, err
	}
	if err := rig.Sleep(ctx, 500*time.Millisecond); err != nil { // packs in flight arrive
		return nil, err
	}
	s, err := stopWithPacks(ctx, r, gateway, d.kill)
	if err == nil {
		lost, err = d.damage(s)
	}
	if err != nil {
		return nil, fmt.Errorf("damaging %s (%s): %w", gateway, d.name, err)
	}
	n := 0
	for _, p := range lost {
		all.add(p)
		n += len(p.made)
	}
	r.Happened()
	if err := restart(ctx, r, gateway, "ready after "+d.name, damageReady); err != nil {
		return lost, err
	}
	status := func(name string) float64 { v, _ := r.Metric(ctx, gateway, name); return v }
	r.Note("%s, %s: %d readings in it; salvaged %.0f packs, %.0f bytes damaged, %.0f packs missing",
		gateway, d.name, n, status("edge_salvaged_packs"), status("edge_damaged_bytes"), status("edge_missing_packs"))
	if err := r.Lines[i].Restore(); err != nil {
		return lost, err
	}
	took, err := r.AwaitNew(ctx, gateway)
	r.Recovered("readings of "+gateway+" after its line was restored", took, 0)
	return lost, err
}

// stopWithPacks stops a gateway that cannot deliver when enough packs wait in its newest block
// file, and returns them.
func stopWithPacks(ctx context.Context, r *rig.Round, gateway string, kill bool) (*storedPacks, error) {
	cut, end := time.Now(), r.Stop
	if kill {
		end = r.Kill
	}
	for {
		if err := pileUp(ctx, r, gateway); err != nil {
			return nil, err
		}
		if err := end(gateway); err != nil {
			return nil, err
		}
		s, err := readStored(r, gateway, cut)
		if !errors.Is(err, errFewPacks) {
			return s, err
		}
		// The server had just begun this file.
		if err := restart(ctx, r, gateway, "ready with few packs", 0); err != nil {
			return nil, err
		}
	}
}

// fewPacks have to accumulate in a gateway before some of them are damaged.
const fewPacks = 20

var errFewPacks = errors.New("few packs wait")

// pileUp waits until enough packs are stored, and a random time longer.
func pileUp(ctx context.Context, r *rig.Round, gateway string) error {
	before, err := r.Metric(ctx, gateway, "edge_packs_total")
	if err != nil {
		return err
	}
	_, err = rig.Await(ctx, "packs in "+gateway, func() error {
		now, err := r.Metric(ctx, gateway, "edge_packs_total")
		if err == nil && now < before+2*fewPacks {
			err = fmt.Errorf("%.0f so far", now-before)
		}
		return err
	})
	return errors.Join(err, r.Moment(ctx, 0, 500*time.Millisecond))
}

// storedPacks are the packs in the newest block file of a stopped gateway.
type storedPacks struct {
	r       *rig.Round
	dir     string // of the stream
	subject string
	file    string
	data    []byte
	packs   []storedPack // oldest first
	waiting int          // index of the first one that was certainly not delivered
}

type storedPack struct {
	start, end int
	made       []oracle.Reading
}

func readStored(r *rig.Round, gateway string, since time.Time) (*storedPacks, error) {
	s := &storedPacks{
		r: r, subject: wire.PackSubject(gateway),
		dir: filepath.Join(gatewayDir(r, gateway), "jetstream", "UPLINK", "streams", wire.PackStream(gateway)),
	}
	blocks, err := filepath.Glob(filepath.Join(s.dir, "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no block files in %s", s.dir))
	}
	s.file = slices.MaxFunc(blocks, func(a, b string) int { return number(a) - number(b) })
	if s.data, err = os.ReadFile(s.file); err != nil {
		return nil, err
	}
	for at := 0; ; {
		start, end, ok := wire.FindPack(s.data[at:])
		if !ok {
			break
		}
		start, end = at+start, at+end
		p, err := wire.OpenPack(s.data[start:end])
		if err != nil {
			return nil, err
		}
		if p.Header.Base < since.UnixMilli() {
			s.waiting = len(s.packs) + 1
		}
		one := storedPack{start: start, end: end}
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			var reading telemetry.Reading
			if e.Refusal != nil || wire.DecodeReading(e.Payload, &reading, nil) != nil {
				continue
			}
			one.made = append(one.made, oracle.Reading{Device: strings.Clone(e.Device), Timestamp: reading.Timestamp})
		}
		s.packs = append(s.packs, one)
		at = end
	}
	if len(s.packs)-s.waiting < fewPacks {
		return nil, fmt.Errorf("%w: %d in %s", errFewPacks, len(s.packs)-s.waiting, s.file)
	}
	return s, nil
}

func number(block string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(block), ".blk"))
	return n
}

// pick returns one of the waiting packs.
func (s *storedPacks) pick() int {
	return s.waiting + s.r.Rand.IntN(len(s.packs)-s.waiting)
}

// flipPack changes a bit within a pack.
func flipPack(s *storedPacks) (lost []storedPack, err error) {
	p := s.packs[s.pick()]
	at := p.start + s.r.Rand.IntN(p.end-p.start)
	s.data[at] ^= 1 << s.r.Rand.IntN(8)
	return []storedPack{p}, os.WriteFile(s.file, s.data, 0o600)
}

// flipHead changes a bit of the stream's record header before a pack.
func flipHead(s *storedPacks) (lost []storedPack, err error) {
	p := s.packs[s.pick()]
	subject := bytes.LastIndex(s.data[:p.start], []byte(s.subject))
	const before = 22 // length, sequence, time, length of the subject
	if subject < before {
		return nil, errors.New("a pack without its subject")
	}
	from := subject - before
	s.data[from+s.r.Rand.IntN(p.start-from)] ^= 1 << s.r.Rand.IntN(8)
	return nil, os.WriteFile(s.file, s.data, 0o600)
}

// cutTail truncates the file within one of the last packs.
func cutTail(s *storedPacks) (lost []storedPack, err error) {
	lost = s.packs[len(s.packs)-1-s.r.Rand.IntN(10):]
	return lost, os.Truncate(s.file, int64(lost[0].start+s.r.Rand.IntN(lost[0].end-lost[0].start)))
}

// zeroBesides zeroes the description of the stream and all files of consumers.
func zeroBesides(dir string) error {
	err := errors.Join(zeroFile(filepath.Join(dir, "meta.inf")), zeroFile(filepath.Join(dir, "meta.sum")))
	return errors.Join(err, filepath.WalkDir(filepath.Join(dir, "obs"), func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		return zeroFile(name)
	}))
}

func zeroFile(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, make([]byte, info.Size()), 0o600)
}
