//go:build e2e && secured

package e2e

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/freeport"
)

// TestOnlyTheDocumentedProgramWritesCommandsAndAudit has each user write what is not its own.
func TestOnlyTheDocumentedProgramWritesCommandsAndAudit(t *testing.T) {
	o := cluster.Options{Suffix: kafkatest.Name(t, ""), Brokers: strings.Split(os.Getenv(kafkatest.EnvBrokers), ",")}
	secure(t, &o)
	kafkatest.User(t, "nobody"+o.Suffix, userPassword)
	topics := topology.Suffixed(o.Suffix)
	for topic, writers := range map[string][]string{topics.Commands: {"portal"}, topics.Audit: {"core"}, topics.Security: {"bridge", "portal"}} {
		for _, program := range []string{"bridge", "core", "portal", "nobody"} {
			err := write(t, kafkatest.As(program+o.Suffix, userPassword), topic)
			if slices.Contains(writers, program) {
				require.NoError(t, err, program)
			} else {
				require.ErrorIs(t, err, sarama.ErrTopicAuthorizationFailed, "%s writes %s", program, topic)
			}
		}
	}
}

// TestDocumentedRightsAreEnoughForTheSecurityAudit has bridge and portal write it, and a portal check it.
func TestDocumentedRightsAreEnoughForTheSecurityAudit(t *testing.T) {
	o := cluster.Options{Suffix: kafkatest.Name(t, ""), Brokers: strings.Split(os.Getenv(kafkatest.EnvBrokers), ",")}
	secure(t, &o)
	topics := topology.Suffixed(o.Suffix)
	topic := topics.Specs().Security
	var log logtest.Buffer
	for _, program := range []string{"bridge", "portal"} {
		j, err := auditlog.New(auditlog.Options{Cluster: kafkatest.As(program+o.Suffix, userPassword), Topic: topic, Program: program, Log: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.NoError(t, j.Write(t.Context(), securityaudit.Record{What: securityaudit.InsecureStart, Outcome: securityaudit.Done}), program)
		require.NoError(t, j.Flush(t.Context()))
	}
	require.NotContains(t, log.String(), "level=WARN", "its retention is seen, and unlimited")
	v, err := auditlog.Verify(t.Context(), slog.New(slog.DiscardHandler), kafkatest.As("portal"+o.Suffix, userPassword), topic)
	require.NoError(t, err)
	require.Empty(t, v.Faults())
	records, chains := v.Counts()
	require.Equal(t, []int{2, 2}, []int{records, chains})
}

func write(t *testing.T, c kafka.Cluster, topic string) error {
	t.Helper()
	conf := c.Settings("test")
	conf.Metadata.Retry.Max, conf.Producer.Return.Successes = 3, true
	client, err := kafka.NewClient(t.Context(), c, conf)
	require.NoError(t, err)
	defer func() { _ = client.Close() }() // the write was answered
	p, err := sarama.NewSyncProducerFromClient(client)
	require.NoError(t, err)
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("{}")})
	require.NoError(t, p.Close())
	return err
}

// TestRefusedProgramSaysSoAndGoesOn starts each program once more, with a wrong password.
func TestRefusedProgramSaysSoAndGoesOn(t *testing.T) {
	const wrong = "wrong horse, battery"
	p := startCluster(t)
	for program, variable := range map[string]string{"bridge": "BRIDGE_HTTP_ADDR", "core": "CORE_HTTP_ADDR", "portal": "PORTAL_ADDR"} {
		addr, name := freeport.Address(t), program+"-refused"
		env := map[string]string{
			"KAFKA_SASL_PASSWORD": wrong, "LOG_LEVEL": "debug", variable: addr, "BRIDGE_HUB_ADDR": freeport.Address(t), "BRIDGE_LEAF_ADDR": freeport.Address(t),
			"HISTORY": "off", "WEBSOCKET_PORT": "0", "PORTAL_STORE": filepath.Join(t.TempDir(), "portal.db"),
		}
		require.NoError(t, p.AddLike(name, program, addr, env))
		require.NoError(t, p.Launch(name))
		require.Eventually(t, func() bool { return strings.Contains(get(addr, "/readyz"), "SASL Authentication failed") }, waitTimeout, pollInterval, name)
		require.True(t, p.Running(name))
		require.Contains(t, logs(t, p, name), "kafka refused the connection, retrying")
		for _, secret := range []string{wrong, userPassword} {
			require.NotContains(t, logs(t, p, name)+get(addr, "/readyz")+get(addr, "/metrics"), secret)
			require.NotContains(t, logs(t, p, program), secret)
		}
	}
}
