package kafkaproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

const (
	// maxFrame bounds a request or answer: more is not Kafka's protocol.
	maxFrame = 256 << 20
	// requestHead is key, version and correlation.
	requestHead = 2 + 2 + 4
)

var errFrame = errors.New("not a frame of kafka's protocol")

// link is one client's connection and its counterpart at the broker.
type link struct {
	proxy  *Proxy
	client net.Conn
	broker net.Conn

	mu      sync.Mutex
	pending map[int32]Exchange // by correlation: requests without an answer
}

func (l *link) cut() {
	_ = l.client.Close()
	_ = l.broker.Close()
}

// requests forwards requests to the broker until either side closes.
func (l *link) requests(ctx context.Context) {
	defer l.cut()
	for {
		frame, err := readFrame(l.client)
		if err != nil {
			return
		}
		if len(frame) < requestHead {
			l.proxy.log.Error("connection cut", "err", errFrame)
			return
		}
		x := Exchange{
			Key: int16(binary.BigEndian.Uint16(frame)), Version: int16(binary.BigEndian.Uint16(frame[2:])),
			Correlation: int32(binary.BigEndian.Uint32(frame[4:])), Request: frame,
		}
		switch decide(ctx, l.proxy.matching(BeforeRequest, x.Key), x) {
		case Cut:
			return
		case Drop:
			continue
		case Pass:
		}
		l.mu.Lock()
		l.pending[x.Correlation] = x
		l.mu.Unlock()
		if writeFrame(l.broker, frame) != nil {
			return
		}
	}
}

// responses forwards answers to the client until either side closes.
func (l *link) responses(ctx context.Context) {
	defer l.cut()
	for {
		frame, err := readFrame(l.broker)
		if err != nil || len(frame) < 4 {
			return
		}
		x := l.answered(int32(binary.BigEndian.Uint32(frame)))
		if frame, err = l.proxy.rewrite(x, frame); err != nil {
			l.proxy.log.Error("unreadable answer, connection cut", "key", x.Key, "version", x.Version, "err", err)
			return
		}
		switch decide(ctx, l.proxy.matching(BeforeResponse, x.Key), x) {
		case Cut:
			return
		case Drop:
			continue
		case Pass:
		}
		// Chosen before the client has the answer: a hook that it sets then is for later exchanges.
		hooks := l.proxy.matching(AfterResponse, x.Key)
		if writeFrame(l.client, frame) != nil || decide(ctx, hooks, x) == Cut {
			return
		}
	}
}

// answered returns the request of an answer.
func (l *link) answered(correlation int32) Exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, ok := l.pending[correlation]
	if !ok {
		x.Key = AnyKey
	}
	delete(l.pending, correlation)
	return x
}

func decide(ctx context.Context, hooks []*hook, x Exchange) Verdict {
	for _, h := range hooks {
		if v := h.call(ctx, x); v != Pass {
			return v
		}
	}
	return Pass
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// writeFrame writes length and frame in one call.
func writeFrame(w io.Writer, frame []byte) error {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(frame)))
	buffers := net.Buffers{size[:], frame}
	_, err := buffers.WriteTo(w)
	return err
}
