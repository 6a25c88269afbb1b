package mqtt

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
)

// publish handles a PUBLISH (section 3.3): it passes the message to the receiver, or
// answers a repeated QoS 2 message again.
func (c *Client) publish(flags byte, body []byte) *fault {
	p := &c.pub
	*p = Publish{QoS: flags >> 1 & 3}
	cur := &cursor{rest: body}
	topic := cur.text("topic")
	if p.QoS > 0 {
		if p.ID = cur.uint16("packet identifier"); p.ID == 0 && cur.err == nil {
			return faultf(protocolError, "packet identifier is 0") // [MQTT-2.2.1-3]
		}
	}
	var alias uint16
	if c.version == protocolMQTT5 {
		var props properties
		if len(cur.rest) > 0 && cur.rest[0] == 0 {
			cur.rest = cur.rest[1:] // no properties, the usual case
		} else {
			cur.properties(&props, propertiesOfPublish)
		}
		alias, p.MessageID, p.ContentType = props.alias, props.messageID, props.contentType
		p.TraceParent, p.TraceState = props.traceParent, props.traceState
	}
	if cur.err != nil {
		return cur.err
	}
	var f *fault
	if p.Topic, f = c.topic(topic, alias); f != nil {
		return f
	}
	p.Payload = cur.rest
	return c.accept(p)
}

// topic returns the topic name of a PUBLISH, resolving its alias (section 3.3.2.3.4).
func (c *Client) topic(name []byte, alias uint16) (string, *fault) {
	if len(name) == 0 {
		if t, ok := c.aliases[alias]; ok && alias != 0 {
			return t, nil
		}
		return "", faultf(protocolError, "no topic, and topic alias %d is unknown", alias) // [MQTT-3.3.2-8]
	}
	if string(name) != c.lastTopic { // compared without an allocation
		if bytes.ContainsAny(name, "+#") { // [MQTT-3.3.2-2]
			return "", faultf(TopicNameInvalid, "topic %.80q has a wildcard", name)
		}
		c.lastTopic = string(name)
	}
	if alias != 0 {
		if c.aliasBytes += len(name) - len(c.aliases[alias]); c.aliasBytes > maxAliasBytes {
			return "", faultf(topicAliasInvalid, "topic aliases of %d bytes: want at most %d", c.aliasBytes, maxAliasBytes)
		}
		if c.aliases == nil {
			c.aliases = map[uint16]string{}
		}
		c.aliases[alias] = c.lastTopic
	}
	return c.lastTopic, nil
}

func validTopic(s string) bool { return s != "" && !strings.ContainsAny(s, "+#") }

// accept passes a message to the receiver.
func (c *Client) accept(p *Publish) *fault {
	if p.QoS == 2 {
		switch c.session.begin(p.ID, c) {
		case exchangePending:
			return nil // the PUBREC follows when its outcome is known
		case exchangeStored:
			c.ack(typePubrec, p.ID, Success, "")
			return nil
		case exchangeRefused:
			return faultf(receiveMaximumExceeded, "more than %d unfinished QoS 2 exchanges", receiveMaximum)
		case exchangeNew:
		}
	}
	if p.QoS > 0 && c.open.Add(1) > receiveMaximum && c.version == protocolMQTT5 { // section 3.3.4
		return faultf(receiveMaximumExceeded, "more than %d messages without an answer", receiveMaximum)
	}
	c.receiver.Publish(p)
	return nil
}

// Answer sends the PUBACK or PUBREC of a message; a code other than Success says that it is
// refused, a reason with Success that part of it is. In MQTT 3, which has no codes, refused
// ends the connection, so that the client sends again after it reconnects. Answer does not
// block.
func (c *Client) Answer(qos byte, id uint16, code Code, reason string) {
	kind, to := byte(typePuback), c
	if qos == 2 {
		kind = typePubrec
		to = c.session.outcome(id, code == Success)
	}
	if qos == 1 || code != Success {
		c.open.Add(-1)
	}
	to.ack(kind, id, code, reason)
}

func (c *Client) ack(kind byte, id uint16, code Code, reason string) {
	switch {
	case code == Success && (reason == "" || c.version < protocolMQTT5):
		_, _ = c.conn.Write([]byte{kind << 4, 2, byte(id >> 8), byte(id)}) // a lost client resends
	case c.version < protocolMQTT5:
		c.end(faultf(QuotaExceeded, "%s", reason))
	default:
		if len(reason) > maxReasonBytes {
			reason = strings.ToValidUTF8(reason[:maxReasonBytes], "")
		}
		short := ackPacket(kind, id, code, "")
		if !c.problems { // [MQTT-3.1.2-29]
			reason = ""
		}
		_, _ = c.conn.Write(c.bounded(ackPacket(kind, id, code, reason), short)) // a lost client resends
	}
}

// pubrel ends a QoS 2 exchange (section 4.3.3).
func (c *Client) pubrel(body []byte) *fault {
	cur := &cursor{rest: body}
	id := cur.uint16("packet identifier")
	if c.version == protocolMQTT5 && len(cur.rest) > 0 {
		cur.byte("reason code")
		if len(cur.rest) > 0 {
			cur.properties(&properties{}, propertiesOfAck)
		}
	}
	if cur.err != nil {
		return cur.err
	}
	code := Success
	if c.session.release(id) {
		c.open.Add(-1)
	} else {
		code = c.only5(packetIDNotFound)
	}
	c.write(ackPacket(typePubcomp, id, code, ""))
	return nil
}

// maxFilters is how many filters a connection may subscribe to: some devices insist on a
// subscription, but no message is ever delivered.
const maxFilters = 8

// subscribe answers a SUBSCRIBE or UNSUBSCRIBE (sections 3.8 and 3.10). Subscriptions are
// counted and end with the connection.
func (c *Client) subscribe(kind byte, body []byte) *fault {
	cur := &cursor{rest: body}
	id := cur.uint16("packet identifier")
	if c.version == protocolMQTT5 {
		allowed := uint64(propertiesOfSub)
		if kind == typeUnsubscribe {
			allowed = propertiesOfUnsub
		}
		cur.properties(&properties{}, allowed)
	}
	var codes []byte
	for len(cur.rest) > 0 {
		codes = append(codes, byte(c.filter(cur, kind)))
	}
	switch {
	case cur.err != nil:
		return cur.err
	case id == 0: // [MQTT-2.2.1-3]
		return faultf(protocolError, "packet identifier is 0")
	case len(codes) == 0: // [MQTT-3.8.3-2] [MQTT-3.10.3-2]
		return faultf(protocolError, "no topic filter")
	}
	c.write(subscribeAck(kind+1, c.version, id, codes))
	return nil
}

// filter decodes one topic filter, with its options in a SUBSCRIBE, and returns the answer.
func (c *Client) filter(cur *cursor, kind byte) Code {
	filter := string(cur.text("topic filter"))
	options := byte(0)
	if kind == typeSubscribe {
		options = cur.byte("subscription options")
	}
	if cur.err != nil {
		return unspecifiedError
	}
	shared := strings.HasPrefix(filter, "$share/") && c.version == protocolMQTT5
	reserved := byte(0xFC)
	if c.version == protocolMQTT5 {
		reserved = 0xC0
	}
	switch {
	case options&3 == 3 || options&reserved != 0 || options>>4&3 == 3: // [MQTT-3.8.3-5]
		cur.fail(malformedPacket, "subscription options 0x%02x", options)
	case shared && options&4 != 0: // [MQTT-3.8.3-4]
		cur.fail(protocolError, "no local for the shared subscription %.80q", filter)
	case !validFilter(filter, shared):
		if c.version < protocolMQTT5 {
			return unspecifiedError // 3.1.1, section 3.9.3: the only failure
		}
		return topicFilterInvalid
	}
	return c.count(filter, kind, Code(options&3))
}

// count keeps a hash of each filter, and returns granted or that there are too many. MQTT 3.1
// has no code for a refusal and grants all (3.1, section 3.9): nothing is kept of those.
func (c *Client) count(filter string, kind byte, granted Code) Code {
	hash := maphash.String(c.srv.seed, filter)
	i := slices.Index(c.filters, hash)
	switch {
	case kind == typeUnsubscribe:
		if i >= 0 {
			c.filters = slices.Delete(c.filters, i, i+1)
		}
	case i >= 0 || c.version == protocolMQTT31:
	case len(c.filters) < maxFilters:
		c.filters = append(c.filters, hash)
	case c.version == protocolMQTT5:
		return QuotaExceeded
	default:
		return unspecifiedError
	}
	return granted
}

// validFilter checks wildcards (section 4.7.1) and the share name (section 4.8.2).
func validFilter(filter string, shared bool) bool {
	if shared {
		name, rest, ok := strings.Cut(strings.TrimPrefix(filter, "$share/"), "/")
		if !ok || name == "" || strings.ContainsAny(name, "+#") {
			return false
		}
		filter = rest
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if strings.Contains(level, "+") && level != "+" || strings.Contains(level, "#") && (level != "#" || i < len(levels)-1) {
			return false
		}
	}
	return filter != ""
}
