package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
)

// content is a file that was read whole, by digests.
type content struct {
	header  *header
	records map[int32][]digest
}

func (c *content) count() (n int) {
	for _, records := range c.records {
		n += len(records)
	}
	return n
}

// verify reads a file and keeps what its records look like: 16 bytes each.
func verify(dir string, p *place) (*content, error) {
	c := &content{records: make(map[int32][]digest)}
	name := filepath.Join(dir, fileName(p.role))
	err := read(name, func(h *header) error {
		c.header = h
		if h.Role != p.role {
			return fmt.Errorf("%w %s: it has that of %s; was it renamed?", errNoFile, p.role, h.Role)
		}
		return nil
	}, func(r record) error {
		d, err := r.digest()
		c.records[r.Partition] = append(c.records[r.Partition], d)
		return err
	})
	return c, err
}

var errNoBackup = errors.New("-dir: none of the topics has a file there")

// present returns the places that have a file, and names the others.
func present(dir string, chosen []place, out io.Writer) (found []place, err error) {
	for _, p := range chosen {
		_, err := os.Stat(filepath.Join(dir, fileName(p.role)))
		switch {
		case errors.Is(err, os.ErrNotExist):
			fmt.Fprintf(out, "%s: not in the backup, skipped\n", p.role)
		case err != nil:
			return nil, err
		default:
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, errNoBackup)
	}
	return found, nil
}

// importer writes a backup into a cluster.
type importer struct {
	cluster kafka.Config
	dir     string
	out     io.Writer
	log     *slog.Logger
}

// run imports all or some topics. Every file is read whole, and every topic compared with its file, before the first record is written.
func (i *importer) run(ctx context.Context, chosen []place) error {
	found, err := present(i.dir, chosen, i.out)
	if err != nil {
		return err
	}
	contents := make([]*content, len(found))
	for n := range found {
		if contents[n], err = verify(i.dir, &found[n]); err != nil {
			return err
		}
	}
	there := make([]map[int32]int, len(found))
	for n := range found {
		if there[n], err = i.prepare(ctx, &found[n], contents[n]); err != nil {
			return err
		}
	}
	for n := range found {
		if err := i.topic(ctx, &found[n], contents[n], there[n]); err != nil {
			return err
		}
	}
	return nil
}

// prepare creates a topic if it is missing and returns how many records of the file each partition has already.
func (i *importer) prepare(ctx context.Context, p *place, c *content) (map[int32]int, error) {
	spec, want := p.spec, c.header.Partitions
	if spec.OnePartition && want != 1 {
		return nil, fmt.Errorf("%s was exported with %d partitions: the product wants one, and the order of records in several is lost", p.role, want)
	}
	create := []kafka.Topic{}
	if like := spec.Like; like != nil {
		data := *like
		data.Partitions = want
		create = append(create, data)
	}
	spec.Like, spec.Partitions = nil, want
	create = append(create, spec)
	if err := kafka.EnsureTopics(ctx, i.log, i.cluster.Cluster, create...); err != nil {
		return nil, err
	}
	for _, t := range create {
		if err := i.checkPartitions(ctx, t.Name, p, want); err != nil {
			return nil, err
		}
	}
	return i.compare(ctx, spec.Name, c, false)
}

// checkPartitions refuses another number of partitions: a key has its partition by their number, and which
// records have a partition of their own choice is not in the file.
func (i *importer) checkPartitions(ctx context.Context, topic string, p *place, want int32) error {
	log, err := kafka.OpenLog(ctx, i.cluster.Cluster, topic, clientID)
	if err != nil {
		return err
	}
	partitions, err := log.Partitions()
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	if len(partitions) != int(want) {
		return fmt.Errorf("topic %s has %d partitions, and %s was exported from %d: create %s with %d partitions, then import", topic, len(partitions), p.role, want, topic, want)
	}
	return nil
}

// compare returns how many records each partition has. They must be the first ones of the file; if whole, all of them.
func (i *importer) compare(ctx context.Context, topic string, c *content, whole bool) (map[int32]int, error) {
	log, err := kafka.OpenLog(ctx, i.cluster.Cluster, topic, clientID)
	if err != nil {
		return nil, err
	}
	there := make(map[int32]int)
	for n := range c.header.Partitions {
		if there[n], err = comparePartition(ctx, log, topic, n, c.records[n]); err != nil {
			break
		}
		if want := len(c.records[n]); whole && there[n] != want {
			err = fmt.Errorf("%s/%d has %d of %d records after the import", topic, n, there[n], want)
			break
		}
	}
	return there, errors.Join(err, log.Close())
}

func comparePartition(ctx context.Context, log *kafka.Log, topic string, n int32, want []digest) (there int, err error) {
	first, end, err := log.Bounds(n)
	if err != nil {
		return 0, err
	}
	if first > 0 {
		return 0, foreign(topic, n, 0, "its first records were deleted")
	}
	return there, log.ReadCommitted(ctx, n, first, end, func(m *sarama.ConsumerMessage) error {
		d, err := recordOf(m).digest()
		switch {
		case err != nil:
			return err
		case there >= len(want):
			return foreign(topic, n, m.Offset, "the file has no further one")
		case d != want[there]:
			return foreign(topic, n, m.Offset, "the file has another one")
		}
		there++
		return nil
	})
}

func foreign(topic string, partition int32, offset int64, why string) error {
	return fmt.Errorf("%s/%d at offset %d: %w: %s. An import wants a topic that is empty or missing, or that the same import was stopped in: "+
		"stop all programs, remove the topic, and import again", topic, partition, offset, ErrForeign, why)
}

// topic writes what a topic lacks, and reads it back.
func (i *importer) topic(ctx context.Context, p *place, c *content, there map[int32]int) error {
	had := 0
	for _, n := range there {
		had += n
	}
	if missing := c.count() - had; missing > 0 {
		if err := i.write(ctx, p, there); err != nil {
			return fmt.Errorf("%w. Run the same import again: it goes on where it stopped, and writes nothing twice", err)
		}
		if _, err := i.compare(ctx, p.spec.Name, c, true); err != nil {
			return err
		}
	}
	fmt.Fprintf(i.out, "%s: %d records, %d of them were there\n", p.spec.Name, c.count(), had)
	return nil
}

// Bounds of what is sent at once: it fits a topic with Kafka's usual max.message.bytes.
const (
	sendRecords = 500
	sendBytes   = 900_000
)

// write sends the records behind those that are there.
func (i *importer) write(ctx context.Context, p *place, there map[int32]int) error {
	client, err := kafka.NewClient(ctx, i.cluster.Cluster, i.settings())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // every record was acknowledged, or not
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return fmt.Errorf("creating a producer: %w", err)
	}
	defer func() { _ = producer.Close() }() // as above
	var waiting []*sarama.ProducerMessage
	size, seen := 0, make(map[int32]int)
	send := func() error {
		err := producer.SendMessages(waiting)
		waiting, size = nil, 0
		if errs, ok := errors.AsType[sarama.ProducerErrors](err); ok && len(errs) > 0 {
			err = errs[0]
		}
		if err != nil {
			return fmt.Errorf("writing to %s: %w", p.spec.Name, err)
		}
		return ctx.Err()
	}
	err = read(filepath.Join(i.dir, fileName(p.role)), func(*header) error { return nil }, func(r record) error {
		if seen[r.Partition]++; seen[r.Partition] <= there[r.Partition] {
			return nil
		}
		m := message(p.spec.Name, &r)
		n := m.ByteSize(2)
		if len(waiting) > 0 && (len(waiting) == sendRecords || size+n > sendBytes) {
			if err := send(); err != nil {
				return err
			}
		}
		waiting, size = append(waiting, m), size+n
		return nil
	})
	if err != nil || len(waiting) == 0 {
		return err
	}
	return send()
}

// settings are those of a producer that writes each record once, in order, to the partition that it names.
func (i *importer) settings() *sarama.Config {
	s := i.cluster.Settings(clientID)
	s.Producer.Idempotent, s.Net.MaxOpenRequests = true, 1
	s.Producer.Partitioner = sarama.NewManualPartitioner
	s.Producer.Return.Successes = true
	s.Producer.Retry.Max, s.Producer.Retry.Backoff = 20, 500*time.Millisecond
	return s
}

func message(topic string, r *record) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.Time)}
	if r.Key != nil {
		m.Key = sarama.ByteEncoder(r.Key)
	}
	if r.Value != nil {
		m.Value = sarama.ByteEncoder(r.Value)
	}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return m
}
