package kafka

import (
	"context"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// MaxRecordBytes is the largest record the product's clients send and read: a refused
// message of up to 1 MB fits into the dead letters with room to spare.
const MaxRecordBytes = 4 << 20

// Settings returns the sarama settings every client of this product starts from.
func (c Cluster) Settings(clientID string) *sarama.Config {
	conf := newSettings(clientID)
	d := &ctxDialer{ctx: context.Background(), dialer: net.Dialer{Timeout: conf.Net.DialTimeout}}
	if c.Protocol.tls() {
		d.tls = &c.SSL
	}
	conf.Net.Proxy.Enable, conf.Net.Proxy.Dialer = true, d // sarama's only hook for a dialer
	if c.Protocol.sasl() {
		tokens := c.OAuth.tokens()
		if c.link != nil {
			tokens = c.link.tokens
		}
		c.SASL.apply(conf, tokens)
	}
	return conf
}

func newSettings(clientID string) *sarama.Config {
	muteSarama()
	c := sarama.NewConfig()
	c.ClientID = clientID
	// Supported by Apache Kafka 4 and the embedded broker; sarama negotiates each
	// request down to the broker's version.
	c.Version = sarama.V4_0_0_0

	c.Net.DialTimeout = 5 * time.Second
	// An answer may take long by design: a member that joins a group waits until
	// the others have joined too, up to the rebalance timeout.
	c.Net.ReadTimeout = 30 * time.Second
	c.Net.WriteTimeout = 15 * time.Second

	// Outages are ridden out here: stalled requests refresh metadata until a broker
	// answers. The count also bounds how often a group fetches its offsets while a
	// transaction with them is still open.
	c.Metadata.Retry.Max = 1000
	c.Metadata.Retry.Backoff = 250 * time.Millisecond
	c.Metadata.Timeout = 30 * time.Second
	// A misspelled topic is an error, not a new topic.
	c.Metadata.AllowAutoTopicCreation = false

	// For sarama's own producers made from these settings: the same guarantees and
	// placement as Producer's.
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	c.Producer.Compression, c.Producer.CompressionLevel, _ = Zstd.codec()
	c.Producer.MaxMessageBytes = MaxRecordBytes

	// Records of aborted transactions are never seen.
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	// A group without a position starts at the oldest record: the default (newest)
	// would lose records from before the first start.
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	// Positions are committed in transactions, or not at all.
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Return.Errors = true
	// Of a partition, as compressed: ten times as much in memory while it waits.
	c.Consumer.Fetch.Default = 256 << 10
	c.Consumer.MaxWaitTime = 250 * time.Millisecond
	c.Consumer.Retry.Backoff = 250 * time.Millisecond
	// A slow stage is back pressure, not a failure: a partition whose records are not
	// consumed for this long is fetched separately, which costs requests.
	c.Consumer.MaxProcessingTime = time.Second

	// A crashed member is noticed in 10 s; a restarted one leaves properly.
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	// A member learns of a rebalance by its next heartbeat.
	c.Consumer.Group.Heartbeat.Interval = time.Second
	c.Consumer.Group.Rebalance.Timeout = 20 * time.Second
	c.Consumer.Group.Rebalance.Retry.Max = 20
	c.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	return c
}

// newProducerSettings returns the settings of a transactional producer's client.
func newProducerSettings(cluster Cluster, clientID string) *sarama.Config {
	c := cluster.Settings(clientID)
	c.Net.MaxOpenRequests = 1 // the producer has one request in flight per broker
	// A broker that accepts a request and never answers must not block a lane for long;
	// it may wait for its replicas first.
	c.Net.ReadTimeout = produceTimeout + 3*time.Second
	return c
}

// produceTimeout is how long the leader may wait for its replicas.
const produceTimeout = 5 * time.Second
