package feed

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

// idle returns a feed that does not run.
func idle(tb testing.TB) (*rig, Options) {
	tb.Helper()
	r := &rig{tb: tb, model: state.New(state.Options{}), trail: audit.NewTrail(100), news: &news{}, reg: prometheus.NewRegistry()}
	r.model.Observe(r.news)
	o := Options{
		Model: r.model, Trail: r.trail, HubURL: "nats://127.0.0.1:1", Cluster: kafka.At("127.0.0.1:1"),
		Topics: kafkatest.Topics(tb), Log: quiet, Registry: r.reg,
	}
	var err error
	r.feed, err = New(o)
	require.NoError(tb, err)
	return r, o
}

// value returns the value of a gauge or counter without labels.
func (r *rig) value(name string) float64 {
	r.tb.Helper()
	families, err := r.reg.Gather()
	require.NoError(r.tb, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	require.Fail(r.tb, "no such metric", name)
	return 0
}

func TestTwoFeedsDoNotShareARegistry(t *testing.T) {
	_, o := idle(t)
	_, err := New(o)
	require.ErrorContains(t, err, "registering the feed's metrics")
}

func TestFeedThatDoesNotRunHasNoHub(t *testing.T) {
	r, _ := idle(t)
	require.False(t, r.feed.HubConnected())
	require.ErrorIs(t, r.feed.Ready(), errNoHub)
	data, err := r.feed.Ask(t.Context(), "x", nil)
	require.ErrorIs(t, err, ErrNoResponder)
	require.ErrorIs(t, err, errNoHub)
	require.Nil(t, data)
	for _, name := range []string{"portal_hub_connected", "portal_kafka_connected", "portal_frames_dropped_total"} {
		require.Zero(t, r.value(name), name)
	}
}

func TestRunRefusesWhatIsNoURL(t *testing.T) {
	r, _ := idle(t)
	r.feed.opts.HubURL = "nats://%zz"
	require.ErrorContains(t, r.feed.Run(t.Context()), "connecting to NATS")
}

func TestClosedConnectionCannotSubscribe(t *testing.T) {
	r, _ := idle(t)
	nc, err := nats.Connect(startNATS(t, -1).ClientURL())
	require.NoError(t, err)
	nc.Close()
	require.ErrorContains(t, r.feed.subscribe(nc), "subscribing to")
}

func TestLiveFramesThatWaitAreBoundedInBytesAlone(t *testing.T) {
	r, _ := idle(t)
	nc, err := nats.Connect(startNATS(t, -1).ClientURL())
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, r.feed.subscribe(nc))
	sub := r.feed.live.Load()
	require.Equal(t, wire.LiveSubjects, sub.Subject)
	messages, size, err := sub.PendingLimits()
	require.NoError(t, err)
	require.Negative(t, messages)
	require.Equal(t, pendingBytes, size)
}

func TestDroppedFramesAreCounted(t *testing.T) {
	r, _ := idle(t)
	nc, err := nats.Connect(startNATS(t, -1).ClientURL(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	defer nc.Close()
	release := make(chan struct{})
	sub, err := nc.Subscribe("x", func(*nats.Msg) { <-release })
	require.NoError(t, err)
	defer close(release)
	require.NoError(t, sub.SetPendingLimits(1, -1))
	r.feed.live.Store(sub)
	require.Zero(t, r.value("portal_frames_dropped_total"))
	for range 5 {
		require.NoError(t, nc.Publish("x", nil))
	}
	r.eventually("dropped", func() bool { return r.value("portal_frames_dropped_total") >= 3 })
	nc.Close()
	require.Zero(t, r.feed.dropped(), "the connection is closed")
}

// read is a topic that was read to its end.
type read struct{ follower }

func (read) CaughtUp() bool { return true }

func TestReadyNamesTheTopicThatIsStillRead(t *testing.T) {
	r, _ := idle(t)
	nc, err := nats.Connect(startNATS(t, -1).ClientURL())
	require.NoError(t, err)
	defer nc.Close()
	r.feed.nc.Store(nc)
	require.InDelta(t, 1, r.value("portal_hub_connected"), 0)
	for _, step := range []struct {
		want error
		tail *follower
	}{{errNoAlerts, &r.feed.alerts}, {errNoStates, &r.feed.states}, {errNoMetas, &r.feed.metas}, {errNoAudit, &r.feed.audit}} {
		require.ErrorIs(t, r.feed.Ready(), step.want)
		*step.tail = read{*step.tail}
	}
	require.NoError(t, r.feed.Ready())
	require.True(t, r.feed.KafkaHealthy())
	require.InDelta(t, 1, r.value("portal_kafka_connected"), 0)
	r.feed.alerts.Failed()
	require.False(t, r.feed.KafkaHealthy())
	require.NoError(t, r.feed.Ready(), "what was read is still served")
}

func TestTopicThatCannotBeCreatedCountsAsFailure(t *testing.T) {
	r, _ := idle(t)
	r.feed.opts.Cluster = kafka.At(kafkatest.Brokers(t)...)
	r.feed.states.Failed() // of another topic
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		r.feed.follow(ctx, r.feed.alerts, kafka.Topic{Name: "not a name", Partitions: 1})
	}()
	r.eventually("failing", r.feed.alerts.Failing)
	require.False(t, r.feed.KafkaHealthy())
	cancel()
	<-done
}

func TestDeviceStateNeedsADevice(t *testing.T) {
	for name, c := range map[string]struct {
		key, value         string
		offline, malformed int
	}{
		"no key":         {"", `{"device_id":"d","presence":"offline"}`, 0, 0},
		"fence":          {"\x00d", `{"device_id":"d","presence":"offline"}`, 0, 0},
		"one letter":     {"d", `{"device_id":"d","presence":"offline"}`, 1, 0},
		"no device":      {"d", `{"presence":"offline"}`, 0, 1},
		"malformed":      {"d", `{`, 0, 1},
		"malformed part": {"d", `{"device_id":"d","presence":5}`, 0, 1},
	} {
		r, _ := idle(t)
		r.feed.applyState(&sarama.ConsumerMessage{Key: []byte(c.key), Value: []byte(c.value)}, false)
		require.Equal(t, c.offline, r.model.Stats().Devices.Offline, name)
		require.InDelta(t, c.malformed, r.malformed("device_state"), 0, name)
		r.feed.applyState(&sarama.ConsumerMessage{Key: []byte("d")}, false)
		require.Zero(t, r.model.Stats().Devices.Offline, name)
	}
}

func TestMalformedRecordsAreCountedAndDropped(t *testing.T) {
	r, _ := idle(t)
	r.feed.applyAlert(&sarama.ConsumerMessage{Value: []byte(`{}`)}, true)
	r.feed.applyAlert(&sarama.ConsumerMessage{Value: alert("a1", "active").Value}, true)
	require.Equal(t, []string{"a1 active"}, r.news.get())
	require.InDelta(t, 1, r.malformed("alerts"), 0)
	at := time.UnixMilli(5)
	r.feed.applyAudit(&sarama.ConsumerMessage{Value: []byte(`{}`), Timestamp: at}, true)
	r.feed.applyAudit(&sarama.ConsumerMessage{Value: []byte(`{"device_id":"d1"}`), Timestamp: at}, true)
	entries := r.trail.Find(func(*audit.Entry) bool { return true })
	require.Len(t, entries, 1)
	require.Equal(t, int64(5), entries[0].RecordedAt)
	require.InDelta(t, 1, r.malformed("audit"), 0)
}

func TestMalformedMessagesAreErrors(t *testing.T) {
	r, _ := idle(t)
	var b wire.FrameBuilder
	b.Reset("gw-a")
	b.Add(wire.FrameEntry{Device: "d1", Timestamp: 1, Received: 1, Payload: []byte(`{"device_id":"other"}`)})
	whole := b.Finish()
	require.Error(t, r.feed.applyFrame(whole), "a reading under another device's name")
	require.Error(t, r.feed.applyFrame([]byte(`x`)))
	require.ErrorContains(t, r.feed.applyHeartbeat([]byte(`{`)), "reading a heartbeat")
	require.ErrorContains(t, r.feed.applyLedger([]byte(`{`)), "reading a ledger")
	require.ErrorContains(t, r.feed.applyWindows([]byte(`["building"`)), "reading aggregates")
	require.NoError(t, r.feed.applyWindows([]byte(`["device"`)), "other windows are not even parsed")
	require.Empty(t, r.model.Gateways())
	require.Empty(t, r.model.Stats().Buildings)
}

// TestRemovedDeviceDoesNotComeBackByAFrameOnItsWay: the hub is faster than Kafka, or slower.
func TestRemovedDeviceDoesNotComeBackByAFrameOnItsWay(t *testing.T) {
	r, _ := idle(t)
	now := r.model.Now()
	removed := &sarama.ConsumerMessage{Key: []byte("d1"), Timestamp: time.UnixMilli(now)}
	require.NoError(t, r.feed.applyFrame(frame("d1", now-2)))
	r.feed.applyState(removed, true)
	require.NoError(t, r.feed.applyFrame(frame("d1", now-1)))
	require.NoError(t, r.feed.applyFrame(frame("d1", now)))
	require.Zero(t, r.timestamp("d1"))
	require.Equal(t, int64(2), r.model.Totals().Removed)
	require.NoError(t, r.feed.applyFrame(frame("d1", now+1)))
	require.Equal(t, now+1, r.timestamp("d1"), "it sends again")
}
