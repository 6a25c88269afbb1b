package ingest

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestTheNextReadingOfADeviceIsFollowedOnce(t *testing.T) {
	c := New(Options{Store: &memStore{}, Epoch: 1, Log: discard(), Tracer: newTracer(t)})
	now := time.Now()
	soon := now.Add(time.Minute)
	one := func(device string, refusal *telemetry.Refusal) *Message {
		m := &Message{Device: device, Received: now, Refusal: refusal}
		c.want(m)
		return m
	}
	require.Nil(t, one("d", nil).asked)
	require.ErrorIs(t, c.Follow("d", "nonsense", "", soon), ErrNoTrace)
	require.NoError(t, c.Follow("d", askFor(1), "", soon))
	require.NoError(t, c.Follow("d", askFor(2), "", soon), "the newest request counts")

	require.Nil(t, one("other", nil).asked)
	require.Nil(t, one("d", &telemetry.Refusal{Reason: telemetry.ReasonTooLarge}).asked, "a dead letter is no reading")
	m := one("d", nil)
	require.Equal(t, askFor(2)[3:35], m.asked.TraceID().String())
	c.want(m)
	require.Nil(t, one("d", nil).asked, "once")

	require.NoError(t, c.Follow("d", askFor(3), "", soon))
	batch := &Message{Received: now}
	batch.Batch()
	batch.Entries = []wire.PackEntry{{Device: "a"}, {Device: "d", Refusal: &telemetry.Refusal{}}, {Device: "d"}}
	c.want(batch)
	require.NotNil(t, batch.asked)
	require.Equal(t, 2, batch.askedAt)
	require.Zero(t, c.asking.waiting.Load())

	require.NoError(t, c.Follow("late", askFor(4), "", now.Add(-time.Second)))
	require.Nil(t, one("late", nil).asked, "the time is over")
}

func TestAGatewayWaitsForSomeDevicesAlone(t *testing.T) {
	c := New(Options{Store: &memStore{}, Epoch: 1, Log: discard(), Tracer: newTracer(t)})
	soon := time.Now().Add(time.Minute)
	for i := range mostWanted {
		require.NoError(t, c.Follow(strconv.Itoa(i), askFor(i+1), "", soon))
	}
	require.ErrorIs(t, c.Follow("more", askFor(1), "", soon), ErrTooMany)
	require.NoError(t, c.Follow("7", askFor(1), "", time.Now().Add(-time.Second)))
	require.NoError(t, c.Follow("more", askFor(1), "", soon), "one whose time is over makes room")

	off := New(Options{Store: &memStore{}, Epoch: 1, Log: discard()})
	require.ErrorIs(t, off.Follow("d", askFor(1), "", soon), ErrNoTracer)
}
