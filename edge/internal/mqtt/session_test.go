package mqtt

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

// TestWillIsSentWhenItsClientIsLost lets a client with a session of 60 s go in every way and
// names when its will is due (section 3.1.2.5); never: it is not sent within a day.
func TestWillIsSentWhenItsClientIsLost(t *testing.T) {
	const never = 24 * time.Hour
	type step func(*bubble, *mqtttest.Client)
	lost := func(_ *bubble, c *mqtttest.Client) { _ = c.Close() }
	bytes := func(p ...byte) step {
		return func(_ *bubble, c *mqtttest.Client) { c.Raw(p...); c.Disconnected() }
	}
	back := func(after time.Duration, clean bool) step {
		return func(b *bubble, c *mqtttest.Client) {
			_ = c.Close()
			pass(after)
			b.session(clean, 3600, 0)
		}
	}
	takeOver := func(clean bool) step {
		return func(b *bubble, c *mqtttest.Client) {
			other := make(chan struct{})
			go func() { defer close(other); b.session(clean, 3600, 0) }()
			require.Equal(b.t, sessionTakenOver, Code(c.Disconnected()))
			<-other
		}
	}
	for name, tt := range map[string]struct {
		expiry, delay uint32
		step          step
		due           time.Duration
	}{
		"connection lost":                           {60, 0, lost, 0},
		"lost, with a delay":                        {60, 10, lost, 10 * time.Second},
		"session ends before the delay":             {5, 10, lost, 5 * time.Second},
		"session ends with its connection":          {0, 10, lost, 0},
		"DISCONNECT":                                {60, 0, bytes(0xE0, 0), never},
		"DISCONNECT 0x00":                           {60, 10, bytes(0xE0, 1, 0), never},
		"DISCONNECT 0x04 without properties":        {60, 0, bytes(0xE0, 1, 4), 0},
		"DISCONNECT 0x04 with properties":           {60, 10, bytes(0xE0, 2, 4, 0), 10 * time.Second},
		"DISCONNECT 0x04 that ends the session":     {60, 10, bytes(0xE0, 7, 4, 5, 0x11, 0, 0, 0, 0), 0},
		"DISCONNECT 0x04 that shortens the session": {60, 10, bytes(0xE0, 7, 4, 5, 0x11, 0, 0, 0, 3), 3 * time.Second},
		"DISCONNECT with an error":                  {60, 0, bytes(0xE0, 1, 0x80), 0},
		"protocol error":                            {60, 0, bytes(0x00, 0), 0},
		"protocol error, with a delay":              {60, 10, bytes(0x00, 0), 10 * time.Second},
		"back in time":                              {60, 10, back(9*time.Second, false), never},
		"back too late":                             {60, 10, back(11*time.Second, false), 10 * time.Second},
		"back in time, but with a clean start":      {60, 10, back(9*time.Second, true), 9 * time.Second},
		"taken over":                                {60, 0, takeOver(false), 0},
		"taken over in the time of the delay":       {60, 10, takeOver(false), never},
		"taken over with a clean start":             {60, 10, takeOver(true), 0},
		"taken over without a session":              {0, 10, takeOver(false), 0},
		"keep alive timeout":                        {60, 0, func(*bubble, *mqtttest.Client) {}, 90 * time.Second},
		"keep alive timeout, with a delay":          {60, 10, func(*bubble, *mqtttest.Client) {}, 100 * time.Second},
		"the gateway stops":                         {60, 0, func(b *bubble, _ *mqtttest.Client) { b.StopIntake() }, never},
		"the gateway stops while the will waits": {60, 10, func(b *bubble, c *mqtttest.Client) {
			_ = c.Close()
			pass(3 * time.Second)
			b.StopIntake()
		}, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t)
				c := b.session(true, tt.expiry, tt.delay)
				began := time.Now()
				tt.step(b, c)
				synctest.Wait()
				if left := tt.due - time.Since(began); tt.due != never && left > 0 {
					pass(left - time.Nanosecond)
					synctest.Wait()
					require.Empty(t, b.st.messages(), "too early")
					pass(time.Nanosecond)
					synctest.Wait()
				}
				if tt.due != never {
					require.Len(t, b.st.messages(), 1)
					m := b.st.messages()[0]
					require.Equal(t, Publish{Topic: topic, Payload: []byte("will"), Will: true}, m)
				}
				sent := len(b.st.messages())
				if tt.due == never {
					pass(time.Minute) // the keep alive of a client that came back has not run out
				}
				synctest.Wait()
				require.Len(t, b.st.messages(), sent)
				b.stop()
				require.Len(t, b.st.messages(), sent, "a stop is no loss of the client")
			})
		})
	}
}

// TestWillOfMQTT3: a session of MQTT 3 changes nothing about the will.
func TestWillOfMQTT3(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, goodbye := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t)
				c := b.connect(4, func(pk *packets.Packet) {
					pk.Connect.Clean, pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = clean, true, topic, []byte("will")
				})
				if goodbye {
					c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
					require.Zero(t, c.Disconnected())
				}
				require.NoError(t, c.Close())
				synctest.Wait()
				require.Equal(t, goodbye, len(b.st.messages()) == 0)
				b.stop()
			})
		}
	}
}

// TestSessionIsKeptForItsExpiry names how long after its connection a session is present.
func TestSessionIsKeptForItsExpiry(t *testing.T) {
	mqtt3 := func(clean bool) func(*packets.Packet) {
		return func(pk *packets.Packet) { mqtttest.As("device")(pk); pk.Connect.Clean = clean }
	}
	mqtt5 := func(seconds uint32) func(*packets.Packet) {
		return func(pk *packets.Packet) { mqtttest.As("device")(pk); pk.Properties.SessionExpiryInterval = seconds }
	}
	for name, tt := range map[string]struct {
		version byte
		connect func(*packets.Packet)
		goodbye []byte
		kept    time.Duration
	}{
		"3.1.1, clean":                {4, mqtt3(true), []byte{0xE0, 0}, 0},
		"3.1.1":                       {4, mqtt3(false), []byte{0xE0, 0}, maxSessionExpiry},
		"5, none":                     {5, mqtt5(0), []byte{0xE0, 0}, 0},
		"5, 5 s":                      {5, mqtt5(5), []byte{0xE0, 0}, 5 * time.Second},
		"5, for ever":                 {5, mqtt5(0xFFFFFFFF), []byte{0xE0, 0}, maxSessionExpiry},
		"5, raised at the end":        {5, mqtt5(1), []byte{0xE0, 7, 0, 5, 0x11, 0, 0, 0, 5}, 5 * time.Second},
		"5, ended at the end":         {5, mqtt5(5), []byte{0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0}, 0},
		"5, for ever, set at the end": {5, mqtt5(5), []byte{0xE0, 7, 0, 5, 0x11, 0xff, 0xff, 0xff, 0xff}, maxSessionExpiry},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " late ", late), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBubble(t)
					c := b.connect(tt.version, tt.connect)
					require.False(t, c.Connack.SessionPresent)
					c.Raw(tt.goodbye...)
					require.Zero(t, c.Disconnected())
					synctest.Wait()
					wait := tt.kept - time.Nanosecond
					if late {
						wait = tt.kept
					}
					if wait > 0 {
						pass(wait)
						synctest.Wait()
					}
					c = b.connect(5, mqtt5(1))
					require.Equal(t, !late && tt.kept > 0, c.Connack.SessionPresent)
					b.mu.Lock()
					require.Len(t, b.sessions, 1)
					require.Zero(t, b.kept.order.Len())
					b.mu.Unlock()
					b.stop()
				})
			})
		}
	}
}

func TestCleanStartEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		c := b.session(true, 60, 0)
		c.Publish(topic, 2, 1, "r")
		require.EqualValues(t, 1, c.Read().PacketID)
		require.NoError(t, c.Close())
		c = b.session(true, 60, 0)
		require.False(t, c.Connack.SessionPresent)
		c.Publish(topic, 2, 1, "s")
		require.EqualValues(t, 1, c.Read().PacketID)
		require.Contains(t, b.st.payloads(), "s", "the id of the old session is another message")
		b.stop()
	})
}

// TestOneConnectionPerClientID connects many at once: one stays, the others are closed, with
// the reason if they had been accepted.
func TestOneConnectionPerClientID(t *testing.T) {
	for name, rest := range map[string][]byte{
		"going on":           {0, 0, 60, 5, 0x11, 0, 0, 0x0e, 0x10, 0, 1, 'a'},
		"clean start":        {2, 0, 60, 5, 0x11, 0, 0, 0x0e, 0x10, 0, 1, 'a'},
		"clean start, ended": {2, 0, 60, 0, 0, 1, 'a'},
	} {
		t.Run(name, func(t *testing.T) { oneConnection(t, rest) })
	}
}

// oneConnection connects with the rest of a CONNECT behind the protocol's name and version.
func oneConnection(t *testing.T, rest []byte) {
	t.Helper()
	s, addr := start(t, &store{})
	const n = 30
	connect := packet(typeConnect, 0, append([]byte("\x00\x04MQTT\x05"), rest...))
	ended := make(chan []byte, n)
	clients := make([]*mqtttest.Client, n)
	for i := range clients {
		clients[i] = mqtttest.Open(t, addr, 5)
		go func() {
			_, _ = clients[i].Write(connect) // the answer shows whether it arrived
			got, _ := io.ReadAll(clients[i].Conn)
			_ = clients[i].Close()
			ended <- got
		}()
	}
	disconnect := disconnectPacket(sessionTakenOver, `another connection has client identifier "a"`)
	for range n - 1 {
		if got := <-ended; len(got) > 0 {
			require.Equal(t, byte(typeConnack<<4), got[0])
			require.True(t, bytes.HasSuffix(got, disconnect), "% x", got)
		}
	}
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.Clients() == 1 && len(s.sessions) == 1 && s.sessions["a"].client != nil && s.sessions["a"].client.greeted.Load()
	}, waitTimeout, time.Millisecond)
	require.Empty(t, ended)
	require.NoError(t, s.Close(t.Context()))
	require.True(t, bytes.HasSuffix(<-ended, disconnectPacket(serverShuttingDown, "the gateway stops")))
}

// TestMessagesOfATakenOverConnectionComeFirst: the new connection is accepted once the old
// one has passed on what it had read.
func TestMessagesOfATakenOverConnectionComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		c := b.connect(5, mqtttest.As("device"))
		b.st.gate = make(chan struct{}) // passing on blocks
		c.Publish(topic, 1, 1, "old")
		synctest.Wait()
		present := make(chan bool, 1)
		next := b.open(5)
		go func() { next.Hello(mqtttest.As("device")); present <- next.Connack.SessionPresent }()
		synctest.Wait()
		require.Empty(t, present)
		close(b.st.gate)
		require.True(t, <-present)
		next.Publish(topic, 1, 1, "new")
		require.EqualValues(t, 1, next.Read().PacketID)
		require.Equal(t, []string{"old", "new"}, b.st.payloads())
		b.stop()
	})
}

// flaky is a listener whose Accept fails as long as errs has errors.
type flaky struct {
	net.Listener
	errs chan error
}

func (l flaky) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

func TestListenerSurvivesFailedAccepts(t *testing.T) {
	s := newServer(t, &store{})
	ln := flaky{listen(t), make(chan error, 3)}
	for range cap(ln.errs) {
		ln.errs <- fmt.Errorf("too many open files")
	}
	s.Serve(ln)
	stopAfter(t, s)
	c := mqtttest.Connect(t, ln.Addr().String(), 4, nil)
	c.Publish(topic, 1, 1, "r")
	require.EqualValues(t, 1, c.Read().PacketID)
}

func TestListenerOfAStoppedServerIsClosed(t *testing.T) {
	s := newServer(t, &store{})
	s.StopIntake()
	ln := listen(t)
	s.Serve(ln)
	_, err := ln.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	require.NoError(t, s.Close(t.Context()))
}

func TestLogOfBrokenClientsIsLimited(t *testing.T) {
	var l logLimit
	now := time.Now()
	for i, tt := range []struct {
		after   time.Duration
		skipped int
		ok      bool
	}{{0, 0, true}, {0, 0, false}, {logEvery - 1, 0, false}, {logEvery, 2, true}, {2 * logEvery, 0, true}} {
		skipped, ok := l.admit(now.Add(tt.after))
		require.Equal(t, tt.ok, ok, i)
		require.Equal(t, tt.skipped, skipped, i)
	}
}
