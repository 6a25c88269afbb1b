package kafka

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wrongOf returns the settings that are wrong, with what would be right.
func wrongOf(t *Topic, f *facts) map[string]string {
	out := map[string]string{}
	for _, x := range judge(t, f) {
		if x.want != "" {
			out[x.setting] = x.want
		}
	}
	return out
}

func TestEachSettingThatBreaksAPromiseIsFound(t *testing.T) {
	readings := Topic{Name: "device-data", Partitions: 10, MaxMessageBytes: 4 << 20, MinRetention: 24 * time.Hour}
	trail := Topic{Name: "alarm-audit", Partitions: 3, KeepForever: true}
	state := Topic{Name: "device-state", Partitions: 10, Like: &readings, Compacted: true}
	single := Topic{Name: "access", Partitions: 1, OnePartition: true, Compacted: true}
	right := map[string]string{
		"cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "-1", "max.message.bytes": "4194304",
		"message.timestamp.type": "CreateTime", "unclean.leader.election.enable": "false", "min.insync.replicas": "2",
	}
	for name, tt := range map[string]struct {
		topic   Topic
		setting string // changed from what is right
		value   string
		change  func(*facts)
		want    string // of that setting; empty: none is wrong
	}{
		"readings":                            {topic: readings},
		"readings kept for ever":              {readings, "retention.ms", "-1", nil, ""},
		"readings kept for an hour":           {readings, "retention.ms", "3600000", nil, "86400000 (24h0m0s) or more, or -1"},
		"readings limited by size":            {readings, "retention.bytes", "1000000000", nil, ""},
		"readings compacted":                  {readings, "cleanup.policy", "compact", nil, "delete"},
		"readings compacted and deleted":      {readings, "cleanup.policy", "compact,delete", nil, "delete"},
		"small records only":                  {readings, "max.message.bytes", "1048588", nil, "4194304 or more"},
		"larger records":                      {readings, "max.message.bytes", "9000000", nil, ""},
		"times of the broker":                 {readings, "message.timestamp.type", "LogAppendTime", nil, ""},
		"one replica must have it":            {readings, "min.insync.replicas", "1", nil, "2"},
		"more replicas must have it than are": {readings, "min.insync.replicas", "4", nil, "3 or less, its number of replicas"},
		"an unclean leader":                   {readings, "unclean.leader.election.enable", "true", nil, "false"},
		"one replica of three brokers":        {readings, "min.insync.replicas", "1", func(f *facts) { f.replicas = 1 }, ""},
		"the only broker":                     {readings, "min.insync.replicas", "1", func(f *facts) { f.replicas, f.brokers = 1, 1 }, ""},
		"one replica cannot be two":           {readings, "min.insync.replicas", "2", func(f *facts) { f.replicas, f.brokers = 1, 1 }, "1 or less, its number of replicas"},
		"a trail with an end":                 {trail, "retention.ms", "31536000000", func(f *facts) { f.config["retention.bytes"] = "-1" }, "-1"},
		"a trail with a largest size":         {trail, "retention.bytes", "1", func(f *facts) { f.config["retention.ms"] = "-1" }, "-1"},
		"a trail with times of the broker":    {trail, "message.timestamp.type", "LogAppendTime", func(f *facts) { f.config["retention.ms"] = "-1" }, "CreateTime"},
		"a compacted trail":                   {trail, "cleanup.policy", "compact", func(f *facts) { f.config["retention.ms"] = "-1" }, "delete"},
		"state":                               {state, "cleanup.policy", "compact", nil, ""},
		"state that is deleted":               {state, "cleanup.policy", "delete", nil, "compact"},
		"state with a retention":              {state, "cleanup.policy", "compact,delete", nil, "compact"},
		"a setting that the broker lacks":     {readings, "retention.ms", "1", func(f *facts) { delete(f.config, "retention.ms") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &facts{config: maps.Clone(right), partitions: int(tt.topic.Partitions), replicas: 3, brokers: 3}
			if tt.setting != "" {
				f.config[tt.setting] = tt.value
			}
			if tt.change != nil {
				tt.change(f)
			}
			want := map[string]string{}
			if tt.want != "" {
				want[tt.setting] = tt.want
			}
			got := wrongOf(&tt.topic, f)
			if f.replicas == 1 && f.brokers > 1 {
				want[replicationFactor] = "3, or 2 with two brokers"
			}
			require.Equal(t, want, got)
		})
	}
	policy := map[string]string{"cleanup.policy": "compact"}
	require.Equal(t, map[string]string{partitionCount: "1"}, wrongOf(&single, &facts{config: policy, partitions: 3, replicas: 1, brokers: 1}))
	require.Equal(t, map[string]string{partitionCount: "10, as device-data has"}, wrongOf(&state, &facts{config: policy, partitions: 3, replicas: 1, brokers: 1}))
	require.Equal(t, map[string]string{replicationFactor: "3, or 2 with two brokers"}, wrongOf(&readings, &facts{partitions: 10, replicas: 1, brokers: 3}),
		"without the right DescribeConfigs")
}
