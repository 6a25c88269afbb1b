package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
)

// failing is a member whose sessions end at once with an error.
type failing struct{ member }

func (failing) ConsumeClaim(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim) error { return nil }

func (failing) Err() error { return errors.New("cannot commit") }

// TestMemberComesBackAfterEveryFailure: no client at first, then a session that fails,
// then one that lasts until the stop.
func TestMemberComesBackAfterEveryFailure(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	joined := make(chan sarama.ConsumerGroupSession, 1)
	tries, sessions := 0, 0
	var out logtest.Buffer
	m := kafka.Member{
		Log: slog.New(slog.NewTextHandler(&out, nil)), Group: kafkatest.Name(t, "group"), Topics: []string{topic},
		Connect: func(_, life context.Context) (sarama.Client, error) {
			if tries++; tries < 3 {
				return nil, errors.New("no broker")
			}
			return kafka.NewClient(life, kafka.At(brokers...), kafka.Cluster{}.Settings("test"))
		},
		Session: func(sarama.Client, sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
			if sessions++; sessions == 1 {
				return failing{member{make(chan sarama.ConsumerGroupSession, 1)}}
			}
			return member{joined}
		},
		Outlive: waitTimeout,
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	select {
	case s := <-joined:
		require.Equal(t, map[string][]int32{topic: {0}}, s.Claims())
	case <-within(t).Done():
		t.Fatal("did not join the group in time")
	}
	stop()
	require.NoError(t, <-done)
	require.Equal(t, 3, tries, "one client served both sessions")
	require.Equal(t, 2, sessions)
	logged := out.String()
	require.Equal(t, 2, strings.Count(logged, `msg="kafka unavailable, retrying" err="no broker"`), logged)
	require.Equal(t, 1, strings.Count(logged, `msg="consumer group session failed, rejoining"`), logged)
	require.Contains(t, logged, "cannot commit")
}

// unusable is a member whose session finds topics that do not fit.
type unusable struct{ failing }

func (unusable) Err() error { return fmt.Errorf("%w: 2 partitions", kafka.ErrUnusable) }

func TestMemberEndsWhenASessionFindsUnusableTopics(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	m := kafka.Member{
		Log: quiet(), Group: kafkatest.Name(t, "group"), Topics: []string{topic},
		Connect: func(_, life context.Context) (sarama.Client, error) {
			return kafka.NewClient(life, kafka.At(brokers...), kafka.Cluster{}.Settings("test"))
		},
		Session: func(sarama.Client, sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
			return unusable{failing{member{make(chan sarama.ConsumerGroupSession, 1)}}}
		},
	}
	require.ErrorIs(t, m.Run(within(t)), kafka.ErrUnusable)
}

func TestMemberEndsWhereTopicsCannotBeUsed(t *testing.T) {
	unusable := fmt.Errorf("%w: 2 partitions, want 3", kafka.ErrUnusable)
	m := kafka.Member{
		Log: quiet(), Group: "group", Topics: []string{"topic"},
		Connect: func(context.Context, context.Context) (sarama.Client, error) { return nil, unusable },
	}
	require.ErrorIs(t, m.Run(t.Context()), unusable)
}
