// Package kafka holds the one way this product talks to Kafka: client settings, topic
// creation, transactional producers and the restoring of compacted topics. It knows
// nothing of readings or packs, and it is not for consuming: sarama's consumers and
// groups are used directly, with NewSettings. Every function that asks the broker
// blocks until it answers or its context ends.
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
