package mqtt

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
)

// endless repeats a packet.
type endless struct {
	packet []byte
	left   int
	rest   []byte
}

func (e *endless) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.rest = e.packet
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// discards is a Receiver that answers at once.
type discards struct{ c *Client }

func (d discards) Publish(p *Publish) {
	if p.QoS > 0 {
		d.c.Answer(p.QoS, p.ID, Success, "")
	}
}

// BenchmarkPublish reads and acknowledges QoS 1 messages with a payload of 500 bytes.
func BenchmarkPublish(b *testing.B) {
	for name, version := range map[string]byte{"3.1.1": 4, "5": 5} {
		b.Run(name, func(b *testing.B) {
			body := append(appendText(nil, topic), 0, 1)
			if version == 5 {
				body = append(body, 0)
			}
			p := packet(typePublish, 2, append(body, make([]byte, 500)...))
			many := bytes.Repeat(p, 64)
			s, err := New(Options{NewReceiver: func(c *Client) Receiver { return discards{c} }, MaxPacket: maxPacket, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			conn := &scripted{in: io.MultiReader(bytes.NewReader(hello("MQTT", version, 2, 0, 1, 'a')), &endless{packet: many, left: b.N/64 + 1})}
			s.serve(conn)
			if err := s.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
