package letterbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/wire"
)

// answerReplay executes a request.
func (b *Box) answerReplay(ctx context.Context, request []byte) *wire.DeadLetterReplayAnswer {
	var q wire.DeadLetterReplayRequest
	if json.Unmarshal(request, &q) != nil || q.Reason == "" || q.By == "" || q.Most < 1 || q.Most > wire.MaxLettersReplay {
		return &wire.DeadLetterReplayAnswer{Error: fmt.Sprintf("want a reason, a name, and 1 to %d letters at most", wire.MaxLettersReplay)}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := wire.DeadLetterReplay{ID: rand.Text(), Time: time.Now().UnixMilli(), By: q.By, Reason: q.Reason}
	n, err := b.replay(ctx, r, q.Most)
	if err != nil {
		b.index = index{} // what was committed, Kafka knows
		b.log.Warn("dead letters not replayed, or it is not known", "reason", q.Reason, "by", q.By, "err", err)
		return &wire.DeadLetterReplayAnswer{Error: errKafkaAway}
	}
	if n > 0 {
		b.log.Info("dead letters replayed", "reason", q.Reason, "by", q.By, "letters", n, "replay", r.ID)
	}
	return &wire.DeadLetterReplayAnswer{ID: r.ID, Count: n}
}

// replay sends the oldest letters of a reason that are ready to device-data and records that it
// did, in one transaction. Before it, it fences whoever replays elsewhere and commits a record to
// each partition: once it has read that, it has read the record of every earlier replay, also
// behind transactions of bridges that were open.
func (b *Box) replay(ctx context.Context, r wire.DeadLetterReplay, most int) (int, error) {
	p, err := kafka.NewProducer(ctx, b.log, b.o.Kafka, clientID, b.o.TransactionalID)
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.Close() }() // what was to be committed is
	if err := b.update(ctx, ""); err != nil {
		return 0, err
	}
	if len(b.index.ready(r.Reason, most)) == 0 {
		return 0, nil
	}
	if err := b.begin(p, r); err != nil {
		return 0, fmt.Errorf("beginning a replay: %w", err)
	}
	if err := b.update(ctx, r.ID); err != nil {
		return 0, err
	}
	chosen := b.index.ready(r.Reason, most)
	letters, err := b.letters(ctx, chosen)
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	if err := b.send(p, r, letters); err != nil {
		return 0, fmt.Errorf("replaying: %w", err)
	}
	if b.update(ctx, "") != nil {
		b.index = index{} // it is done all the same
	}
	return len(letters), nil
}

// ready returns the oldest letters of a reason that can be replayed: their offsets by partition.
func (x *index) ready(reason string, most int) map[int32][]int64 {
	type place struct {
		partition int32
		e         entry
	}
	var all []place
	for n, p := range x.parts {
		for _, e := range p.letters {
			if e.fate == ready && !e.replayed && x.reasons[e.reason] == reason {
				all = append(all, place{n, e})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.e.time, b.e.time), cmp.Compare(a.partition, b.partition), cmp.Compare(a.e.offset, b.e.offset))
	})
	out := make(map[int32][]int64)
	for _, l := range all[:min(len(all), most)] {
		out[l.partition] = append(out[l.partition], l.e.offset)
	}
	for _, offsets := range out {
		slices.Sort(offsets)
	}
	return out
}

// begin commits the record up to which the replay reads.
func (b *Box) begin(p *kafka.Producer, r wire.DeadLetterReplay) error {
	r.Begun = true
	if err := p.Begin(); err != nil {
		return err
	}
	for n := range b.index.parts {
		if err := b.record(p, n, r); err != nil {
			return err
		}
	}
	return p.Commit()
}

// record sends a record of a replay to a partition of the topic of dead letters.
func (b *Box) record(p *kafka.Producer, partition int32, r wire.DeadLetterReplay) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return p.SendTo(partition, &sarama.ProducerMessage{
		Topic: b.o.DeadLetters, Value: sarama.ByteEncoder(value), Timestamp: time.Now(),
		Headers: []sarama.RecordHeader{{Key: []byte(wire.HeaderReplay), Value: []byte(r.ID)}},
	})
}

// maxReplayBytes is the size from which a replay takes no more letters: it is one transaction.
const maxReplayBytes = 16 << 20

var errGone = errors.New("a dead letter is gone: its time is over")

// letters reads dead letters again: the index has their places only. They are fewer than chosen if
// they are large.
func (b *Box) letters(ctx context.Context, chosen map[int32][]int64) (out []*sarama.ConsumerMessage, err error) {
	log, err := kafka.OpenLog(ctx, b.o.Kafka.Cluster, b.o.DeadLetters, clientID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // it was read
	size := 0
	for _, n := range slices.Sorted(maps.Keys(chosen)) {
		offsets, found := chosen[n], 0
		err := readLog(ctx, log, n, offsets[0], offsets[len(offsets)-1]+1, true, func(m *sarama.ConsumerMessage) bool {
			for found < len(offsets) && offsets[found] < m.Offset {
				return false
			}
			if offsets[found] == m.Offset {
				m.Value = bytes.Clone(m.Value) // a fetch's buffer is many times its size
				out = append(out, m)
				size += len(m.Value)
				found++
			}
			return found < len(offsets) && size < maxReplayBytes
		})
		switch {
		case err != nil:
			return nil, err
		case size >= maxReplayBytes:
			return out, nil
		}
		if found < len(offsets) {
			return nil, errGone
		}
	}
	return out, nil
}

// send commits the letters to device-data together with the record that they were replayed.
func (b *Box) send(p *kafka.Producer, r wire.DeadLetterReplay, letters []*sarama.ConsumerMessage) error {
	if err := p.Begin(); err != nil {
		return err
	}
	sent := make(map[int32][]int64)
	for _, m := range letters {
		if err := p.Send(again(b.o.DeviceData, m)); err != nil {
			return err
		}
		sent[m.Partition] = append(sent[m.Partition], m.Offset)
	}
	for n, offsets := range sent {
		r.Offsets, r.Count = offsets, len(offsets)
		if err := b.record(p, n, r); err != nil {
			return err
		}
	}
	return p.Commit()
}

// again returns the record of device-data that a dead letter would have been. It is marked as one
// that waited, so it raises no alarm. One that came without a receive time gets that of the letter:
// the clock of its device would be judged by the time of the replay.
func again(topic string, m *sarama.ConsumerMessage) *sarama.ProducerMessage {
	out := &sarama.ProducerMessage{Topic: topic, Key: sarama.ByteEncoder(m.Key), Value: sarama.ByteEncoder(m.Value), Timestamp: time.Now()}
	add := func(key, value string) {
		if value != "" {
			out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(key), Value: []byte(value)})
		}
	}
	for _, key := range []string{wire.HeaderGateway, wire.HeaderEpoch, wire.HeaderSeq, wire.HeaderIndex} {
		add(key, header(m, key))
	}
	add(wire.HeaderReceived, cmp.Or(header(m, wire.HeaderReceived), strconv.FormatInt(m.Timestamp.UnixMilli(), 10)))
	add(wire.HeaderBackfill, "1")
	add(wire.HeaderReplayed, fmt.Sprintf("%d/%d", m.Partition, m.Offset))
	return out
}
