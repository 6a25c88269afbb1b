package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	// transactionTimeout is how long the broker keeps the transaction of a silent producer
	// open; until then read_committed consumers wait behind it. It also bounds one
	// transaction here: outages shorter than this are ridden out.
	transactionTimeout = 10 * time.Second
	// closeTimeout bounds Close; then every connection is cut.
	closeTimeout = 2 * time.Second
)

var errTooLong = errors.New("the transaction took longer than " + transactionTimeout.String())

// Producer is a transactional producer: sarama's connections, metadata and encoding, with
// a send path of its own, because sarama's AsyncProducer costs more than twice the CPU, waits
// tens of milliseconds between transactions, hides why a transaction failed and cannot be
// interrupted.
//
// Records gather per partition and go out in the background while more are sent, one
// request per leader at a time. It is not safe for concurrent use, except that Close may
// be called from any goroutine at any time and makes a waiting call return.
type Producer struct {
	log    *slog.Logger
	client sarama.Client
	txn    coordinated
	sever  context.CancelFunc // cuts every connection

	compression Compression

	life context.Context         //nolint:containedctx // ends when Close starts
	end  context.CancelCauseFunc // ends life

	mu       sync.Mutex      // held by the call in progress; Close waits for it
	err      error           // why the producer is unusable
	open     bool            // between Begin and Commit
	began    context.Context //nolint:containedctx // the open transaction's time limit
	expire   context.CancelFunc
	topics   map[string]*placement
	filling  load
	inflight *delivery
	spare    []*batch
	// acknowledged counts the acknowledged records of the open transaction, by topic.
	acknowledged map[string]int
	offsets      []groupOffsets
	groups       map[string]*sarama.Broker // coordinators by group

	closeOnce sync.Once
	closeErr  error
}

// groupOffsets are offsets to commit with the transaction.
type groupOffsets struct {
	offsets map[string][]*sarama.PartitionOffsetMetadata
	group   *sarama.ConsumerGroupMetadata
}

// NewProducer initialises a transactional producer, which fences every older producer
// with the same transactional id and aborts its open transaction. It retries until
// ctx ends while the brokers are unreachable. Ending ctx later changes nothing.
func NewProducer(ctx context.Context, log *slog.Logger, c Config, clientID, transactionalID string) (*Producer, error) {
	conns, sever := context.WithCancel(context.WithoutCancel(ctx))
	made := context.AfterFunc(ctx, sever)
	defer made()
	conf := newProducerSettings(c.Cluster, clientID)
	bindOnce(conns, conf)
	log = log.With("component", "kafka")
	client, err := dial(ctx, log, c.Cluster, conf)
	if err != nil {
		sever()
		return nil, fmt.Errorf("initialising transactional producer %s: %w", transactionalID, err)
	}
	p := &Producer{
		log: log, client: client, sever: sever, compression: c.Compression, topics: make(map[string]*placement), groups: make(map[string]*sarama.Broker),
		acknowledged: make(map[string]int),
		txn:          coordinated{client: client, id: transactionalID, added: make(map[topicPartition]bool)},
	}
	p.life, p.end = context.WithCancelCause(context.WithoutCancel(ctx))
	err = persist(ctx, log, "initialising transactional producer "+transactionalID, p.txn.initialise)
	if err != nil {
		sever()
		_ = client.Close()
		return nil, err
	}
	return p, nil
}

// dial connects a client, retrying until ctx ends.
func dial(ctx context.Context, log *slog.Logger, cluster Cluster, conf *sarama.Config) (client sarama.Client, err error) {
	err = persist(ctx, log, "connecting to kafka", func() (err error) {
		client, err = cluster.connect(conf)
		return err
	})
	return client, err
}

// Begin opens a transaction. It calls no broker and does not block.
func (p *Producer) Begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	if p.open {
		return p.fail(errors.New("a transaction is open already"))
	}
	p.open = true
	clear(p.acknowledged)
	p.began, p.expire = context.WithTimeoutCause(p.life, transactionTimeout, errTooLong)
	return nil
}

// Send adds a record to the open transaction; its partition follows from its key, as in
// Kafka's own clients (murmur2). It keeps the bytes of key, value and headers until Commit
// or Close returns, but not m itself nor its slice of headers: these may be reused for the
// next record. It blocks while 4 MiB are in flight and as much again is waiting (or 1 MB of
// one partition), at most until the transaction times out (10 s), and returns an error as
// soon as a record of the transaction is known to have failed.
func (p *Producer) Send(m *sarama.ProducerMessage) error { return p.send(byKey, m) }

// SendTo is Send to the given partition, whatever the record's key.
func (p *Producer) SendTo(partition int32, m *sarama.ProducerMessage) error {
	return p.send(partition, m)
}

func (p *Producer) send(partition int32, m *sarama.ProducerMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	if !p.open {
		return p.fail(errors.New("sending: no transaction is open"))
	}
	if err := p.add(partition, m); err != nil {
		return p.fail(fmt.Errorf("sending to %s: %w", m.Topic, err))
	}
	return nil
}

// AddOffsets makes the consumer group's offsets (next to read, by topic and partition)
// part of the transaction, fenced by the group's generation (KIP-447). Commit sends them to
// the broker; there a stale generation is refused with ErrFenced. It keeps both arguments
// until then.
func (p *Producer) AddOffsets(offsets map[string][]*sarama.PartitionOffsetMetadata, group *sarama.ConsumerGroupMetadata) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	if !p.open {
		return p.fail(errors.New("adding offsets: no transaction is open"))
	}
	p.offsets = append(p.offsets, groupOffsets{offsets, group})
	return nil
}

// Acknowledged flushes the open transaction, waits for every record of it and returns how
// many of a topic the brokers have acknowledged. It waits as Commit does, which then has
// less to wait for, and fails with ErrRewound when an acknowledgement contradicts an earlier
// one.
func (p *Producer) Acknowledged(topic string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.usable(); err != nil {
		return 0, err
	}
	if err := p.settle(); err != nil {
		return 0, p.fail(fmt.Errorf("waiting for acknowledgements: %w", err))
	}
	return p.acknowledged[topic], nil
}

// settle flushes and waits for every acknowledgement.
func (p *Producer) settle() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.await()
}

// Commit waits for every record and commits, for at most 10 s from Begin and the one request
// in progress. After any error the producer is unusable: Close it, make a new one, and start
// again from the last committed position, which may be this transaction's: after an error
// the outcome is unknown.
func (p *Producer) Commit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	if !p.open {
		return p.fail(errors.New("committing: no transaction is open"))
	}
	if err := p.commit(); err != nil {
		return p.fail(fmt.Errorf("committing: %w", err))
	}
	p.open = false
	p.expire()
	return nil
}

func (p *Producer) commit() error {
	if err := p.settle(); err != nil {
		return err
	}
	for _, o := range p.offsets {
		if err := p.commitOffsets(o); err != nil {
			return err
		}
	}
	clear(p.offsets)
	p.offsets = p.offsets[:0]
	return p.endTransaction(p.began, true)
}

// usable returns the error that makes the producer unusable, if any.
func (p *Producer) usable() error {
	if p.life.Err() != nil {
		return ErrClosed
	}
	return p.err
}

// fail records the first error, which every later call returns.
func (p *Producer) fail(err error) error {
	if p.err == nil {
		p.err = err
	}
	return err
}

// Close aborts an open transaction if the broker still allows it and frees the producer. It
// returns within about 2 s. Closing twice does nothing.
func (p *Producer) Close() error {
	p.closeOnce.Do(func() { p.closeErr = p.close() })
	return p.closeErr
}

func (p *Producer) close() error {
	p.end(ErrClosed)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, p.sever)
	defer stop()
	p.mu.Lock() // a call in progress returns, at the latest when its connection is cut
	defer p.mu.Unlock()
	_ = p.await()
	err := p.abort(ctx)
	p.sever()
	return errors.Join(err, p.client.Close())
}

// abort aborts an open transaction, so that readers need not wait until it times out. The
// new owner has aborted a fenced one already.
func (p *Producer) abort(ctx context.Context) error {
	if !p.open {
		return nil
	}
	p.open = false
	p.expire()
	if errors.Is(p.err, ErrFenced) {
		return nil
	}
	if err := p.endTransaction(ctx, false); err != nil && !errors.Is(err, ErrFenced) {
		return fmt.Errorf("aborting: %w", err)
	}
	return nil
}
