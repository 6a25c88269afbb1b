package publisher

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/wire"
)

var errNotConnected = errors.New("not connected")

// natsLink publishes with its own reply subjects and receives all answers in one
// subscription: the last token of the subject identifies sender and message, so no
// goroutine waits for an answer.
type natsLink struct {
	w     *worker
	addr  string
	index int
	gate  chan struct{}
	inbox string // ends with a dot

	nc    atomic.Pointer[nats.Conn]
	up    atomic.Bool
	reply []byte // the inbox and room for a token
}

func newNATSLink(w *worker, addr string, index int, gate chan struct{}) link {
	inbox := nats.NewInbox() + "."
	return &natsLink{w: w, addr: addr, index: index, gate: gate, inbox: inbox, reply: []byte(inbox)}
}

// run implements link.
func (l *natsLink) run(ctx context.Context, attempted func()) error {
	defer attempted()
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	nc, err := l.connect()
	<-l.gate
	if err != nil {
		return fmt.Errorf("gateway %s: %w", natsconn.Redact(l.addr), err)
	}
	defer nc.Close()
	if _, err := nc.Subscribe(l.inbox+"*", l.answer); err != nil {
		return fmt.Errorf("gateway %s: subscribing to answers: %w", natsconn.Redact(l.addr), err)
	}
	l.nc.Store(nc)
	if nc.IsConnected() {
		l.connected()
	} else {
		l.log().Warn("gateway unreachable, retrying")
	}
	attempted()
	<-ctx.Done()
	l.lost(false)
	return nil
}

func (l *natsLink) connect() (*nats.Conn, error) {
	return natsconn.Connect(natsconn.Options{
		URL: "nats://" + l.addr, Name: fmt.Sprintf("sim-%d-%d", l.w.base, l.index), Log: l.log(),
		OnReconnect: l.connected,
		Extra: []nats.Option{
			nats.ReconnectBufSize(-1), // a publish without a connection fails at once
			nats.ConnectHandler(func(*nats.Conn) { l.connected() }),
			nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
				if err != nil && l.lost(true) {
					l.log().Warn("gateway connection lost, reconnecting", "err", err)
				}
			}),
		},
	})
}

// log returns the worker's logger, or a silent one if every device has a connection: then
// the totals must suffice.
func (l *natsLink) log() *slog.Logger {
	if l.w.opts.PerDevice {
		return slog.New(slog.DiscardHandler)
	}
	return l.w.log
}

func (l *natsLink) connected() {
	if l.up.CompareAndSwap(false, true) {
		l.w.linkUp()
	}
}

func (l *natsLink) lost(broke bool) bool {
	was := l.up.CompareAndSwap(true, false)
	if was {
		l.w.linkLost(l.index, broke)
	}
	return was
}

// tokenLen is the length of the last token of a reply subject: sender and serial in hex.
const tokenLen = 16

// send implements link.
func (l *natsLink) send(sender int, serial uint32, payload []byte) error {
	nc := l.nc.Load()
	if nc == nil || !l.up.Load() {
		return errNotConnected
	}
	var token [tokenLen / 2]byte
	binary.BigEndian.PutUint32(token[:4], uint32(sender))
	binary.BigEndian.PutUint32(token[4:], serial)
	l.reply = hex.AppendEncode(l.reply[:len(l.inbox)], token[:])
	return nc.PublishRequest(l.w.subjects[sender], string(l.reply), payload)
}

// flush implements link: the NATS client flushes itself.
func (l *natsLink) flush() {}

// unanswered implements link: the connection may still work.
func (l *natsLink) unanswered() {}

var ackPrefix = []byte(`{"stream":`)

// answer handles the reply to one publish.
func (l *natsLink) answer(m *nats.Msg) {
	var token [tokenLen / 2]byte
	if len(m.Subject) != len(l.inbox)+tokenLen {
		return
	}
	if _, err := hex.Decode(token[:], []byte(m.Subject[len(l.inbox):])); err != nil {
		return
	}
	sender, serial := int(binary.BigEndian.Uint32(token[:4])), binary.BigEndian.Uint32(token[4:])
	if l.w.opts.Batch == 1 && bytes.HasPrefix(m.Data, ackPrefix) {
		l.w.acked(sender, serial, nil)
		return
	}
	r, err := wire.DecodeReply(m.Data)
	switch {
	case err != nil: // also the empty "no responders": the gateway has no intake
		l.w.later(sender, serial)
	case r.Error == nil:
		l.w.acked(sender, serial, r.Refused)
	case r.Error.Code == unavailable || r.Error.Code == tooMany:
		l.w.later(sender, serial)
	default:
		l.w.refused(sender, serial, r.Error)
	}
}

// Codes of "retry later".
const unavailable, tooMany = 503, 429
