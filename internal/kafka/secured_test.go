//go:build secured

package kafka_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// TestApacheKafkaRefuses runs in `make test-kafka`, whose broker has a listener with SASL_SSL.
func TestApacheKafkaRefuses(t *testing.T) {
	_, dir, ok := kafkatest.Secured()
	require.True(t, ok, "run make test-kafka")
	ca := kafkatest.OpenAuthority(t, dir)
	name := kafkatest.Name(t, "user")
	kafkatest.User(t, name, password)
	for what, x := range map[string]struct {
		bend func(*kafka.Cluster)
		want string
	}{
		"wrong password":  {func(c *kafka.Cluster) { c.Password = wrong }, "SASL Authentication failed"},
		"unknown user":    {func(c *kafka.Cluster) { c.Username = "stranger" }, "SASL Authentication failed"},
		"PLAIN":           {func(c *kafka.Cluster) { c.Mechanism = kafka.Plain }, "KAFKA_SASL_MECHANISM=PLAIN"},
		"wrong CA":        {func(c *kafka.Cluster) { c.CAFile = kafkatest.NewAuthority(t).File }, "unknown authority"},
		"expired program": {func(c *kafka.Cluster) { c.CertFile, c.KeyFile = ca.Issue(t, "old", time.Now().Add(-time.Minute)) }, "tls: "},
	} {
		t.Run(what, func(t *testing.T) {
			c := kafkatest.As(name, password)
			x.bend(&c)
			refusedFor(t, c, x.want)
		})
	}
	good := kafkatest.As(name, password).Open()
	log, err := kafka.OpenLog(within(t), good, "topic", "test")
	require.NoError(t, err, "the right password, without any right")
	require.NoError(t, log.Close())
}
