//go:build e2e

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
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/test/cluster"
)

// userPassword is that of every user; the logs of all programs are searched for it.
const userPassword = "correct horse, battery"

// users are the programs that connect to Kafka.
var users = []string{"bridge", "core", "portal"}

// secure has every program sign in as a user of its own, which may do what docs/security.md
// says and nothing else. An administrator creates the topics first.
func secure(t *testing.T, o *cluster.Options) {
	t.Helper()
	createTopics(t, o)
	for _, program := range users {
		kafkatest.User(t, program+o.Suffix, userPassword)
	}
	kafkatest.Allow(t, documented(t, o.Suffix)...)
	addr, dir, _ := kafkatest.Secured()
	o.EnvOf = func(program string) map[string]string {
		if !slices.Contains(users, program) {
			return nil
		}
		return map[string]string{
			"KAFKA_BROKERS": addr, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
			"KAFKA_SASL_USERNAME": program + o.Suffix, "KAFKA_SASL_PASSWORD": userPassword, "KAFKA_SSL_CA_FILE": filepath.Join(dir, "ca.pem"),
		}
	}
}

// requireSignedIn makes sure that no program of the test comes as somebody else.
func requireSignedIn(t *testing.T, p *cluster.Cluster, suffix string) {
	t.Helper()
	addr, _, _ := kafkatest.Secured()
	for _, program := range users {
		require.Equal(t, program+suffix, p.Env(program, "KAFKA_SASL_USERNAME"))
		require.Equal(t, addr, p.Env(program, "KAFKA_BROKERS"))
	}
}

// createTopics does what an administrator does before the programs start.
func createTopics(t *testing.T, o *cluster.Options) {
	t.Helper()
	topics := topology.Suffixed(o.Suffix)
	specs := topics.Specs()
	if o.Bridges > 1 {
		specs.Checkpoints.Partitions = int32(2 * o.Bridges)
	}
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(o.Brokers...), specs.All()...))
}

// documented reads the rights from docs/security.md, with the names of a test's cluster.
func documented(t *testing.T, suffix string) []*sarama.ResourceAcls {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	require.NoError(t, err)
	_, table, found := strings.Cut(string(doc), "<!-- acl -->\n")
	require.True(t, found)
	var acls []*sarama.ResourceAcls
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 {
			break
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		if cells[0] == "user" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		acls = append(acls, right(t, suffix, cells))
	}
	require.Greater(t, len(acls), 20)
	return acls
}

// right is one line of the table.
func right(t *testing.T, suffix string, cells []string) *sarama.ResourceAcls {
	t.Helper()
	r := &sarama.ResourceAcls{Resource: sarama.Resource{ResourceName: cells[2] + suffix}}
	switch cells[1] {
	case "topic":
		r.ResourceType = sarama.AclResourceTopic
	case "group":
		r.ResourceType = sarama.AclResourceGroup
		if cells[2] == "bridge" {
			r.ResourceName = "bridge-lanes" + suffix
		}
	case "transactional-id":
		r.ResourceType = sarama.AclResourceTransactionalID
		r.ResourceName = strings.TrimSuffix(cells[2], "-") + suffix + "-"
	default:
		require.Fail(t, "unknown resource", cells[1])
	}
	require.NoError(t, r.ResourcePatternType.UnmarshalText([]byte(cells[3])))
	for operation := range strings.SplitSeq(cells[4], ", ") {
		acl := &sarama.Acl{Principal: "User:" + cells[0] + suffix, Host: "*", PermissionType: sarama.AclPermissionAllow}
		require.NoError(t, acl.Operation.UnmarshalText([]byte(operation)))
		r.Acls = append(r.Acls, acl)
	}
	return r
}
