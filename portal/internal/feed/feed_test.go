package feed

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/test/freeport"
)

func TestNewNeedsItsParts(t *testing.T) {
	_, err := New(Options{})
	require.ErrorIs(t, err, errMissing)
}

func TestEverySourceReachesTheModel(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	r := start(t, brokers, topics)
	r.ready()
	now := r.model.Now()

	r.publish(wire.LiveSubject("gw-a"), frame("d1", now))
	r.eventually("reading", func() bool { return r.timestamp("d1") == now })

	status, err := wire.GatewayStatus{Gateway: "gw-a", Building: "A栋", BufferLimit: 10}.Encode()
	require.NoError(t, err)
	r.publish(wire.StatusSubject("gw-a"), status)
	r.eventually("heartbeat", func() bool { return len(r.model.Gateways()) == 1 })

	ws, err := json.Marshal([]telemetry.Window{
		{Scope: "building", ID: "A栋", Parameter: "temperature", Start: now / 1000 * 1000, WidthMS: 1000, Count: 2, Sum: 50},
	})
	require.NoError(t, err)
	r.publish(wire.AggregateSubject, ws)
	r.eventually("means", func() bool {
		b := r.model.Stats().Buildings
		return len(b) == 1 && b[0].Means["temperature"].Count == 2
	})

	kafkatest.Produce(t, brokers, topics.Alerts, -1, alert("a1", telemetry.AlertActive))
	r.eventually("alert", func() bool { return len(r.news.get()) == 1 })

	state, err := json.Marshal(telemetry.DeviceState{DeviceID: "silent", Presence: telemetry.PresenceOffline})
	require.NoError(t, err)
	kafkatest.Produce(t, brokers, topics.DeviceState, -1,
		kafkatest.Record{Key: []byte("\x00fence"), Value: []byte("nonce")}, kafkatest.Record{Key: []byte{}, Value: []byte("empty key")},
		kafkatest.Record{Key: []byte("silent"), Value: state})
	r.eventually("device state", func() bool { return r.model.Stats().Devices.Offline == 1 })
	kafkatest.Produce(t, brokers, topics.DeviceState, -1, kafkatest.Record{Key: []byte("silent"), Value: nil})
	r.eventually("tombstone", func() bool { return r.model.Stats().Devices.Offline == 0 })
	require.Zero(t, r.malformed("device_state"), "records without a device's key are skipped, not malformed")
	require.Equal(t, 1, r.model.Stats().Devices.Total, "d1")
}

func TestMalformedInputIsCountedAndDoesNoHarm(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	r := start(t, brokers, topics)
	r.ready()
	good := frame("d1", 5)
	for subject, source := range map[string]string{
		wire.LiveSubject("x"): "live", wire.StatusSubject("x"): "status", wire.AggregateSubject: "aggregates",
	} {
		r.publish(subject, []byte(`{"building" is malformed`))
		r.eventually(source, func() bool { return r.malformed(source) == 1 })
	}
	r.publish(wire.LiveSubject("x"), good[:len(good)-2])
	r.publish(wire.AggregateSubject, []byte(`nothing of ours`))
	kafkatest.Produce(t, brokers, topics.Alerts, 0, kafkatest.Record{Value: []byte(`{`)}, alert("a1", telemetry.AlertActive))
	kafkatest.Produce(t, brokers, topics.DeviceState, 0, kafkatest.Record{Key: []byte("d"), Value: []byte(`[]`)})
	r.publish(wire.LiveSubject("x"), good)
	r.eventually("the good ones", func() bool {
		return r.timestamp("d1") == 5 && len(r.news.get()) == 1 && r.malformed("device_state") == 1
	})
	require.InDelta(t, 2, r.malformed("live"), 0)
	require.InDelta(t, 1, r.malformed("alerts"), 0)
	require.InDelta(t, 1, r.malformed("aggregates"), 0)
}

func TestOldAlertsAreNotNewsAndAbortedOnesNeverRead(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	ensure(t, brokers, topics)
	kafkatest.Produce(t, brokers, topics.Alerts, 0,
		alert("old", telemetry.AlertActive), alert("old", telemetry.AlertCleared), alert("still", telemetry.AlertActive))
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	p, err := kafka.NewProducer(ctx, quiet, kafka.Config{Cluster: kafka.At(brokers...)}, "test", kafkatest.Name(t, "txn"))
	require.NoError(t, err)
	send := func(a kafkatest.Record) {
		t.Helper()
		require.NoError(t, p.Begin())
		require.NoError(t, p.SendTo(1, &sarama.ProducerMessage{Topic: topics.Alerts, Key: sarama.ByteEncoder(a.Key), Value: sarama.ByteEncoder(a.Value)}))
	}
	send(alert("committed", telemetry.AlertActive))
	require.NoError(t, p.Commit())
	send(alert("aborted", telemetry.AlertActive))
	require.NoError(t, p.Close()) // the partition now ends with aborted records

	r := start(t, brokers, topics)
	r.ready()
	require.ElementsMatch(t, []string{"still active", "committed active"}, r.news.get())
	kafkatest.Produce(t, brokers, topics.Alerts, 1, alert("new", telemetry.AlertActive))
	r.eventually("new alert", func() bool { return len(r.news.get()) == 3 })
	require.Len(t, r.model.Alerts(func(*state.Alert) bool { return true }), 4)
}

func TestHubMayGoAwayAndComeBack(t *testing.T) {
	r := start(t, kafkatest.Brokers(t), kafkatest.Topics(t))
	r.ready()
	port := portOf(t, r.hub)
	r.hub.Shutdown()
	r.hub.WaitForShutdown()
	r.eventually("not ready", func() bool { return r.feed.Ready() != nil })
	require.ErrorIs(t, r.feed.Ready(), errNoHub)
	r.hub = startNATS(t, port)
	r.ready()
	r.eventually("reading", func() bool { // a new hub may not have the subscription yet, and keeps nothing for it
		r.publish(wire.LiveSubject("gw-a"), frame("d1", 7))
		return r.timestamp("d1") == 7
	})
}

func TestKafkaMayGoAwayAndComeBack(t *testing.T) {
	dir, topics := t.TempDir(), kafkatest.Topics(t)
	broker := kafkatest.Embedded(t, devkafka.Options{DataDir: dir})
	brokers := []string{broker.Addr()}
	r := start(t, brokers, topics)
	r.ready()
	kafkatest.Produce(t, brokers, topics.Alerts, -1, alert("a1", telemetry.AlertActive))
	r.eventually("a1", func() bool { return len(r.news.get()) == 1 })
	require.True(t, r.feed.KafkaHealthy())

	require.NoError(t, broker.Close())
	r.eventually("trouble is noticed", func() bool { return !r.feed.KafkaHealthy() })
	require.NoError(t, r.feed.Ready(), "cached data is still served")
	kafkatest.Embedded(t, devkafka.Options{Addr: brokers[0], DataDir: dir})
	kafkatest.Produce(t, brokers, topics.Alerts, -1, alert("a1", telemetry.AlertCleared))
	r.eventually("a1 cleared", func() bool { return len(r.news.get()) == 2 })
	require.Equal(t, []string{"a1 active", "a1 cleared"}, r.news.get())
	r.eventually("trouble is over", r.feed.KafkaHealthy)
}

func TestRecreatedTopicIsReadFromItsStart(t *testing.T) {
	topics := kafkatest.Topics(t)
	broker := kafkatest.Embedded(t, devkafka.Options{})
	brokers := []string{broker.Addr()}
	r := start(t, brokers, topics)
	r.ready()
	for i := range 5 {
		kafkatest.Produce(t, brokers, topics.Alerts, 0, alert(strconv.Itoa(i), telemetry.AlertActive))
	}
	r.eventually("five", func() bool { return len(r.news.get()) == 5 })
	require.NoError(t, broker.Close())
	kafkatest.Embedded(t, devkafka.Options{Addr: brokers[0]}) // with nothing in it
	ensure(t, brokers, topics)
	kafkatest.Produce(t, brokers, topics.Alerts, 0, alert("0", telemetry.AlertActive), alert("again", telemetry.AlertActive))
	r.eventually("the new one", func() bool { return len(r.news.get()) == 6 })
	require.Equal(t, "again active", r.news.get()[5], "a known alert is not reported again")
}

func TestFeedWaitsForKafkaAndStopsMeanwhile(t *testing.T) {
	addr := freeport.Address(t)
	r := start(t, []string{addr}, kafkatest.Topics(t))
	r.eventually("hub", r.feed.HubConnected)
	require.ErrorIs(t, r.feed.Ready(), errNoAlerts)
	require.False(t, r.feed.KafkaHealthy())
	r.publish(wire.LiveSubject("gw-a"), frame("d1", 7))
	r.eventually("live readings need no kafka", func() bool { return r.timestamp("d1") == 7 })
}

func TestLedgersAndAuditTrailArrive(t *testing.T) {
	brokers, topics := kafkatest.Brokers(t), kafkatest.Topics(t)
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	require.NoError(t, kafka.EnsureTopics(ctx, quiet, kafka.At(brokers...), kafka.Topic{Name: topics.Audit, Partitions: 2}))
	first := time.Now().Add(-time.Hour).UnixMilli() // Kafka may drop what is older than its topic keeps
	old := make([]kafkatest.Record, 250)
	for i := range old {
		old[i] = kafkatest.Record{
			Key: []byte("d1"), Value: []byte(`{"device_id":"d1","alert_id":"` + strconv.Itoa(i) + `"}`), Timestamp: time.UnixMilli(first + int64(i)),
		}
	}
	kafkatest.Produce(t, brokers, topics.Audit, 0, old...)
	r := start(t, brokers, topics)
	r.ready()
	all := func(*audit.Entry) bool { return true }
	got := r.trail.Find(all)
	require.Len(t, got, 100, "the limit of the trail")
	require.Equal(t, "249", got[99].AlertID)
	require.Equal(t, int64(100), r.trail.Figures().Total, "older ones are not even read")
	require.Equal(t, first+150, r.trail.Since())

	kafkatest.Produce(t, brokers, topics.Audit, 1, kafkatest.Record{Value: []byte(`{}`)},
		kafkatest.Record{Key: []byte("d1"), Value: []byte(`{"device_id":"d1","command_id":"c1","outcome":"applied"}`)})
	r.eventually("outcome", func() bool { return r.trail.Outcome("c1") != nil })
	require.InDelta(t, 1, r.malformed("audit"), 0)

	ledger, err := wire.GatewayLedger{Gateway: "gw-a", Difference: 3}.Encode()
	require.NoError(t, err)
	r.publish(wire.LedgerSubject("gw-a"), ledger)
	r.eventually("ledger", func() bool {
		g := r.model.Gateways()
		return len(g) == 1 && g[0].Ledger != nil && g[0].Ledger.Difference == 3
	})
}

func TestAskRequestsThroughTheHub(t *testing.T) {
	r := start(t, kafkatest.Brokers(t), kafkatest.Topics(t))
	r.ready()
	_, err := r.feed.Ask(t.Context(), "no.responder", nil)
	require.ErrorIs(t, err, ErrNoResponder)
	nc, err := nats.Connect(r.hub.ClientURL())
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	require.NoError(t, err)
	_, err = nc.Subscribe("mute", func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	data, err := r.feed.Ask(t.Context(), "echo", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, "x", string(data))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.feed.Ask(ctx, "mute", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	r.hub.Shutdown()
	r.eventually("the hub is away", func() bool { return !r.feed.HubConnected() })
	_, err = r.feed.Ask(t.Context(), "echo", nil)
	require.ErrorIs(t, err, ErrNoResponder)
}
