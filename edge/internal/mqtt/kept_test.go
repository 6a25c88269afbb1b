package mqtt

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

// TestLongestSilentSessionMakesRoom keeps sessions with a delayed will until their bytes are too
// many: the oldest one ends, and its will is due.
func TestLongestSilentSessionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		big := make([]byte, 60<<10)
		sessions := maxKeptBytes/(len(big)+sessionBytes) + 20
		for i := range sessions {
			c := b.connect(5, func(pk *packets.Packet) {
				mqtttest.As(fmt.Sprint("device-", i))(pk)
				pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, fmt.Sprint("will/", i), big
				pk.Connect.WillProperties.WillDelayInterval = 3600
			})
			require.NoError(t, c.Close())
			synctest.Wait()
		}
		b.mu.Lock()
		require.LessOrEqual(t, b.kept.bytes, maxKeptBytes)
		require.Len(t, b.sessions, b.kept.order.Len())
		require.Greater(t, len(b.sessions), sessions-40, "more than needed have made room")
		require.NotContains(t, b.sessions, "device-0")
		require.Contains(t, b.sessions, fmt.Sprint("device-", sessions-1))
		evicted := sessions - len(b.sessions)
		b.mu.Unlock()
		require.Len(t, b.st.messages(), evicted)
		require.Equal(t, "will/0", b.st.messages()[0].Topic)
		b.stop()
		require.Zero(t, b.kept.bytes)
		require.Zero(t, b.kept.order.Len())
	})
}

// TestKeptSessionsAreBounded fills the table by hand: 100,000 connections would take a minute.
func TestKeptSessionsAreBounded(t *testing.T) {
	s := newServer(t, &store{})
	s.mu.Lock()
	for i := range maxKept {
		id := fmt.Sprint(i)
		x := &session{}
		s.sessions[id] = x
		s.kept.add(id, x)
		s.kept.bytes = 0 // the number alone is too large
	}
	x := &session{}
	s.sessions["last"] = x
	require.Empty(t, s.keep("last", x)[0])
	require.Len(t, s.sessions, maxKept)
	require.NotContains(t, s.sessions, "0")
	require.Contains(t, s.sessions, "1")
	s.mu.Unlock()
}

// TestUnfinishedExchangesAreBounded: an MQTT 3 client knows no receive maximum, and is
// disconnected. The ids that its session keeps are counted, those of finished exchanges are not.
func TestUnfinishedExchangesAreBounded(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t)
			c := b.connect(version, mqtttest.As("device"))
			for i := range receiveMaximum {
				c.Publish(topic, 2, uint16(i+1), "")
				require.EqualValues(t, i+1, c.Read().PacketID)
			}
			c.Publish(topic, 2, 1, "") // a known one
			require.EqualValues(t, 1, c.Read().PacketID)
			c.Publish(topic, 2, receiveMaximum+1, "")
			code := Code(c.Disconnected())
			require.Equal(t, version == 5, code == receiveMaximumExceeded)
			synctest.Wait()
			require.Len(t, b.st.messages(), receiveMaximum)
			b.mu.Lock()
			require.Equal(t, sessionBytes+len("device")+receiveMaximum*exchangeBytes, b.kept.bytes)
			b.mu.Unlock()

			c = b.connect(version, mqtttest.As("device"))
			for i := range receiveMaximum {
				c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: uint16(i + 1)})
				require.EqualValues(t, i+1, c.Read().PacketID)
			}
			require.NoError(t, c.Close())
			synctest.Wait()
			b.mu.Lock()
			require.Equal(t, sessionBytes+len("device"), b.kept.bytes)
			b.mu.Unlock()
			b.stop()
		})
	}
}

// TestNinthFilterIsRefused: eight different ones are granted, in MQTT 3.1 all, since its SUBACK
// cannot refuse.
func TestNinthFilterIsRefused(t *testing.T) {
	for version, refused := range map[byte]byte{3: 0, 4: byte(unspecifiedError), 5: byte(QuotaExceeded)} {
		_, addr := start(t, &store{})
		c := mqtttest.Connect(t, addr, version, nil)
		ask := func(kind byte, names ...string) []byte {
			filters := packets.Subscriptions{}
			for _, name := range names {
				filters = append(filters, packets.Subscription{Filter: name})
			}
			c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: kind, Qos: 1}, PacketID: 3, Filters: filters})
			return c.Read().ReasonCodes
		}
		require.Equal(t, make([]byte, maxFilters), ask(packets.Subscribe, "1", "2", "3", "4", "5", "6", "7", "8"))
		require.Equal(t, []byte{0, refused}, ask(packets.Subscribe, "1", "9"), "one that is subscribed counts once")
		ask(packets.Unsubscribe, "3", "unknown")
		require.Equal(t, []byte{0, refused}, ask(packets.Subscribe, "9", "10"), "an unsubscribed one makes room")
		require.Equal(t, make([]byte, 1), suback(t, mqtttest.Connect(t, addr, version, nil)), "filters end with their connection")
	}
}

func suback(t *testing.T, c *mqtttest.Client) []byte {
	t.Helper()
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 3, Filters: packets.Subscriptions{{Filter: "10"}}})
	return c.Read().ReasonCodes
}

// TestFiltersOfLostClientsHoldNoMemory: 50 clients keep their session, subscribe 5,000 filters
// each and hang up.
func TestFiltersOfLostClientsHoldNoMemory(t *testing.T) {
	s, addr := start(t, &store{})
	filters := make(packets.Subscriptions, 5000)
	for i := range filters {
		filters[i].Filter = fmt.Sprint("plant/building/room/", i)
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the first one leaves what pools hold
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 50 {
		c := mqtttest.Connect(t, addr, 4, mqtttest.As(fmt.Sprint("stranger-", i)))
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 3, Filters: filters})
		codes := c.Read().ReasonCodes
		require.Len(t, codes, len(filters))
		require.Equal(t, len(filters)-maxFilters, bytes.Count(codes, []byte{byte(unspecifiedError)}))
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return s.Clients() == 0 }, waitTimeout, time.Millisecond)
	require.Less(t, heap()-before, int64(10<<20))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.LessOrEqual(t, s.kept.bytes, 50*2*sessionBytes)
}

// TestTopicAliasesAreBounded: 128 topics of 64 KiB would be 8 MiB for each client.
func TestTopicAliasesAreBounded(t *testing.T) {
	_, addr := start(t, &store{})
	c := mqtttest.Connect(t, addr, 5, nil)
	publish := func(alias uint16, size int) {
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: 1, TopicName: strings.Repeat("t", size),
			Properties: packets.Properties{TopicAlias: alias, TopicAliasFlag: true},
		})
	}
	for range 3 { // one that is replaced gives its room back
		for alias := range uint16(2) {
			publish(alias+1, maxAliasBytes/2)
			require.Equal(t, packets.Puback, c.Read().FixedHeader.Type)
		}
	}
	publish(3, 1)
	require.Equal(t, topicAliasInvalid, Code(c.Disconnected()))
}
