package historian

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

const (
	// stopTimeout bounds the last writing when the program stops.
	stopTimeout = 1500 * time.Millisecond
	// leaveTimeout bounds the last commit and the leaving of the group after that.
	leaveTimeout = 500 * time.Millisecond
	lookEvery    = time.Second
	retryPause   = time.Second
)

// backlog is how many records of each partition were not read.
type backlog struct{ partitions sync.Map }

// handler holds one session of the group. Its heads say where to read on.
type handler struct {
	h       *Historian
	client  sarama.Client
	heads   map[int32]head
	backlog *backlog

	mu  sync.Mutex
	err error
}

// Err implements kafka.Judge.
func (s *handler) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *handler) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, err)
}

// Setup opens the heads of the assigned partitions and moves the session to their positions.
func (s *handler) Setup(sess sarama.ConsumerGroupSession) error {
	err := s.setup(sess)
	s.fail(err) // sarama's own error does not say that it is this one
	return err
}

func (s *handler) setup(sess sarama.ConsumerGroupSession) error {
	h, topic := s.h, s.h.o.Topic.Name
	committed, err := h.checkOwner(s.client)
	if err != nil {
		return err
	}
	partitions := sess.Claims()[topic]
	if len(partitions) == 0 && !h.keeper.Shared() {
		return nil // another member has them, and its archive is this one or none yet
	}
	select {
	case <-h.keeper.Rebuild(): // what it asks for is done now
	default:
	}
	if err := s.bringBack(sess.Context(), partitions); err != nil {
		return err
	}
	s.heads, s.backlog = make(map[int32]head, len(partitions)), new(backlog)
	for _, p := range partitions {
		head, err := h.keeper.Head(sess.Context(), s.client, p, committed[p].Offset)
		if err != nil {
			return err
		}
		if err := s.skipRemoved(p, head); err != nil {
			return err
		}
		s.heads[p] = head
		sess.MarkOffset(topic, p, head.Next(), h.owner())
		sess.ResetOffset(topic, p, head.Next(), h.owner())
	}
	sess.Commit() // at once: another historian shall see whose history this is
	h.behind.Store(s.backlog)
	h.log.Info("history reads", "partitions", partitions, "generation", sess.GenerationID())
	return nil
}

// bringBack moves partitions back to the start of the oldest day whose file was damaged.
func (s *handler) bringBack(ctx context.Context, partitions []int32) error {
	at, some, err := s.h.keeper.Lost(ctx)
	if err != nil || !some {
		return err
	}
	to := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		// A reading is written after it was taken; only a clock that runs ahead shows less.
		offset, err := s.client.GetOffset(s.h.o.Topic.Name, p, at-intake.ClockSlack)
		if err != nil {
			return fmt.Errorf("looking up where the lost day begins: %w", err)
		}
		if offset >= 0 { // -1: there is no later record
			to[p] = offset
		}
	}
	s.h.log.Info("reading lost days of the history from Kafka again", "from", time.UnixMilli(at).UTC().Format(time.DateOnly))
	return s.h.keeper.Rewind(ctx, to)
}

// skipRemoved moves a head past records that Kafka no longer has, and says so.
func (s *handler) skipRemoved(p int32, head head) error {
	oldest, err := s.client.GetOffset(s.h.o.Topic.Name, p, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("looking up the oldest record: %w", err)
	}
	if next := head.Next(); next < oldest {
		if next > 0 {
			s.h.lost.Add(float64(oldest - next))
			s.h.log.Error("records were removed from Kafka before the history had them: give device-data a longer retention", "partition", p, "from_offset", next, "to_offset", oldest-1)
		}
		head.Skip(oldest - 1)
	}
	newest, err := s.client.GetOffset(s.h.o.Topic.Name, p, sarama.OffsetNewest)
	if err != nil {
		return fmt.Errorf("looking up the newest record: %w", err)
	}
	if next := head.Next(); next > newest {
		return refuse("%s/%d ends at offset %d and the history has read %d: the topic was created again, or this is another plant's history. "+
			"%s to begin a new history", s.h.o.Topic.Name, p, newest, next, s.h.keeper.Renew(s.h.group))
	}
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (s *handler) Cleanup(sarama.ConsumerGroupSession) error {
	for _, head := range s.heads {
		s.h.keeper.Drop(head)
	}
	if s.backlog != nil {
		s.h.behind.CompareAndSwap(s.backlog, nil)
	}
	return nil
}

// ConsumeClaim reads one partition until the session ends, then writes what it has.
func (s *handler) ConsumeClaim(sess sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	head := s.heads[claim.Partition()]
	r := &reader{h: s.h, head: head, clocks: make(map[string]*clock.Clock)}
	err := s.read(sess, claim, r)
	if err == nil {
		err = s.lastFlush(sess, claim.Partition(), head)
	}
	s.fail(err)
	return err
}

// lastFlush spares the next start to read again what this session has read. Nothing is lost without it.
func (s *handler) lastFlush(sess sarama.ConsumerGroupSession, p int32, head head) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(sess.Context()), stopTimeout)
	defer cancel()
	err := head.Flush(ctx)
	if err != nil && ctx.Err() != nil {
		s.h.log.Info("no time was left to write the newest readings of the history: the next start reads them from Kafka again", "partition", p)
		return nil
	}
	if err == nil {
		sess.MarkOffset(s.h.o.Topic.Name, p, head.Kept(), s.h.owner())
	}
	return err
}

func (s *handler) read(sess sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim, r *reader) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	lag, quiet, end := new(atomic.Int64), false, int64(0)
	s.backlog.partitions.Store(claim.Partition(), lag)
	for {
		var due bool
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			quiet = false
			if err := r.record(m); err != nil {
				return err
			}
			due = r.head.Full()
		case <-s.h.keeper.Rebuild():
			return archive.ErrRebuild
		case <-ticker.C:
			// The last offsets are mostly transaction markers, which consumers do not receive.
			was := end
			if end = claim.HighWaterMarkOffset(); quiet && end == was {
				lag.Store(0)
			} else {
				lag.Store(max(0, end-r.head.Next()))
			}
			quiet, due = true, r.head.Due()
		case <-sess.Context().Done():
			return nil
		}
		if due {
			if err := s.flush(sess, claim.Partition(), r.head, lag); err != nil {
				return err
			}
		}
	}
}

// flush writes a head's readings. While that fails, a full disk for example, nothing more is read:
// Kafka keeps it.
func (s *handler) flush(sess sarama.ConsumerGroupSession, p int32, head head, lag *atomic.Int64) error {
	var limit ops.LogLimit
	for {
		err := head.Flush(sess.Context())
		switch {
		case err == nil:
			sess.MarkOffset(s.h.o.Topic.Name, p, head.Kept(), s.h.owner())
			return nil
		case errors.Is(err, archive.ErrRebuild), errors.Is(err, remote.ErrReread):
			return err
		case sess.Context().Err() != nil:
			return nil //nolint:nilerr // the last try follows
		}
		if skipped, ok := limit.Allow(); ok {
			s.h.log.Error("writing the history failed, retrying; what is not written waits in Kafka", "partition", p, "err", err, "skipped", skipped)
		}
		// Without fetches the claim learns of no new end.
		if end, err := s.client.GetOffset(s.h.o.Topic.Name, p, sarama.OffsetNewest); err == nil {
			lag.Store(max(0, end-head.Next()))
		}
		lifecycle.Pause(sess.Context(), retryPause)
	}
}

// reader brings the records of one partition to its head.
type reader struct {
	h      *Historian
	head   head
	intake intake.Intake
	clocks map[string]*clock.Clock
}

// record takes over one record. One that is no reading is a dead letter of the processor.
func (r *reader) record(m *sarama.ConsumerMessage) error {
	r.intake.Sensors = r.h.o.Catalogue()
	o := intake.Origin{Written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		o.ReadHeader(h.Key, h.Value)
	}
	if _, refusal := r.intake.Accept(m.Key, m.Value, &o); refusal != nil {
		r.head.Skip(m.Offset)
		return nil //nolint:nilerr // the processor makes it a dead letter
	}
	reading := &r.intake.Reading
	placed := o.Place(r.clock(reading.DeviceID), reading)
	if len(reading.Sensors) == 0 {
		r.head.Skip(m.Offset)
		return nil
	}
	return r.head.Append(m, &archive.Reading{
		Device: reading.DeviceID, Building: reading.Location.Building, Floor: reading.Location.Floor, Room: reading.Location.Room, Model: reading.Info.Model,
		At: placed.At, ClockOffset: placed.Offset, Sensors: reading.Sensors,
	})
}

// clock returns that of a device, as the archive knows it from before.
func (r *reader) clock(device string) *clock.Clock {
	c := r.clocks[device]
	if c == nil {
		c = new(clock.Clock)
		if offset, known := r.head.ClockOffset(device); known {
			*c = clock.Restore(offset)
		}
		r.clocks[strings.Clone(device)] = c // the reading's text is long
	}
	return c
}

// lag returns how many records were not read.
func (h *Historian) lag() (n int64) {
	if b := h.behind.Load(); b != nil {
		b.partitions.Range(func(_, lag any) bool {
			if l, ok := lag.(*atomic.Int64); ok {
				n += l.Load()
			}
			return true
		})
	}
	return n
}
