package processor

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/freeport"
)

func TestStartsBeforeKafkaAndHub(t *testing.T) {
	p := newEnv(t)
	kafkaAddr, hubAddr := freeport.Address(t), freeport.Address(t)
	p.cfg.Brokers = []string{kafkaAddr}
	p.cfg.HubURL = "nats://" + hubAddr
	c := p.start()
	require.Error(t, c.Ready())
	kafkatest.Embedded(t, devkafka.Options{Addr: kafkaAddr})
	require.Eventually(t, func() bool { return c.Ready() == nil }, waitTimeout, 10*time.Millisecond)

	// Without a hub everything but its part works.
	direct := func(temperature float64) { // of no gateway, so that this core shows it
		p.produce(kafkatest.Record{Key: []byte("d1"), Value: sampleReading("d1", time.Now().UnixMilli(), temperature)})
	}
	direct(99)
	require.Len(t, p.alerts(1), 1)
	c.eventually(t, 1, "core_live_frames_total", "dropped")
	c.eventually(t, 1, "core_hub_messages_total", "alert", "dropped")

	host, port, err := net.SplitHostPort(hubAddr)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	ns, err := server.NewServer(&server.Options{Host: host, Port: n, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	require.Eventually(t, func() bool {
		direct(20)
		return c.value(t, "core_live_frames_total", "published") > 0
	}, waitTimeout, 200*time.Millisecond)
}

func TestStopIsPromptWhateverIsAway(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	broker := kafkatest.Embedded(t, devkafka.Options{})
	p.cfg.Brokers = []string{broker.Addr()}
	c := p.startReady()
	p.produce(reading("d1", time.Now().UnixMilli(), 99))
	p.alerts(1)
	require.NoError(t, broker.Close())
	start := time.Now()
	c.stop()
	require.Less(t, time.Since(start), waitTimeout/2)

	c = p.start() // and one that never reached Kafka
	start = time.Now()
	c.stop()
	require.Less(t, time.Since(start), waitTimeout/2)
}

func TestKafkaOutageIsRiddenOut(t *testing.T) {
	p := newEnv(t)
	addr, dir := freeport.Address(t), t.TempDir()
	broker := kafkatest.Embedded(t, devkafka.Options{Addr: addr, DataDir: dir})
	p.cfg.Brokers = []string{addr}
	c := p.startReady()
	now := time.Now().UnixMilli()
	p.produce(reading("d1", now-5000, 99))
	p.alerts(1)
	require.NoError(t, broker.Close())
	kafkatest.Embedded(t, devkafka.Options{Addr: addr, DataDir: dir})
	p.produce(reading("d1", now-1000, 20))
	requireOnePair(t, p.alerts(2), 1)
	require.Eventually(t, func() bool { return c.Ready() == nil }, waitTimeout, 10*time.Millisecond)
}

func TestStateTopicsFollowTheInput(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(3)
	c := p.startReady()
	c.eventually(t, 3, "core_partitions_owned")
	p.produce(reading("d1", time.Now().UnixMilli(), 99))
	in := kafkatest.ReadAll(t, p.cfg.Brokers, p.cfg.DeviceData, 1, waitTimeout)
	p.states(func(s map[string]telemetry.DeviceState) bool { return len(s) == 1 })
	for _, topic := range []string{p.cfg.AlarmState, p.cfg.DeviceState} {
		for _, r := range kafkatest.ReadAll(t, p.cfg.Brokers, topic, 1, waitTimeout) {
			if string(r.Key) == "d1" {
				require.Equal(t, in[0].Partition, r.Partition, topic)
			}
		}
	}
}

func TestPartitionsMustMatch(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.createInput(3)
	require.NoError(t, kafka.EnsureTopics(t.Context(), discardLog(), p.cfg.Cluster,
		kafka.Topic{Name: p.cfg.AlarmState, Partitions: 2, Compacted: true}))
	c, err := New(Options{Config: p.cfg, Log: discardLog()})
	require.NoError(t, err)
	err = c.Run(t.Context())
	require.ErrorIs(t, err, kafka.ErrUnusable)
	require.ErrorContains(t, err, p.cfg.AlarmState+" has 2 partitions")
}

func TestTakenPortIsNamed(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	cfg := defaultConfig(t)
	cfg.HTTPAddr = ln.Addr().String()
	_, err = New(Options{Config: cfg, Log: discardLog()})
	require.ErrorContains(t, err, "CORE_HTTP_ADDR")
}

func TestInvalidHubURLEndsRun(t *testing.T) {
	cfg := defaultConfig(t)
	cfg.HubURL = "nats://%zz"
	for _, addr := range []string{"127.0.0.1:0", ""} {
		cfg.HTTPAddr = addr
		p, err := New(Options{Config: cfg, Log: discardLog()})
		require.NoError(t, err)
		require.ErrorContains(t, p.Run(t.Context()), "HUB_URL")
		if addr == "" {
			require.Empty(t, p.Addr())
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", p.Addr())
		require.NoError(t, err, "its port is free again")
		require.NoError(t, ln.Close())
	}
}

func TestUnusablePartStopsTheStart(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"CORE_RULES_FILE": func(c *Config) { c.RulesFile = "missing.yaml" },
		"CORE_HTTP_ADDR":  func(c *Config) { c.HTTPAddr = "no address" },
	} {
		cfg := defaultConfig(t)
		change(&cfg)
		_, err := New(Options{Config: cfg, Log: discardLog()})
		require.ErrorContains(t, err, name)
	}
}
