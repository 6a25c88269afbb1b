package processor

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/test/faults/kafkaproxy"
)

// Keys of requests, from the Kafka protocol guide.
const (
	offsetFetch int16 = 9
	joinGroup   int16 = 11
	heartbeat   int16 = 12
	leaveGroup  int16 = 13
	syncGroup   int16 = 14
)

// TestStopIsPromptWhateverKafkaIsAt stops a processor while Kafka receives a request and
// never answers, or keeps answering that it is not ready. Run returns an error when a part
// did not stop in time.
func TestStopIsPromptWhateverKafkaIsAt(t *testing.T) {
	t.Parallel()
	silent := func(key int16, match func(kafkaproxy.Exchange) bool) func(*halfBroker) {
		return func(b *halfBroker) { b.swallow(key, match) }
	}
	tests := []struct {
		name string
		// starting is the fault from the start, working the fault once it is ready.
		starting, working func(*halfBroker)
	}{
		{name: "connecting", starting: silent(kafkaproxy.AnyKey, nil)},
		{name: "asking for topics", starting: silent(kafkaproxy.Metadata, nil)},
		{name: "looking for the coordinator", starting: silent(kafkaproxy.FindCoordinator, nil)},
		{name: "there is no coordinator", starting: func(b *halfBroker) { b.noCoordinator() }},
		{name: "joining", starting: silent(joinGroup, nil)},
		{name: "being assigned", starting: silent(syncGroup, nil)},
		{name: "asking for offsets", starting: silent(offsetFetch, nil)},
		{name: "offsets are in an open transaction", starting: func(b *halfBroker) { b.unstableOffsets() }},
		{name: "fencing the former owner", starting: silent(kafkaproxy.InitProducerID, nil)},
		{name: "beginning to restore", starting: silent(kafkaproxy.AddPartitionsToTxn, nil)},
		{name: "writing the fence", starting: silent(kafkaproxy.Produce, nil)},
		{name: "committing the fence", starting: silent(kafkaproxy.EndTxn, nil)},
		{name: "reading state", starting: silent(kafkaproxy.Fetch, nil)},
		{name: "adding to the transaction", working: silent(kafkaproxy.AddPartitionsToTxn, nil)},
		{name: "writing", working: silent(kafkaproxy.Produce, nil)},
		{name: "adding the offsets", working: silent(kafkaproxy.AddOffsetsToTxn, nil)},
		{name: "committing the offsets", working: silent(kafkaproxy.TxnOffsetCommit, nil)},
		{name: "committing", working: silent(kafkaproxy.EndTxn, nil)},
		{name: "staying a member", working: silent(heartbeat, nil)},
		{name: "reading", working: silent(kafkaproxy.Fetch, nil)},
		{name: "everything", working: silent(kafkaproxy.AnyKey, nil)},
		{name: "leaving", working: func(b *halfBroker) {
			silent(leaveGroup, nil)(b)
			b.hit() // the request comes only at the stop
		}},
	}
	for some := range slices.Chunk(tests, 6) { // a stop is mostly waiting
		var stops sync.WaitGroup
		for _, tt := range some {
			c := startHalfway(t, tt.starting, tt.working)
			stops.Go(func() {
				start := time.Now()
				assert.NoError(t, c.quit(), tt.name)
				t.Logf("%s: stopped in %s", tt.name, time.Since(start))
			})
		}
		stops.Wait()
	}
}

// startHalfway returns a processor whose Kafka has reached the fault.
func startHalfway(t *testing.T, starting, working func(*halfBroker)) *core {
	t.Helper()
	p := newEnv(t)
	b := newHalfBroker(t)
	p.cfg.Brokers = []string{b.proxy.Addr()}
	if starting != nil {
		starting(b)
		c := p.start()
		b.await()
		return c
	}
	c := p.startReady()
	working(b)
	direct := *p
	direct.cfg.Brokers = []string{b.addr}
	direct.produce(reading("d1", time.Now().UnixMilli(), 99))
	b.await()
	return c
}

// halfBroker is a Kafka with a fault.
type halfBroker struct {
	t     *testing.T
	addr  string
	kafka *devkafka.Broker
	proxy *kafkaproxy.Proxy
	met   chan struct{}
	hit   func() // marks the fault as reached
}

func newHalfBroker(t *testing.T) *halfBroker {
	t.Helper()
	b := &halfBroker{t: t, kafka: kafkatest.Embedded(t, devkafka.Options{}), met: make(chan struct{})}
	b.addr = b.kafka.Addr()
	b.hit = sync.OnceFunc(func() { close(b.met) })
	var err error
	b.proxy, err = kafkaproxy.New(kafkaproxy.Options{Listen: "127.0.0.1:0", Upstream: b.addr, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.proxy.Close()) })
	return b
}

func (b *halfBroker) await() {
	b.t.Helper()
	select {
	case <-b.met:
	case <-time.After(waitTimeout):
		require.Fail(b.t, "the fault was not reached")
	}
}

// swallow drops every request of a kind.
func (b *halfBroker) swallow(key int16, match func(kafkaproxy.Exchange) bool) {
	b.proxy.On(kafkaproxy.BeforeRequest, key, func(_ context.Context, x kafkaproxy.Exchange) kafkaproxy.Verdict {
		if match != nil && !match(x) {
			return kafkaproxy.Pass
		}
		b.hit()
		return kafkaproxy.Drop
	})
}

// noCoordinator answers that no coordinator is available.
func (b *halfBroker) noCoordinator() {
	b.kafka.Cluster().ControlKey(kafkaproxy.FindCoordinator, func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.Cluster().KeepControl()
		defer b.hit()
		resp, ok := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		if ok {
			resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		}
		return resp, nil, ok
	})
}

// unstableOffsets answers that the group's offsets are in an open transaction.
func (b *halfBroker) unstableOffsets() {
	code := kerr.UnstableOffsetCommit.Code
	b.kafka.Cluster().ControlKey(offsetFetch, func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.Cluster().KeepControl()
		defer b.hit()
		asked, ok := req.(*kmsg.OffsetFetchRequest)
		if !ok {
			return nil, nil, false
		}
		resp := kmsg.NewPtrOffsetFetchResponse()
		resp.SetVersion(asked.GetVersion())
		for _, topic := range asked.Topics {
			answer := kmsg.NewOffsetFetchResponseTopic()
			answer.Topic = topic.Topic
			for _, k := range topic.Partitions {
				p := kmsg.NewOffsetFetchResponseTopicPartition()
				p.Partition, p.ErrorCode = k, code
				answer.Partitions = append(answer.Partitions, p)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		for _, group := range asked.Groups {
			answer := kmsg.NewOffsetFetchResponseGroup()
			answer.Group = group.Group
			for _, topic := range group.Topics {
				in := kmsg.NewOffsetFetchResponseGroupTopic()
				in.Topic, in.TopicID = topic.Topic, topic.TopicID
				for _, k := range topic.Partitions {
					p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
					p.Partition, p.ErrorCode = k, code
					in.Partitions = append(in.Partitions, p)
				}
				answer.Topics = append(answer.Topics, in)
			}
			resp.Groups = append(resp.Groups, answer)
		}
		return resp, nil, true
	})
}
