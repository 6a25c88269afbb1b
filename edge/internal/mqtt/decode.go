package mqtt

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// cursor decodes a packet's body. After the first error every read returns zero.
type cursor struct {
	rest []byte
	err  *fault
}

func (c *cursor) fail(code Code, format string, args ...any) {
	if c.err == nil {
		c.err = faultf(code, format, args...)
	}
	c.rest = nil
}

// next returns the next n bytes, which alias the body.
func (c *cursor) next(n int, what string) []byte {
	if len(c.rest) < n {
		c.fail(malformedPacket, "packet ends inside its %s", what)
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte(what string) byte {
	if b := c.next(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16(what string) uint16 {
	if b := c.next(2, what); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.next(4, "property"); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint decodes a variable byte integer (section 1.5.5).
func (c *cursor) varint(what string) int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b := c.byte(what)
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.fail(malformedPacket, "%s is longer than four bytes", what)
	return 0
}

// bytes decodes binary data (section 1.5.6).
func (c *cursor) bytes(what string) []byte { return c.next(int(c.uint16(what)), what) }

// text decodes a UTF-8 string (section 1.5.4) and returns its bytes.
func (c *cursor) text(what string) []byte {
	b := c.bytes(what)
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 { // [MQTT-1.5.4-1] [MQTT-1.5.4-2]
		c.fail(malformedPacket, "%s is not UTF-8 without NUL", what)
		return nil
	}
	return b
}

// MessageID is the user property with which a device names a message, so that a resend
// is recognised.
const MessageID = "message-id"

// User properties of W3C Trace Context.
const traceParent, traceState = "traceparent", "tracestate"

// properties are those properties (section 2.2.2) of a client's packet that this server uses.
type properties struct {
	seen          uint64 // bit i: identifier i
	sessionExpiry uint32
	willDelay     uint32
	maxPacket     uint32
	alias         uint16
	noProblemInfo bool
	authMethod    bool
	contentType   string
	messageID     string
	traceParent   string
	traceState    string
}

func (p *properties) has(id byte) bool { return p.seen&(1<<id) != 0 }

// Property identifiers.
const (
	propPayloadFormat    = 0x01
	propMessageExpiry    = 0x02
	propContentType      = 0x03
	propResponseTopic    = 0x08
	propCorrelation      = 0x09
	propSubscriptionID   = 0x0B
	propSessionExpiry    = 0x11
	propAssignedID       = 0x12
	propServerKeepAlive  = 0x13
	propAuthMethod       = 0x15
	propAuthData         = 0x16
	propProblemInfo      = 0x17
	propWillDelay        = 0x18
	propResponseInfo     = 0x19
	propReasonString     = 0x1F
	propReceiveMaximum   = 0x21
	propAliasMaximum     = 0x22
	propAlias            = 0x23
	propRetainAvailable  = 0x25
	propUser             = 0x26
	propMaximumPacket    = 0x27
	numPropertyIDs       = 64
	propertiesOfConnect  = 1<<propSessionExpiry | 1<<propAuthMethod | 1<<propAuthData | 1<<propProblemInfo | 1<<propResponseInfo | 1<<propReceiveMaximum | 1<<propAliasMaximum | 1<<propUser | 1<<propMaximumPacket
	propertiesOfPublish  = 1<<propPayloadFormat | 1<<propMessageExpiry | 1<<propContentType | 1<<propResponseTopic | 1<<propCorrelation | 1<<propAlias | 1<<propUser
	propertiesOfWill     = propertiesOfPublish&^(1<<propAlias) | 1<<propWillDelay
	propertiesOfSub      = 1<<propSubscriptionID | 1<<propUser
	propertiesOfUnsub    = 1 << propUser
	propertiesOfAck      = 1<<propReasonString | 1<<propUser
	propertiesOfGoodbye  = 1<<propSessionExpiry | 1<<propReasonString | 1<<propUser
	maxUserBytes         = 256
	maxContentTypeBytes  = 256
	sessionNeverExpires  = 0xFFFFFFFF
	protocolMQTT5        = 5
	protocolMQTT311      = 4
	protocolMQTT31       = 3
	bridgeBit            = 0x80
	maxTopicAliases      = 128
	maxAliasBytes        = 64 << 10 // of all topics with an alias; one topic may have as much
	defaultReceiveMaxium = 65535
)

// properties decodes the property section of a packet in which the identifiers of allowed
// may appear. Any other is malformed, a second one of a kind a protocol error (section
// 2.2.2.2).
func (c *cursor) properties(p *properties, allowed uint64) {
	section := cursor{rest: c.next(c.varint("property length"), "properties")}
	for len(section.rest) > 0 && c.err == nil {
		section.property(p, allowed)
		c.err = section.err
	}
	if c.err != nil {
		c.rest = nil
	}
}

func (c *cursor) property(p *properties, allowed uint64) {
	id := c.byte("property identifier")
	if id >= numPropertyIDs || allowed&(1<<id) == 0 {
		c.fail(malformedPacket, "property 0x%02x is not allowed in this packet", id)
		return
	}
	if p.has(id) && id != propUser {
		c.fail(protocolError, "property 0x%02x appears twice", id)
		return
	}
	p.seen |= 1 << id
	switch id {
	case propUser:
		name, value := c.text("user property"), c.text("user property")
		p.user(name, value)
	case propContentType:
		if v := c.text("content type"); len(v) <= maxContentTypeBytes {
			p.contentType = string(v)
		}
	case propAuthMethod:
		c.text("authentication method")
		p.authMethod = true
	case propCorrelation, propAuthData:
		c.bytes("binary property")
	case propResponseTopic, propReasonString:
		c.text("text property")
	case propSubscriptionID:
		if c.varint("subscription identifier") == 0 {
			c.fail(protocolError, "subscription identifier is 0")
		}
	default:
		c.number(p, id)
	}
}

// user takes the first of each user property that this server knows.
func (p *properties) user(name, value []byte) {
	var to *string
	switch string(name) {
	case MessageID:
		to = &p.messageID
	case traceParent:
		to = &p.traceParent
	case traceState:
		to = &p.traceState
	default:
		return
	}
	if *to == "" && len(value) <= maxUserBytes {
		*to = string(value)
	}
}

// number decodes a property that is a number.
func (c *cursor) number(p *properties, id byte) {
	const what = "property"
	switch id {
	case propSessionExpiry:
		p.sessionExpiry = c.uint32()
	case propWillDelay:
		p.willDelay = c.uint32()
	case propMessageExpiry:
		c.uint32()
	case propMaximumPacket:
		if p.maxPacket = c.uint32(); p.maxPacket == 0 {
			c.fail(protocolError, "maximum packet size is 0")
		}
	case propReceiveMaximum:
		if c.uint16(what) == 0 {
			c.fail(protocolError, "receive maximum is 0")
		}
	case propAliasMaximum:
		c.uint16(what)
	case propAlias:
		if p.alias = c.uint16(what); p.alias == 0 || p.alias > maxTopicAliases {
			c.fail(topicAliasInvalid, "topic alias %d: want 1 to %d", p.alias, maxTopicAliases) // [MQTT-3.3.2-8] [MQTT-3.3.2-9]
		}
	default: // request problem information, request response information, payload format
		switch v := c.byte(what); {
		case v > 1:
			c.fail(protocolError, "property 0x%02x is %d: want 0 or 1", id, v)
		case id == propProblemInfo:
			p.noProblemInfo = v == 0
		}
	}
}
