package auditlog_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 30 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// plant has the topic in Kafka.
type plant struct {
	tb      testing.TB
	brokers []string
	topic   kafka.Topic
}

func newPlant(tb testing.TB) *plant {
	tb.Helper()
	topics := kafkatest.Topics(tb)
	return &plant{tb: tb, brokers: kafkatest.Brokers(tb), topic: topics.Specs().Security}
}

func (p *plant) journal(program string) *auditlog.Journal {
	p.tb.Helper()
	j, err := auditlog.New(auditlog.Options{Cluster: kafka.At(p.brokers...), Topic: p.topic, Program: program, Log: quiet})
	require.NoError(p.tb, err)
	return j
}

// verify returns what is wrong with the topic.
func (p *plant) verify(topic kafka.Topic) (faults []string, v *securityaudit.Verifier) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.tb.Context(), waitTimeout)
	defer cancel()
	v, err := auditlog.Verify(ctx, quiet, kafka.At(p.brokers...), topic)
	require.NoError(p.tb, err)
	for _, f := range v.Faults() {
		faults = append(faults, f.Text)
	}
	return faults, v
}

// values are the records as they are in Kafka.
func (p *plant) values() (out [][]byte) {
	p.tb.Helper()
	r, err := kafkatest.NewReader(p.brokers, p.topic.Name)
	require.NoError(p.tb, err)
	defer r.Close()
	require.NoError(p.tb, r.CatchUp(p.tb.Context(), func(m *kgo.Record) error {
		out = append(out, slices.Clone(m.Value))
		return nil
	}))
	return out
}

// write makes another topic of these values.
func (p *plant) write(values [][]byte) kafka.Topic {
	p.tb.Helper()
	topics := kafkatest.Topics(p.tb)
	topic := topics.Specs().Security
	require.NoError(p.tb, kafka.EnsureTopics(p.tb.Context(), quiet, kafka.At(p.brokers...), topic))
	c, err := kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.DefaultProduceTopic(topic.Name))
	require.NoError(p.tb, err)
	defer c.Close()
	for _, v := range values {
		require.NoError(p.tb, c.ProduceSync(p.tb.Context(), kgo.SliceRecord(v)).FirstErr())
	}
	return topic
}

var added = securityaudit.Record{Who: "李工", What: securityaudit.UserAdd, About: "王工", Outcome: securityaudit.Done}

// TestSeveralWritersAtOnceNeedNoLock has two programs write, and one of them again after a restart.
func TestSeveralWritersAtOnceNeedNoLock(t *testing.T) {
	p := newPlant(t)
	var all sync.WaitGroup
	writers := []*auditlog.Journal{p.journal("portal"), p.journal("bridge"), p.journal("portal")}
	for _, j := range writers {
		for range 4 {
			all.Go(func() {
				for range 5 {
					if err := j.Write(t.Context(), added); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	for _, j := range writers {
		require.NoError(t, j.Flush(t.Context()))
	}
	j := p.journal("portal")
	require.NoError(t, j.Write(t.Context(), added))
	require.NoError(t, j.Flush(t.Context()))
	faults, v := p.verify(p.topic)
	require.Empty(t, faults)
	records, chains := v.Counts()
	require.Equal(t, []int{61, 4}, []int{records, chains})
	newest, err := securityaudit.Decode(p.values()[60])
	require.NoError(t, err)
	require.Equal(t, "portal", newest.Program)
	require.Positive(t, newest.Time)
	require.EqualValues(t, 1, newest.Number)
	require.NotEmpty(t, newest.Previous, "the end of the chains before is held by it")
}

// TestChangedRecordIsNamed changes, removes and doubles records of a topic.
func TestChangedRecordIsNamed(t *testing.T) {
	p := newPlant(t)
	j := p.journal("portal")
	for range 4 {
		require.NoError(t, j.Write(t.Context(), added))
	}
	require.NoError(t, j.Flush(t.Context()))
	values := p.values()
	require.Len(t, values, 4)
	faults, _ := p.verify(p.write(values))
	require.Empty(t, faults, "a copy")
	changed := slices.Clone(values)
	changed[1] = []byte(string(values[1][:20]) + "x" + string(values[1][21:]))
	for want, of := range map[string][][]byte{
		"was changed":   changed,
		"are missing":   slices.Delete(slices.Clone(values), 1, 2),
		"is here again": slices.Insert(slices.Clone(values), 2, values[1]),
		"begins with":   slices.Clone(values[1:]),
	} {
		faults, _ := p.verify(p.write(of))
		require.NotEmpty(t, faults, want)
		require.Contains(t, faults[0], want)
	}
}

// TestFloodIsCounted is 1,000 wrong passwords of a name from an address.
func TestFloodIsCounted(t *testing.T) {
	p := newPlant(t)
	j := p.journal("portal")
	for range 1000 {
		j.Note(securityaudit.Record{Who: "li", Address: "192.0.2.1", What: securityaudit.SignIn, Outcome: securityaudit.Failed})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	require.Eventually(t, func() bool { return j.Waiting() == 0 }, waitTimeout, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	counts := []int{}
	for _, data := range p.values() {
		r, err := securityaudit.Decode(data)
		require.NoError(t, err)
		counts = append(counts, r.Count)
	}
	require.Equal(t, []int{0, 999}, counts, "the first one, and the rest when the program ends")
	faults, _ := p.verify(p.topic)
	require.Empty(t, faults)
}

// TestTheLastRecordIsThereOnce ends the program while Kafka takes a record.
func TestTheLastRecordIsThereOnce(t *testing.T) {
	broker := kafkatest.Embedded(t, devkafka.Options{})
	topics := kafkatest.Topics(t)
	p := &plant{tb: t, brokers: []string{broker.Addr()}, topic: topics.Specs().Security}
	ctx, cancel := context.WithCancel(t.Context())
	broker.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		return nil, nil, false
	})
	j := p.journal("portal")
	j.Note(added)
	require.NoError(t, j.Run(ctx))
	require.Error(t, ctx.Err())
	require.Len(t, p.values(), 1)
}

// TestWithoutKafkaWritesFailAndNotesWait has no broker.
func TestWithoutKafkaWritesFailAndNotesWait(t *testing.T) {
	j, err := auditlog.New(auditlog.Options{Cluster: kafka.At("127.0.0.1:1"), Topic: kafka.Topic{Name: "security-audit", Partitions: 1}, Program: "portal", Log: quiet})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, j.Write(ctx, added), securityaudit.ErrUnavailable)
	for range 1100 {
		j.Note(added)
	}
	require.Equal(t, 1000, j.Waiting(), "bounded")
	require.Error(t, j.Flush(ctx))
	require.Equal(t, 1000, j.Waiting(), "kept")
}

func TestOptionsAreRequired(t *testing.T) {
	_, err := auditlog.New(auditlog.Options{})
	require.ErrorContains(t, err, "required")
}
