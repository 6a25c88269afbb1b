package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/durable"
	"industrial-iot-monitor/internal/kafka"
)

// source is a topic to export, as it was at the cut.
type source struct {
	place
	log    *kafka.Log
	header header
}

// export writes the topics of places into a directory that does not exist yet. What belongs together is of one moment,
// to within milliseconds: the ends of all topics are taken before the first one is read.
func export(ctx context.Context, cluster kafka.Cluster, chosen []place, dir string, out io.Writer) (err error) {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("-dir: %s exists: want a new directory for each backup", dir)
	}
	sources, err := open(ctx, cluster, chosen, out)
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.log.Close())
		}
	}()
	if err != nil {
		return err
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil { // of an export that was killed
		return err
	}
	if err := os.MkdirAll(part, 0o700); err != nil {
		return err
	}
	for _, s := range sources {
		if err := s.write(ctx, filepath.Join(part, fileName(s.role)), out); err != nil {
			return errors.Join(err, os.RemoveAll(part))
		}
	}
	if err := durable.Sync(part); err != nil { // the names of the files
		return err
	}
	return durable.Rename(part, dir)
}

var errNoTopics = errors.New("none of the topics exists: wrong KAFKA_BROKERS or KAFKA_TOPIC_… variables?")

// open takes the ends of all topics that exist.
func open(ctx context.Context, cluster kafka.Cluster, chosen []place, out io.Writer) (sources []*source, err error) {
	specs := make([]kafka.Topic, len(chosen))
	for i, p := range chosen {
		specs[i] = p.spec
	}
	missing, err := kafka.Missing(ctx, cluster, specs...)
	if err != nil {
		return nil, err
	}
	for _, p := range chosen {
		if slices.Contains(missing, p.spec.Name) {
			fmt.Fprintf(out, "%s: the topic does not exist, skipped\n", p.spec.Name)
			continue
		}
		log, err := kafka.OpenLog(ctx, cluster, p.spec.Name, clientID)
		if err != nil {
			return sources, err
		}
		s := &source{place: p, log: log, header: header{Role: p.role, Topic: p.spec.Name, Compacted: p.spec.Compacted}}
		sources = append(sources, s)
		if err := s.cut(); err != nil {
			return sources, err
		}
	}
	if len(sources) == 0 {
		return nil, errNoTopics
	}
	return sources, nil
}

// cut takes the bounds of every partition.
func (s *source) cut() error {
	partitions, err := s.log.Partitions()
	if err != nil {
		return err
	}
	h := &s.header
	h.Partitions, h.Taken = int32(len(partitions)), time.Now().UnixMilli()
	for _, n := range partitions {
		first, end, err := s.log.Bounds(n)
		if err != nil {
			return err
		}
		h.First, h.End = append(h.First, first), append(h.End, end)
	}
	return nil
}

func (s *source) write(ctx context.Context, name string, out io.Writer) error {
	w, err := create(name, &s.header)
	if err != nil {
		return err
	}
	for n := range s.header.Partitions {
		if err := s.partition(ctx, n, w); err != nil {
			return errors.Join(err, w.discard())
		}
	}
	records := w.records
	if err := w.finish(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(out, "%s: %d records\n", s.spec.Name, records)
	return nil
}

var errCompacted = errors.New("the topic was compacted while it was read: run the export again")

// partition writes the records of a partition. Of a compacted topic these are the newest of each key, in their order: the
// others are gone as soon as Kafka compacts, and then a file could not be compared with a topic.
func (s *source) partition(ctx context.Context, n int32, w *writer) error {
	from, to := s.header.First[n], s.header.End[n]
	if !s.spec.Compacted {
		return s.log.ReadCommitted(ctx, n, from, to, func(m *sarama.ConsumerMessage) error { return w.add(recordOf(m)) })
	}
	newest, live := make(map[string]int64), 0
	err := s.log.ReadCommitted(ctx, n, from, to, func(m *sarama.ConsumerMessage) error {
		delete(newest, string(m.Key))
		if m.Value != nil && !kafka.Reserved(m.Key) {
			newest[string(m.Key)] = m.Offset
		}
		return nil
	})
	if err != nil || len(newest) == 0 {
		return err
	}
	err = s.log.ReadCommitted(ctx, n, from, to, func(m *sarama.ConsumerMessage) error {
		if at, found := newest[string(m.Key)]; !found || at != m.Offset {
			return nil
		}
		live++
		return w.add(recordOf(m))
	})
	if err == nil && live != len(newest) {
		return fmt.Errorf("%s/%d: %w", s.spec.Name, n, errCompacted)
	}
	return err
}
