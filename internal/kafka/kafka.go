// Package kafka is the product's Kafka client: settings, topic creation, transactional
// producers, consumer group members and restoring compacted topics. It is not for readings
// or packs, nor for plain consumers: use sarama's with Cluster.Settings. Functions that call the
// broker block until it answers or their context ends.
package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
)

// Config is the part of a program's environment that reaches Kafka.
type Config struct {
	Cluster
	Compression Compression `env:"KAFKA_COMPRESSION" envDefault:"zstd" help:"compression of what is written to Kafka: zstd, lz4, snappy or none"`
}

// Compression of the batches of records. The zero value is Zstd.
type Compression string

// Compressions. Zstd takes half the bytes of lz4 for readings (docs/adr/0024).
const (
	Zstd   Compression = "zstd"
	LZ4    Compression = "lz4"
	Snappy Compression = "snappy"
	None   Compression = "none"
)

// codec returns sarama's codec and level.
func (c Compression) codec() (sarama.CompressionCodec, int, bool) {
	switch c {
	case Zstd, "":
		return sarama.CompressionZSTD, 1, true // higher levels are slower and save nothing
	case LZ4:
		return sarama.CompressionLZ4, sarama.CompressionLevelDefault, true
	case Snappy:
		return sarama.CompressionSnappy, sarama.CompressionLevelDefault, true
	case None:
		return sarama.CompressionNone, sarama.CompressionLevelDefault, true
	default:
		return sarama.CompressionNone, 0, false
	}
}

// Check refuses what cannot be used or contradicts itself.
func (c Config) Check() error {
	if _, _, ok := c.Compression.codec(); !ok {
		return fmt.Errorf("KAFKA_COMPRESSION=%s: want zstd, lz4, snappy or none", c.Compression)
	}
	return c.Cluster.Check()
}
