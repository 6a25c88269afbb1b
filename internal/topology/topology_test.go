package topology_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTopicsOfTheContract keeps the public topic names and variables from changing.
func TestTopicsOfTheContract(t *testing.T) {
	want := map[string]string{
		"KAFKA_TOPIC_DEVICE_DATA": "device-data", "KAFKA_TOPIC_ALERTS": "alerts", "KAFKA_TOPIC_DEAD_LETTERS": "device-data-dlq",
		"KAFKA_TOPIC_CHECKPOINTS": "bridge-checkpoints", "KAFKA_TOPIC_ALARM_COMMANDS": "alarm-commands",
		"KAFKA_TOPIC_ALARM_AUDIT": "alarm-audit",
		"KAFKA_TOPIC_ALARM_STATE": "alarm-state", "KAFKA_TOPIC_DEVICE_STATE": "device-state",
		"KAFKA_TOPIC_ALARM_RULES": "alarm-rules", "KAFKA_TOPIC_DETECT_STATE": "detect-state",
		"KAFKA_TOPIC_DEVICE_META": "device-meta", "KAFKA_TOPIC_PORTAL_METADATA": "portal-metadata",
		"KAFKA_TOPIC_ACCESS": "access", "KAFKA_TOPIC_SECURITY_AUDIT": "security-audit",
	}
	got := map[string]string{}
	for _, v := range config.Describe(topology.Topics{}) {
		got[v.Name] = v.Default
		require.NotEmpty(t, v.Help)
	}
	require.Equal(t, want, got)
}

func TestTableHasEveryTopicOnce(t *testing.T) {
	topics := topology.Suffixed("-x")
	specs := topics.Specs()
	listed := map[string]int{}
	for _, s := range specs.All() {
		listed[s.Name]++
		require.True(t, s.Partitions > 0 || s.Like.Name == "device-data-x", s.Name)
	}
	names := reflect.ValueOf(topics)
	require.Len(t, listed, names.NumField())
	for field, value := range reflect.ValueOf(specs).Fields() {
		name := names.FieldByName(field.Name).String()
		require.Equal(t, name, value.FieldByName("Name").String(), field.Name)
		require.Equal(t, 1, listed[name], name)
	}
	require.True(t, specs.Audit.KeepForever, "who acknowledged an alarm is never forgotten")
	require.True(t, specs.Security.KeepForever, "who let whom in is never forgotten")
	require.EqualValues(t, 1, specs.Security.Partitions, "a record that is missing is a missing offset")
	require.True(t, specs.Metadata.KeepForever, "what operators wrote is nowhere else")
	require.EqualValues(t, 1, specs.Metadata.Partitions, "the order of all changes decides")
	require.EqualValues(t, 1, specs.Rules.Partitions, "the order of all approvals decides")
	require.True(t, specs.Rules.Compacted, "who approved a rule is never forgotten: no record has the key of another")
}

func TestNamesThatKafkaCannotHaveAreRefused(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "bad topic!", "温度", strings.Repeat("x", 250)} {
		topics := topology.Suffixed("")
		require.NoError(t, topics.Check())
		topics.Audit, topics.Alerts = bad, bad
		err := topics.Check()
		require.ErrorContains(t, err, `KAFKA_TOPIC_ALARM_AUDIT="`+bad+`"`)
		require.ErrorContains(t, err, "KAFKA_TOPIC_ALERTS")
		require.NotContains(t, err.Error(), "KAFKA_TOPIC_DEVICE_DATA")
	}
	longest := topology.Suffixed("")
	longest.Alerts = strings.Repeat("x", 249)
	longest.Audit = "a.b_c-D9"
	require.NoError(t, longest.Check())
}
