package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/IBM/sarama"
)

// Cluster is what it takes to connect: addresses, and how the two sides prove who they are.
type Cluster struct {
	Brokers []string `env:"KAFKA_BROKERS" envDefault:"127.0.0.1:9092" envSeparator:"," help:"Kafka bootstrap servers, host:port, comma separated"`
	Security

	link *link
}

// At is an unsecured cluster.
func At(brokers ...string) Cluster { return Cluster{Brokers: brokers} }

// Open returns the cluster with what its connections share: one token, why the brokers
// last refused them, for Refusal, and which settings of topics are wrong, for Register. It does not connect. The cluster may be used without, too.
func (c Cluster) Open() Cluster {
	c.link = &link{promised: newPromised()}
	c.link.tokens = c.OAuth.tokens()
	return c
}

// Check refuses addresses that are none, and settings that contradict each other. It reads the
// files of certificates.
func (c Cluster) Check() error {
	if len(c.Brokers) == 0 {
		return errors.New("KAFKA_BROKERS is empty: want host:port")
	}
	for _, addr := range c.Brokers {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fmt.Errorf("KAFKA_BROKERS: %q: want host:port", addr)
		}
	}
	return c.Security.check()
}

// explain adds the reason to an error of sarama that lacks one: it forgets what a broker said
// when it refused the mechanism of SASL.
func (c Cluster) explain(err error, conf *sarama.Config) error {
	if !c.Protocol.sasl() || !errors.Is(err, sarama.ErrOutOfBrokers) || refused(err) {
		return err
	}
	for _, addr := range c.Brokers {
		b := sarama.NewBroker(addr)
		if b.Open(conf) != nil {
			continue
		}
		_, reason := b.Connected()
		_ = b.Close() // nothing was asked
		if refused(reason) {
			return fmt.Errorf("%w: %w", err, c.hint(reason))
		}
	}
	return err
}

// hint names the variable behind a refusal.
func (c Cluster) hint(err error) error {
	if errors.Is(err, sarama.ErrUnsupportedSASLMechanism) {
		return fmt.Errorf("KAFKA_SASL_MECHANISM=%s: %w", c.SASL.Mechanism, err)
	}
	return err
}

// connect makes a client from settings that are bound to a context.
func (c Cluster) connect(conf *sarama.Config) (sarama.Client, error) {
	client, err := sarama.NewClient(c.Brokers, conf)
	err = c.explain(err, conf)
	c.link.note(err)
	if err != nil {
		return nil, fmt.Errorf("connecting to kafka: %w", err)
	}
	return client, nil
}

// admin makes an admin client that does not retry and ends with ctx.
func (c Cluster) admin(ctx context.Context) (sarama.ClusterAdmin, error) {
	conf := c.Settings("topics")
	bindOnce(ctx, conf)
	client, err := c.connect(conf)
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("creating an admin client: %w", err), client.Close())
	}
	return admin, nil
}
