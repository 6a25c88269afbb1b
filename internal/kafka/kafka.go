// Package kafka is the product's Kafka client: settings, topic creation, transactional
// producers, consumer group members and restoring compacted topics. It is not for readings
// or packs, nor for plain consumers: use sarama's with NewSettings. Functions that call the
// broker block until it answers or their context ends.
package kafka

import (
	"errors"
	"fmt"
	"net"
)

// Config is the part of a program's environment that reaches Kafka.
type Config struct {
	Brokers []string `env:"KAFKA_BROKERS" envDefault:"127.0.0.1:9092" envSeparator:"," help:"Kafka bootstrap servers, host:port, comma separated"`
}

// Check refuses bootstrap servers that are no addresses.
func (c Config) Check() error {
	if len(c.Brokers) == 0 {
		return errors.New("KAFKA_BROKERS is empty: want host:port")
	}
	for _, addr := range c.Brokers {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fmt.Errorf("KAFKA_BROKERS: %q: want host:port", addr)
		}
	}
	return nil
}
