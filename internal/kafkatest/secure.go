package kafkatest

import (
	"os"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
)

// Environment of the real Kafka's second listener: SASL_SSL with SCRAM, where ACLs count.
const (
	envSecure = "TEST_KAFKA_SECURE" // host:port
	envTLS    = "TEST_KAFKA_TLS"    // directory with ca.pem and ca.key
)

// Secured returns the address of the listener with SASL_SSL and the directory of its CA. ok is
// false without one: then tests use the listener that takes anybody.
func Secured() (addr, dir string, ok bool) {
	addr, dir = os.Getenv(envSecure), os.Getenv(envTLS)
	return addr, dir, addr != ""
}

// As returns the cluster of that listener for a user.
func As(user string, password config.Secret) kafka.Cluster {
	addr, dir, _ := Secured()
	c := kafka.At(addr)
	c.Protocol = kafka.SASLTLS
	c.CAFile = dir + "/ca.pem"
	c.SASL = kafka.SASL{Mechanism: kafka.SCRAM256, Username: user, Password: password}
	return c
}

// User creates a user with a password.
func User(tb testing.TB, name, password string) {
	tb.Helper()
	admin := administrator(tb)
	results, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
		Name: name, Mechanism: sarama.SCRAM_MECHANISM_SHA_256, Iterations: 4096, Salt: []byte("salt of a test"), Password: []byte(password),
	}})
	require.NoError(tb, err)
	for _, r := range results {
		require.Equal(tb, sarama.ErrNoError, r.ErrorCode, r.User)
	}
}

// Allow gives users rights.
func Allow(tb testing.TB, acls ...*sarama.ResourceAcls) {
	tb.Helper()
	require.NoError(tb, administrator(tb).CreateACLs(acls))
}

// administrator connects over the listener where everybody is a super user.
func administrator(tb testing.TB) sarama.ClusterAdmin {
	tb.Helper()
	brokers := strings.Split(os.Getenv(EnvBrokers), ",")
	admin, err := sarama.NewClusterAdmin(brokers, kafka.At(brokers...).Settings("administrator"))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, admin.Close()) })
	return admin
}
