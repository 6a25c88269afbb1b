package mqtt

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

// TestEveryPublishIsAnsweredOrItsConnectionEnds tries topics that brokers treat apart, in
// every version and QoS. A client that waits for an answer gets one.
func TestEveryPublishIsAnsweredOrItsConnectionEnds(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		for _, tt := range []struct {
			topic string
			ended Code // 0: answered
		}{
			{topic, 0},
			{"a", 0},
			{"/", 0},
			{" ", 0},
			{"$", 0},
			{"$SYS", 0},
			{"$SYS/broker/uptime", 0},
			{"$sys/x", 0},
			{"$share", 0},
			{"$share/", 0},
			{"$share/group", 0},
			{"$share/group/x", 0},
			{"$share//x", 0},
			{"设备/一", 0},
			{strings.Repeat("x", 65535), 0},
			{strings.Repeat("/", 1000), 0},
			{"a/+", TopicNameInvalid},
			{"#", TopicNameInvalid},
			{"a+b", TopicNameInvalid},
			{"a\x00b", malformedPacket},
			{"\xff", malformedPacket},
		} {
			for qos := range byte(3) {
				st := &store{}
				_, addr := start(t, st)
				c := mqtttest.Connect(t, addr, version, nil)
				body := appendText(nil, tt.topic)
				if qos > 0 {
					body = append(body, 0, 9)
				}
				if version == 5 {
					body = append(body, 0)
				}
				c.Raw(packet(typePublish, qos<<1, append(body, "payload"...))...)
				if tt.ended != 0 {
					require.Equal(t, version == 5, Code(c.Disconnected()) == tt.ended, "%q", tt.topic)
					require.Empty(t, st.messages())
					continue
				}
				if qos > 0 {
					ack := c.Read()
					require.Equal(t, []byte{packets.Puback, packets.Pubrec}[qos-1], ack.FixedHeader.Type)
					require.EqualValues(t, 9, ack.PacketID)
				}
				c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
				require.Equal(t, packets.Pingresp, c.Read().FixedHeader.Type)
				require.Equal(t, []string{"payload"}, st.payloads())
				require.Equal(t, tt.topic, st.messages()[0].Topic)
			}
		}
	}
}

// TestFaultEndsTheConnectionWithItsReason: MQTT 5 clients get a DISCONNECT (section 4.13),
// MQTT 3 has none from the server.
func TestFaultEndsTheConnectionWithItsReason(t *testing.T) {
	subscribe := func(options byte, filter string) []byte {
		return packet(typeSubscribe, 2, append(appendText([]byte{0, 1, 0}, filter), options))
	}
	publish := func(properties ...byte) []byte {
		body := append(appendText(nil, topic), byte(len(properties)))
		return packet(typePublish, 0, append(body, properties...))
	}
	for name, tt := range map[string]struct {
		packet []byte
		code   Code
		only5  bool
	}{
		"second CONNECT":               {hello("MQTT", 5, 2, 0, 1, 'a'), protocolError, false},
		"packet of a server":           {[]byte{0x20, 2, 0, 0}, protocolError, false},
		"packet type 0":                {[]byte{0, 0}, protocolError, false},
		"AUTH without a method":        {[]byte{0xF0, 0}, protocolError, false},
		"reserved flags":               {[]byte{0xC1, 0}, malformedPacket, false},
		"PUBREL without its flag":      {[]byte{0x60, 2, 0, 1}, malformedPacket, false},
		"QoS 3":                        {[]byte{0x36, 6, 0, 1, 'a', 0, 1, 0}, malformedPacket, false},
		"PUBLISH that is cut":          {[]byte{0x32, 3, 0, 9, 'a'}, malformedPacket, false},
		"PUBLISH with id 0":            {[]byte{0x32, 6, 0, 1, 'a', 0, 0, 0}, protocolError, false},
		"PUBREL that is cut":           {[]byte{0x62, 1, 0}, malformedPacket, false},
		"PUBREC that is cut":           {[]byte{0x50, 1, 0}, malformedPacket, false},
		"SUBSCRIBE without a filter":   {[]byte{0x82, 3, 0, 1, 0}, protocolError, true},
		"SUBSCRIBE without, 3.1.1":     {[]byte{0x82, 2, 0, 1}, malformedPacket, false},
		"UNSUBSCRIBE without a filter": {[]byte{0xA2, 3, 0, 1, 0}, protocolError, true},
		"SUBSCRIBE with id 0":          {packet(typeSubscribe, 2, []byte{0, 0, 0, 0, 1, 'a', 0}), protocolError, true},
		"SUBSCRIBE that is cut":        {[]byte{0x82, 6, 0, 1, 0, 0, 1, 'a'}, malformedPacket, true},
		"subscription QoS 3":           {subscribe(3, "a"), malformedPacket, true},
		"reserved subscription option": {subscribe(0x40, "a"), malformedPacket, true},
		"retain handling 3":            {subscribe(0x30, "a"), malformedPacket, true},
		"shared and no local":          {subscribe(4, "$share/g/a"), protocolError, true},
		"subscription identifier 0":    {packet(typeSubscribe, 2, []byte{0, 1, 2, 0x0B, 0, 0, 1, 'a', 0}), protocolError, true},
		"too large":                    {append([]byte{0x32}, appendVarint(nil, maxPacket-3)...), packetTooLarge, false},
		"length of five bytes":         {[]byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}, malformedPacket, false},
		"topic alias 0":                {publish(0x23, 0, 0), topicAliasInvalid, true},
		"topic alias above the limit":  {publish(0x23, 0, maxTopicAliases+1), topicAliasInvalid, true},
		"unknown topic alias":          {packet(typePublish, 0, []byte{0, 0, 3, 0x23, 0, 5}), protocolError, true},
		"neither topic nor alias":      {packet(typePublish, 0, []byte{0, 0, 0}), protocolError, false},
		"subscription id in PUBLISH":   {publish(0x0B, 1), malformedPacket, true},
		"content type twice":           {publish(0x03, 0, 0, 0x03, 0, 0), protocolError, true},
		"unknown property":             {publish(0x7f, 0), malformedPacket, true},
		"payload format 2":             {publish(0x01, 2), protocolError, true},
		"property that is cut":         {publish(0x03, 0, 9, 'a'), malformedPacket, true},
		"expiry raised at the end":     {packet(typeDisconnect, 0, []byte{0, 5, 0x11, 0, 0, 0, 1}), protocolError, true},
		"DISCONNECT that is cut":       {packet(typeDisconnect, 0, []byte{0, 5, 0x11}), malformedPacket, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := start(t, &store{})
			var mine []string
			s.onClosed = func(cause string) { mine = append(mine, cause) }
			five := mqtttest.Connect(t, addr, 5, nil)
			five.Raw(tt.packet...)
			require.Equal(t, tt.code, Code(five.Disconnected()))
			require.NoError(t, five.Close())
			if !tt.only5 {
				four := mqtttest.Connect(t, addr, 4, nil)
				four.Raw(tt.packet...)
				require.Zero(t, four.Disconnected())
			}
			require.NoError(t, s.Close(t.Context()))
			require.NotEmpty(t, mine)
			require.Equal(t, causes[tt.code], mine[0])
		})
	}
}

// TestRefusedClientReadsTheReasonAlthoughItStillSends: a socket closed with unread input
// loses what was sent before.
func TestRefusedClientReadsTheReasonAlthoughItStillSends(t *testing.T) {
	_, addr := start(t, &store{})
	for range 20 {
		c := mqtttest.Connect(t, addr, 5, nil)
		c.Raw(packet(typePublish, 2, make([]byte, 4*maxPacket))...)
		require.Equal(t, packetTooLarge, Code(c.Disconnected()))
	}
}

func TestLargestPacketIsAccepted(t *testing.T) {
	st := &store{}
	_, addr := start(t, st)
	c := mqtttest.Connect(t, addr, 4, nil)
	body := append(appendText(nil, topic), 0, 7)
	body = append(body, bytes.Repeat([]byte("x"), maxPacket-4-len(body))...)
	p := packet(typePublish, 2, body)
	require.Len(t, p, maxPacket)
	for range 2 {
		c.Raw(p...)
		require.EqualValues(t, 7, c.Read().PacketID)
	}
	require.Equal(t, body[len(topic)+4:], st.messages()[1].Payload)
}

// TestSizesAroundTheReadBuffer tries bodies that fit into it and bodies that do not.
func TestSizesAroundTheReadBuffer(t *testing.T) {
	st := &store{}
	_, addr := start(t, st)
	c := mqtttest.Connect(t, addr, 4, nil)
	var want []string
	for _, size := range []int{readBufferSize - 1, readBufferSize, readBufferSize + 1, 3 * bodyStep, bodyStep, 50} {
		payload := strings.Repeat("x", size-len(topic)-4)
		want = append(want, payload)
		c.Publish(topic, 1, 1, payload)
		require.EqualValues(t, 1, c.Read().PacketID)
	}
	require.Equal(t, want, st.payloads())
}

func TestTopicAliasStandsForItsTopic(t *testing.T) {
	st := &store{}
	_, addr := start(t, st)
	c := mqtttest.Connect(t, addr, 5, nil)
	send := func(topic string, alias uint16) {
		c.Send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: 1, TopicName: topic,
			Properties: packets.Properties{TopicAlias: alias, TopicAliasFlag: true},
		})
		require.Zero(t, c.Read().ReasonCode)
	}
	send("topic a", 1)
	send("topic b", maxTopicAliases)
	send("", 1)
	send("", maxTopicAliases)
	send("topic c", 1) // [MQTT-3.3.2-12]: a new topic for the alias
	send("", 1)
	got := make([]string, 0, 6)
	for _, m := range st.messages() {
		got = append(got, m.Topic)
	}
	require.Equal(t, []string{"topic a", "topic b", "topic a", "topic b", "topic c", "topic c"}, got)
	other := mqtttest.Connect(t, addr, 5, nil)
	other.Raw(packet(typePublish, 0, []byte{0, 0, 3, 0x23, 0, 1})...)
	require.Equal(t, protocolError, Code(other.Disconnected()), "an alias is of one connection")
}

func TestMessageIDAndContentTypeArePassedOn(t *testing.T) {
	st := &store{}
	_, addr := start(t, st)
	c := mqtttest.Connect(t, addr, 5, nil)
	for _, p := range []packets.Properties{
		{ContentType: "application/zstd", User: []packets.UserProperty{{Key: "a", Val: "b"}, {Key: MessageID, Val: "m-1"}, {Key: MessageID, Val: "m-2"}}},
		{ContentType: strings.Repeat("x", maxContentTypeBytes+1), User: []packets.UserProperty{{Key: MessageID, Val: strings.Repeat("x", maxUserBytes+1)}}},
		{},
	} {
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: 1, TopicName: topic, Properties: p})
		require.Zero(t, c.Read().ReasonCode)
	}
	all := st.messages()
	require.Equal(t, []string{"m-1", "", ""}, []string{all[0].MessageID, all[1].MessageID, all[2].MessageID})
	require.Equal(t, []string{"application/zstd", "", ""}, []string{all[0].ContentType, all[1].ContentType, all[2].ContentType})
}

func (c exchangeClient) pubrel(id uint16, found bool) {
	c.t.Helper()
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: id})
	comp := c.Read()
	require.Equal(c.t, packets.Pubcomp, comp.FixedHeader.Type)
	require.Equal(c.t, id, comp.PacketID)
	require.True(c.t, c.Version == 5 || comp.FixedHeader.Remaining == 2, "MQTT 3 has no codes")
	require.Equal(c.t, !found && c.Version == 5, comp.ReasonCode == byte(packetIDNotFound))
}

// exchangeClient checks QoS 2 exchanges.
type exchangeClient struct {
	*mqtttest.Client
	t *testing.T
}

func (c exchangeClient) pubrec(id uint16, code Code) {
	c.t.Helper()
	rec := c.Read()
	require.Equal(c.t, packets.Pubrec, rec.FixedHeader.Type)
	require.Equal(c.t, id, rec.PacketID)
	require.Equal(c.t, byte(code), rec.ReasonCode)
}

// TestQoS2PublishIsPassedOnOnce repeats it at every point of its exchange
// ([MQTT-4.3.3-10]), on the same and on a new connection.
func TestQoS2PublishIsPassedOnOnce(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		st := &store{hold: true}
		_, addr := start(t, st)
		c := exchangeClient{mqtttest.Connect(t, addr, version, mqtttest.As("device")), t}
		c.Publish(topic, 2, 1, "r") // waits for its outcome
		c.Publish(topic, 2, 1, "r")
		require.Eventually(t, func() bool { return len(st.messages()) == 1 }, waitTimeout, time.Millisecond)
		again := exchangeClient{mqtttest.Connect(t, addr, version, mqtttest.As("device")), t}
		require.Equal(t, version != 3, again.Connack.SessionPresent)
		again.Publish(topic, 2, 1, "r")
		again.Publish(topic, 2, 2, "s")
		require.Eventually(t, func() bool { return len(st.messages()) == 2 }, waitTimeout, time.Millisecond)
		st.release(Success)
		again.pubrec(1, Success)
		again.pubrec(2, Success)
		again.Publish(topic, 2, 1, "r") // the PUBREC was lost
		again.pubrec(1, Success)
		last := exchangeClient{mqtttest.Connect(t, addr, version, mqtttest.As("device")), t}
		last.Publish(topic, 2, 1, "r")
		last.pubrec(1, Success)
		last.pubrel(1, true)
		last.pubrel(1, false) // the PUBCOMP was lost
		last.pubrel(2, true)
		last.Publish(topic, 2, 1, "t") // the id is free again
		require.Eventually(t, func() bool { return len(st.messages()) == 3 }, waitTimeout, time.Millisecond)
		require.Equal(t, []string{"r", "s", "t"}, st.payloads())
	}
}

// TestRefusedQoS2PublishFreesItsID: a PUBREC with an error ends the exchange.
func TestRefusedQoS2PublishFreesItsID(t *testing.T) {
	st := &store{hold: true}
	_, addr := start(t, st)
	c := exchangeClient{mqtttest.Connect(t, addr, 5, nil), t}
	for _, code := range []Code{QuotaExceeded, PayloadFormatInvalid, Success} {
		c.Publish(topic, 2, 1, fmt.Sprint(code))
		require.Eventually(t, func() bool { st.mu.Lock(); defer st.mu.Unlock(); return len(st.held) == 1 }, waitTimeout, time.Millisecond)
		st.release(code)
		c.pubrec(1, code)
	}
	require.Len(t, st.messages(), 3)
	four := exchangeClient{mqtttest.Connect(t, addr, 4, mqtttest.As("four")), t}
	four.Publish(topic, 2, 1, "r")
	require.Eventually(t, func() bool { st.mu.Lock(); defer st.mu.Unlock(); return len(st.held) == 1 }, waitTimeout, time.Millisecond)
	st.release(QuotaExceeded)
	require.Zero(t, four.Disconnected(), "MQTT 3 has no code: the client comes back")
	again := exchangeClient{mqtttest.Connect(t, addr, 4, mqtttest.As("four")), t}
	again.Publish(topic, 2, 1, "r")
	require.Eventually(t, func() bool { st.mu.Lock(); defer st.mu.Unlock(); return len(st.held) == 1 }, waitTimeout, time.Millisecond)
	st.release(Success)
	again.pubrec(1, Success)
	require.Len(t, st.messages(), 5)
}

// TestAnswersOfStrayPackets sends packets of exchanges that do not exist.
func TestAnswersOfStrayPackets(t *testing.T) {
	for _, version := range []byte{4, 5} {
		_, addr := start(t, &store{})
		c := exchangeClient{mqtttest.Connect(t, addr, version, nil), t}
		c.pubrel(77, false)
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: 7})
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: 7})
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: 7})
		rel := c.Read()
		require.Equal(t, packets.Pubrel, rel.FixedHeader.Type)
		require.EqualValues(t, 7, rel.PacketID)
		require.True(t, version == 5 || rel.FixedHeader.Remaining == 2)
		require.Equal(t, version == 5, rel.ReasonCode == byte(packetIDNotFound))
	}
}

// TestReceiveMaximumIsKept counts QoS 1 and QoS 2 together (section 3.3.4); it is a limit of
// MQTT 5 alone.
func TestReceiveMaximumIsKept(t *testing.T) {
	for _, version := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t)
			c := b.connect(version, nil)
			b.st.hold = true
			for i := range receiveMaximum {
				c.Publish(topic, byte(1+i%2), uint16(i+1), "")
			}
			synctest.Wait()
			b.st.mu.Lock()
			first, second := b.st.held[0], b.st.held[1]
			b.st.mu.Unlock()
			first(Success) // QoS 1: answered
			require.EqualValues(t, 1, c.Read().PacketID)
			second(Success) // QoS 2: open until the PUBREL
			require.EqualValues(t, 2, c.Read().PacketID)
			c.Publish(topic, 1, 20000, "")
			synctest.Wait()
			require.Len(t, b.st.messages(), receiveMaximum+1)
			c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: 2})
			require.Equal(t, packets.Pubcomp, c.Read().FixedHeader.Type)
			c.Publish(topic, 1, 20001, "")
			c.Publish(topic, 1, 20002, "")
			if version == 5 {
				require.Equal(t, receiveMaximumExceeded, Code(c.Disconnected()))
				require.Len(t, b.st.messages(), receiveMaximum+2)
			} else {
				synctest.Wait()
				require.Len(t, b.st.messages(), receiveMaximum+3)
			}
			b.stop()
		})
	}
}

// TestSubscriptionIsAnsweredFilterByFilter: a SUBACK has a code for each (3.1.1, section 3.9).
func TestSubscriptionIsAnsweredFilterByFilter(t *testing.T) {
	filters := packets.Subscriptions{
		{Filter: "a/+/b", Qos: 0},
		{Filter: "#", Qos: 1},
		{Filter: "a/#/b", Qos: 2},
		{Filter: "a+", Qos: 2},
		{Filter: "", Qos: 0},
		{Filter: "$share/g/a", Qos: 2},
		{Filter: "+/+", Qos: 2},
	}
	for version, want := range map[byte][]byte{
		3: {0, 1, 0x80, 0x80, 0x80, 2, 2}, 4: {0, 1, 0x80, 0x80, 0x80, 2, 2}, 5: {0, 1, 0x8F, 0x8F, 0x8F, 2, 2},
	} {
		_, addr := start(t, &store{})
		c := mqtttest.Connect(t, addr, version, nil)
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 3, Filters: filters})
		ack := c.Read()
		require.Equal(t, packets.Suback, ack.FixedHeader.Type)
		require.EqualValues(t, 3, ack.PacketID)
		require.Equal(t, want, ack.ReasonCodes)
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: 4, Filters: filters[:2]})
		ack = c.Read()
		require.Equal(t, packets.Unsuback, ack.FixedHeader.Type)
		require.EqualValues(t, 4, ack.PacketID)
		require.Equal(t, version == 5, len(ack.ReasonCodes) == 2)
	}
	for _, f := range []string{"$share/g", "$share//a", "$share/+/a", "$share/g/"} {
		require.False(t, validFilter(f, true), f)
	}
	require.True(t, validFilter("$share/g/#", true))
}

// TestNothingIsDelivered publishes on a topic to which the client itself has subscribed.
func TestNothingIsDelivered(t *testing.T) {
	_, addr := start(t, &store{})
	c := mqtttest.Connect(t, addr, 5, nil)
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 3, Filters: packets.Subscriptions{{Filter: "#", Qos: 1}, {Filter: "$SYS/#"}}})
	require.Equal(t, packets.Suback, c.Read().FixedHeader.Type)
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, PacketID: 4, TopicName: topic})
	require.Equal(t, packets.Puback, c.Read().FixedHeader.Type)
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	require.Equal(t, packets.Pingresp, c.Read().FixedHeader.Type)
}

// TestNoInputBreaksTheServer sends random packets, changed in places: each connection either
// answers every QoS 1 publish or ends, and the server goes on.
func TestNoInputBreaksTheServer(t *testing.T) {
	_, addr := start(t, &store{})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		c := mqtttest.Connect(t, addr, []byte{3, 4, 5}[rnd.IntN(3)], nil)
		for range 5 {
			p := seeds[rnd.IntN(len(seeds))]
			p = bytes.Clone(p)
			p[rnd.IntN(len(p))] ^= byte(1 << rnd.IntN(8))
			if _, err := c.Write(p); err != nil {
				break
			}
		}
		_ = c.Close()
	}
	c := mqtttest.Connect(t, addr, 4, nil)
	c.Publish(topic, 1, 1, "r")
	require.EqualValues(t, 1, c.Read().PacketID)
}

// seeds are packets of clients.
var seeds = [][]byte{
	hello("MQTT", 5, 2, 0, 1, 'a'), hello("MQIsdp", 3, 2, 0, 1, 'a'), hello("MQTT", 4, 0xC6, 0, 1, 'a', 0, 1, 't', 0, 1, 'p', 0, 1, 'u', 0, 1, 'p'),
	{0xC0, 0},
	{0xE0, 0},
	{0xE0, 1, 4},
	{0x62, 2, 0, 1},
	{0x62, 4, 0, 1, 0, 0},
	{0x50, 2, 0, 1},
	{0xF0, 2, 0x18, 0},
	packet(typePublish, 2, append(appendText(nil, topic), 0, 1, 0, '{', '}')),
	packet(typePublish, 4, append(appendText(nil, topic), 0, 1, 3, 0x23, 0, 1, '{', '}')),
	packet(typePublish, 0, append(appendText(nil, topic), 14, 0x26, 0, 1, 'k', 0, 1, 'v', 3, 0, 4, 'j', 's', 'o', 'n')),
	packet(typeSubscribe, 2, []byte{0, 1, 0, 0, 1, '#', 1}), packet(typeUnsubscribe, 2, []byte{0, 1, 0, 0, 1, '#'}),
	packet(typeDisconnect, 0, []byte{0, 5, 0x11, 0, 0, 0, 1}),
}

// FuzzClient sends bytes before and after a CONNECT.
func FuzzClient(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed, byte(4))
		f.Add(append(bytes.Clone(seed), seeds[10]...), byte(5))
	}
	f.Fuzz(func(t *testing.T, input []byte, version byte) {
		st := &store{}
		s := newServer(t, st)
		in := io.MultiReader(bytes.NewReader(hello("MQTT", 4+version&1, 2, 0, 1, 'a')), bytes.NewReader(input))
		if version&2 != 0 {
			in = bytes.NewReader(input)
		}
		conn := &scripted{in: in}
		s.serve(conn)
		require.NoError(t, s.Close(t.Context()))
		answers := map[string]int{}
		for _, m := range st.messages() {
			require.True(t, validTopic(m.Topic))
			if m.QoS > 0 {
				answers[fmt.Sprintf("%d %d", m.QoS, m.ID)]++
			}
		}
		r := acks(t, conn.out.Bytes())
		for key, n := range answers {
			require.GreaterOrEqual(t, r[key], n, "every message that was passed on is answered")
		}
	})
}
