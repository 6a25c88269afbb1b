package notify

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
)

func always(status int) func(int, http.ResponseWriter) {
	return func(_ int, w http.ResponseWriter) { w.WriteHeader(status) }
}

func TestWithoutAnOutputRunReturnsAtOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	n, err := New(Options{Config: defaultConfig(t), Log: newLog(t), Registry: reg})
	require.NoError(t, err)
	require.NoError(t, n.Run(t.Context()))
	r := &running{Notifier: n, reg: reg}
	for _, kind := range kinds {
		for _, result := range []string{"sent", "failed", "dropped"} {
			require.Zero(t, r.value(t, "core_notifications_total", kind, result))
		}
		require.Zero(t, r.value(t, "core_notify_pending", kind))
		require.Zero(t, r.value(t, "core_notify_oldest_seconds", kind))
		require.Zero(t, r.value(t, "core_notify_last_success_timestamp_seconds", kind))
	}
}

func TestAlarmIsSentWhenRaisedAndWhenCleared(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL, cfg.ExternalURL = e.URL, "https://portal.example/iot/"
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)
	a := alarm("device_001", "temperature_high")
	p.produce(a)
	e.await(t, a.AlertID, "firing")
	p.produce(cleared(a))
	e.await(t, a.AlertID, "firing", "resolved")
	got := e.alerts(t)[0]
	require.Equal(t, "https://portal.example/iot/#/alarms/"+a.AlertID, got.GeneratorURL)
	require.Equal(t, a.RaisedAt, got.StartsAt.UnixMilli())
	require.Eventually(t, func() bool { return n.value(t, "core_notifications_total", kindWebhook, "sent") == 2 }, waitTimeout, often)
	require.Positive(t, n.value(t, "core_notify_last_success_timestamp_seconds", kindWebhook))
	require.Zero(t, n.value(t, "core_notify_pending", kindWebhook))
	require.Zero(t, n.value(t, "core_notify_last_success_timestamp_seconds", kindAlertmanager))
}

func TestRecordsWithoutEventGoByTheirStatus(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	p.start().ready(t, 3)
	a := alarm("device_001", "temperature_high")
	a.Revision, a.Event, a.State, a.Source, a.Priority, a.OccurrenceCount = 0, "", "", "", 0, 0
	p.produce(a)
	e.await(t, a.AlertID, "firing")
	over := a
	over.Status, over.ClearedAt = telemetry.AlertCleared, a.Timestamp+5
	p.produce(over)
	e.await(t, a.AlertID, "firing", "resolved")
}

func TestOutageOfTheReceiverLosesNothing(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, always(http.StatusServiceUnavailable))
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)
	over, holds := alarm("device_001", "temperature_high"), alarm("device_002", "temperature_high")
	p.produce(over, holds)
	require.Eventually(t, func() bool { return e.requests() > 2 }, waitTimeout, often)
	p.produce(cleared(over), then(holds, telemetry.EventAcknowledged, nil))
	require.Eventually(t, func() bool { return n.value(t, "core_notify_oldest_seconds", kindWebhook) > 0.1 }, waitTimeout, often)
	require.InDelta(t, 2, n.value(t, "core_notify_pending", kindWebhook), 0)
	require.Positive(t, n.value(t, "core_notifications_total", kindWebhook, "failed"))
	require.Eventually(t, func() bool { return n.outbox.wanted(over.AlertID) == 2 }, waitTimeout, often)
	e.set(nil)
	e.await(t, over.AlertID, "resolved")
	e.await(t, holds.AlertID, "firing")
}

// wanted returns the newest revision of an alarm in the outbox.
func (b *outbox) wanted(id string) (revision int64) {
	b.each(func(in *incident) {
		if in.want.alert.AlertID == id {
			revision = in.want.alert.Revision
		}
	})
	return revision
}

func TestRetryAfterIsObeyed(t *testing.T) {
	cfg := fast(t)
	var asked, came time.Time
	e := newEndpoint(t, nil)
	e.set(func(n int, w http.ResponseWriter) {
		if n == 0 {
			asked = time.Now()
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if came.IsZero() {
			came = time.Now()
		}
	})
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	p.start().ready(t, 3)
	a := alarm("device_001", "temperature_high")
	p.produce(a)
	e.await(t, a.AlertID, "firing")
	require.GreaterOrEqual(t, came.Sub(asked), 2*time.Second)
}

func TestRefusedNotificationIsCountedAndDoesNotHoldUpOthers(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, always(http.StatusBadRequest))
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)
	a := alarm("device_001", "temperature_high")
	p.produce(a)
	require.Eventually(t, func() bool { return n.value(t, "core_notifications_total", kindWebhook, "dropped") == 1 }, waitTimeout, often)
	require.InDelta(t, 1, n.value(t, "core_notify_dropped_alarms_total", kindWebhook, "refused"), 0)
	e.set(nil)
	b := alarm("device_001", "current_high")
	p.produce(b)
	e.await(t, b.AlertID, "firing")
}

// TestRestartLosesNoNotification: notifications not accepted before the stop are sent
// after the start, accepted ones are not sent again.
func TestRestartLosesNoNotification(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)
	before, holds := alarm("device_001", "temperature_high"), alarm("device_002", "temperature_high")
	p.produce(before, holds)
	e.await(t, before.AlertID, "firing")
	e.await(t, holds.AlertID, "firing")
	p.produce(cleared(before))
	e.await(t, before.AlertID, "firing", "resolved")

	e.set(always(http.StatusInternalServerError))
	during := alarm("device_003", "temperature_high")
	p.produce(during)
	require.Eventually(t, func() bool { return n.value(t, "core_notify_pending", kindWebhook) == 1 }, waitTimeout, often)
	n.stop()
	e.set(nil)
	while := alarm("device_004", "temperature_high")
	p.produce(while, cleared(while), cleared(holds))

	again := p.start()
	e.await(t, during.AlertID, "firing")
	e.await(t, while.AlertID, "resolved")
	e.await(t, holds.AlertID, "firing", "resolved")
	e.await(t, before.AlertID, "firing", "resolved")
	require.Eventually(t, func() bool { return again.value(t, "core_notify_pending", kindWebhook) == 0 }, waitTimeout, often)
}

// TestFirstStartIsSilentAboutThePast: switching notifications on sends standing alarms,
// not a week of history.
func TestFirstStartIsSilentAboutThePast(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	old, holds := alarm("device_001", "temperature_high"), alarm("device_002", "temperature_high")
	p.produce(old, holds, cleared(old))
	p.start().ready(t, 3)
	e.await(t, holds.AlertID, "firing")
	next := alarm("device_001", "current_high")
	p.produce(next)
	e.await(t, next.AlertID, "firing")
	require.Empty(t, e.statuses(t, old.AlertID))
}

// TestFirstPositionIsCommittedAtOnce: a core that dies before its first alarm leaves
// after its start, so that its successor sends what ended in between.
func TestFirstPositionIsCommittedAtOnce(t *testing.T) {
	cfg := fast(t)
	cfg.WebhookURL = newEndpoint(t, nil).URL
	p := newPlant(t, cfg)
	a := alarm("device_001", "temperature_high")
	p.produce(a, cleared(a))
	n := p.start()
	require.Eventually(t, func() bool { return n.value(t, "core_notify_partitions") == 3 }, waitTimeout, often)
	committed := p.committed(t)
	require.Len(t, committed, 3)
	ends := int64(0)
	for _, at := range committed {
		require.GreaterOrEqual(t, at, int64(0))
		ends += at
	}
	require.EqualValues(t, 2, ends, "existing records are the past")
}

// committed returns the offsets that the notifiers committed, by partition.
func (p *plant) committed(t *testing.T) map[int32]int64 {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(p.o.Kafka.Brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	r, err := admin.ListConsumerGroupOffsets(p.o.GroupID+"-notify", map[string][]int32{p.o.Topics.Alerts: {0, 1, 2}})
	require.NoError(t, err)
	out := map[int32]int64{}
	for partition, block := range r.Blocks[p.o.Topics.Alerts] {
		out[partition] = block.Offset
	}
	return out
}

// TestTwoNotifiersShareTheWork: one goes, the other takes over, and every alarm is sent.
func TestTwoNotifiersShareTheWork(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	first, second := p.start(), p.start()
	owned := func(n *running) int {
		n.outbox.mu.Lock()
		defer n.outbox.mu.Unlock()
		return len(n.outbox.partitions)
	}
	require.Eventually(t, func() bool { return owned(first) > 0 && owned(second) > 0 && owned(first)+owned(second) == 3 }, waitTimeout, often)
	var all []telemetry.Alert
	for i := range 30 {
		all = append(all, alarm("device_0"+string(rune('a'+i)), "temperature_high"))
	}
	p.produce(all...)
	for _, a := range all {
		e.await(t, a.AlertID, "firing")
	}
	first.stop()
	for _, a := range all {
		p.produce(cleared(a))
	}
	for _, a := range all {
		e.await(t, a.AlertID, "firing", "resolved")
	}
}

func TestUnreadableRecordIsCountedAndSkipped(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)
	for k := range int32(3) {
		kafkatest.Produce(t, p.o.Kafka.Brokers, p.o.Topics.Alerts, k, kafkatest.Record{Value: []byte("{")})
	}
	a := alarm("device_001", "temperature_high")
	p.produce(a)
	e.await(t, a.AlertID, "firing")
	require.Eventually(t, func() bool { return n.value(t, "core_notify_unreadable_records_total") == 3 }, waitTimeout, often)
}

// TestPastBehindTransactionMarkersIsRead: transactions end in records that no reader sees, so the
// last record before the committed end cannot be recognised by its offset.
func TestPastBehindTransactionMarkersIsRead(t *testing.T) {
	cfg := fast(t)
	e := newEndpoint(t, nil)
	cfg.WebhookURL = e.URL
	p := newPlant(t, cfg)
	a := alarm("device_001", "temperature_high")
	p.produceInTransaction(a)
	n := p.start()
	n.ready(t, 3)
	e.await(t, a.AlertID, "firing")
	n.stop()
	p.produceInTransaction(cleared(a))
	p.start()
	e.await(t, a.AlertID, "firing", "resolved")
}

func (p *plant) produceInTransaction(a telemetry.Alert) {
	p.t.Helper()
	producer, err := kafka.NewProducer(p.t.Context(), p.log, p.o.Kafka, "test", p.o.GroupID)
	require.NoError(p.t, err)
	require.NoError(p.t, producer.Begin())
	require.NoError(p.t, producer.Send(alertRecord(p.t, p.o.Topics.Alerts, a)))
	require.NoError(p.t, producer.Commit())
	require.NoError(p.t, producer.Close())
}

func TestNotifierWaitsForKafka(t *testing.T) {
	cfg := fast(t)
	cfg.WebhookURL = newEndpoint(t, nil).URL
	reg := prometheus.NewRegistry()
	n, err := New(Options{Config: cfg, Kafka: kafka.Config{Cluster: kafka.At("127.0.0.1:1")}, Topics: kafkatest.Topics(t), GroupID: "g", Log: newLog(t), Registry: reg})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	cancel()
	require.NoError(t, <-done)
}
