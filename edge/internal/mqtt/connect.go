package mqtt

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
)

// connectPacket is a decoded CONNECT (section 3.1).
type connectPacket struct {
	version   byte
	id        string
	user      string
	password  []byte
	clean     bool
	keepAlive time.Duration
	will      *Publish
	willDelay time.Duration
	props     properties
}

// decodeConnect decodes the body of a CONNECT. After an error p.version is that of the
// answer, 0 if the client speaks no MQTT.
func decodeConnect(body []byte) (p connectPacket, err *fault) {
	c := &cursor{rest: body}
	name := string(c.text("protocol name"))
	version := c.byte("protocol version")
	switch {
	case c.err != nil:
		return p, c.err
	case name != "MQTT" && name != "MQIsdp": // [MQTT-3.1.2-1]
		return p, faultf(malformedPacket, "protocol name %.20q: want MQTT", name)
	}
	// A bridge of mosquitto or RSMB sets the highest bit, in MQTT 3 only. It asks for no
	// delivery of its own messages; there is none.
	if version&^bridgeBit < protocolMQTT5 {
		version &^= bridgeBit
	}
	p.version = version
	if want := map[byte]string{protocolMQTT31: "MQIsdp", protocolMQTT311: "MQTT", protocolMQTT5: "MQTT"}[version]; name != want {
		p.version = min(version, protocolMQTT5)
		return p, faultf(unsupportedVersion, "protocol %s version %d: want MQTT 3.1, 3.1.1 or 5", name, version)
	}
	flags := c.byte("connect flags")
	p.clean = flags&2 != 0
	p.keepAlive = time.Duration(c.uint16("keep alive")) * time.Second
	if version == protocolMQTT5 {
		c.properties(&p.props, propertiesOfConnect)
	}
	p.id = string(c.text("client identifier"))
	p.decodeWill(c, flags)
	if flags&0x80 != 0 {
		p.user = string(c.text("user name"))
	}
	if flags&0x40 != 0 {
		p.password = c.bytes("password")
	}
	if c.err == nil {
		c.err = p.check(c, flags)
	}
	return p, c.err
}

// decodeWill decodes the will (section 3.1.3). A client may say farewell with an empty
// payload.
func (p *connectPacket) decodeWill(c *cursor, flags byte) {
	const willFlag, willQoSAndRetain = 0x04, 0x38
	if flags&willFlag == 0 {
		if flags&willQoSAndRetain != 0 { // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
			c.fail(malformedPacket, "connect flags 0x%02x: will QoS or retain without a will", flags)
		}
		return
	}
	if flags>>3&3 == 3 { // [MQTT-3.1.2-12]
		c.fail(malformedPacket, "will QoS is 3")
	}
	var props properties
	if p.version == protocolMQTT5 {
		c.properties(&props, propertiesOfWill)
	}
	topic, payload := c.text("will topic"), c.bytes("will payload")
	p.willDelay = time.Duration(props.willDelay) * time.Second
	p.will = &Publish{
		Topic: string(topic), Payload: append([]byte(nil), payload...),
		MessageID: props.messageID, ContentType: props.contentType, Will: true,
	}
}

// check refuses what the decoded fields may not say together.
func (p *connectPacket) check(c *cursor, flags byte) *fault {
	switch {
	case len(c.rest) > 0:
		return faultf(malformedPacket, "%d bytes after the end of CONNECT", len(c.rest))
	case flags&1 != 0: // [MQTT-3.1.2-3]
		return faultf(malformedPacket, "the reserved connect flag is 1")
	case p.version < protocolMQTT5 && flags&0xC0 == 0x40: // 3.1.1 [MQTT-3.1.2-22]
		return faultf(malformedPacket, "password without a user name")
	case p.will != nil && !validTopic(p.will.Topic):
		return faultf(TopicNameInvalid, "will topic %.80q has a wildcard or is empty", p.will.Topic)
	case p.props.has(propAuthData) && !p.props.authMethod: // section 3.1.2.11.10
		return faultf(protocolError, "authentication data without a method")
	case p.props.authMethod: // [MQTT-4.12.0-1]
		return faultf(badAuthenticationMethod, "extended authentication is not offered")
	case p.id == "" && (p.version == protocolMQTT31 || p.version == protocolMQTT311 && !p.clean): // 3.1.1 [MQTT-3.1.3-8]
		return faultf(clientIDNotValid, "empty client identifier: want one, or a clean session in MQTT 3.1.1")
	}
	return nil
}

// sessionExpiry is how long the session outlives the connection.
func (p *connectPacket) sessionExpiry() time.Duration {
	switch {
	case p.version == protocolMQTT5:
		return min(time.Duration(p.props.sessionExpiry)*time.Second, maxSessionExpiry)
	case p.clean:
		return 0
	}
	return maxSessionExpiry
}

// serverKeepAlive is the keep alive that counts.
func (p *connectPacket) serverKeepAlive() time.Duration {
	if p.keepAlive == 0 {
		return maxKeepAlive
	}
	return min(p.keepAlive, maxKeepAlive)
}

// connack encodes the accepting CONNACK and its properties (section 3.2.2.3): those of the
// limits that differ from the protocol's defaults.
func (c *Client) connack(p *connectPacket, present, assigned bool) []byte {
	var props []byte
	if p.version == protocolMQTT5 {
		props = append(props, propReceiveMaximum)
		props = binary.BigEndian.AppendUint16(props, receiveMaximum)
		props = append(props, propMaximumPacket)
		props = binary.BigEndian.AppendUint32(props, c.srv.maxPacket)
		props = append(props, propAliasMaximum)
		props = binary.BigEndian.AppendUint16(props, maxTopicAliases)
		if e := uint32(p.sessionExpiry() / time.Second); e != p.props.sessionExpiry {
			props = append(props, propSessionExpiry)
			props = binary.BigEndian.AppendUint32(props, e)
		}
		if k := p.serverKeepAlive(); k != p.keepAlive { // [MQTT-3.1.2-21]
			props = append(props, propServerKeepAlive)
			props = binary.BigEndian.AppendUint16(props, uint16(k/time.Second))
		}
		if assigned { // [MQTT-3.1.3-7]
			props = appendText(append(props, propAssignedID), c.id)
		}
	}
	return connackPacket(p.version, present, Success, props)
}

// refusal encodes the CONNACK that refuses a client; nil where the version has none.
func (f *fault) connack(version byte) []byte {
	if version == protocolMQTT5 {
		return connackPacket(version, false, f.code, appendText([]byte{propReasonString}, f.text))
	}
	if code, ok := f.returnCode(); ok && version != 0 {
		return connackPacket(version, false, code, nil)
	}
	return nil
}

// newClientID draws the id of a client that brings none ([MQTT-3.1.3-6]).
func newClientID() string { return fmt.Sprintf("auto-%s", rand.Text()) }
