package fanout

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"

	"industrial-iot-monitor/portal/internal/dashboard"
)

const (
	// closeWait is how long the other side may take to answer a close frame.
	closeWait = time.Second
	// maxNotes bounds the error messages that wait for a client.
	maxNotes = 100
	// sendBuffer is what the kernel may hold for a client, so that what a slow one
	// reads is not very old.
	sendBuffer = 256 << 10
)

// rawSocket is the TCP connection under the WebSocket, for writing.
type rawSocket interface {
	net.Conn
	CloseWrite() error
}

// client is one connection: a reader, which Serve runs, and a writer.
type client struct {
	broadcaster *Broadcaster
	ws          *websocket.Conn    // read by the reader, never written to
	raw         rawSocket          // written to by the writer alone
	session     *dashboard.Session // nil in the simple dialect

	// Guarded by router.mu.
	sub      subscription
	detached bool // it subscribes to nothing any more

	mu sync.Mutex
	pending
	seqs    bool     // it gets positions
	notes   [][]byte // error messages and answers, framed
	pong    []byte   // a pong frame that is due
	ping    bool     // a ping is due
	closing *closing // the close frame that is due

	lastSeen atomic.Int64 // time of the client's last message or control frame, ns since 1970
	screened atomic.Int64 // when it last reported of its screen, ms
	pinged   time.Time    // belongs to Broadcaster.sweep

	from     netip.Addr                // that it counts against, see Visitor
	commands func(json.RawMessage) any // nil: refused
	present  func(name string)         // nil: ignored
	ended    func() bool               // nil: never
	working  chan struct{}             // one for each running command
	workers  sync.WaitGroup

	wake   chan struct{} // there are readings
	urgent chan struct{} // there is something that must not wait for the end of a pause
	gone   chan struct{} // the reader has ended

	allowance  float64 // messages the client may send now; belongs to the reader
	allowedAt  time.Time
	limitNoted time.Time
}

// closing is how a connection ends. A code of closeGoneSilent sends nothing.
type closing struct {
	code int
	text string
}

func newClient(b *Broadcaster, ws *websocket.Conn, raw rawSocket, who dashboard.Caller) *client {
	now := time.Now()
	c := &client{
		broadcaster: b, ws: ws, raw: raw, pinged: now,
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), gone: make(chan struct{}),
		working:   make(chan struct{}, maxCommands),
		allowance: b.limits.RateBurst, allowedAt: now,
	}
	c.lastSeen.Store(now.UnixNano())
	below := net.Conn(raw)
	if t, ok := below.(interface{ NetConn() net.Conn }); ok { // TLS
		below = t.NetConn()
	}
	if t, ok := below.(interface{ SetWriteBuffer(int) error }); ok {
		_ = t.SetWriteBuffer(sendBuffer) // without it the system's own size holds
	}
	c.openSession(who)
	ws.SetPingHandler(func(data string) error { c.touch(); c.answerPing(data); return nil })
	ws.SetPongHandler(func(string) error { c.touch(); return nil })
	ws.SetCloseHandler(func(code int, _ string) error { c.close(code, ""); return nil })
	return c
}

// rawConn returns the connection under ws. Writing past the WebSocket library is what
// lets many frames go out in one system call.
func rawConn(ws *websocket.Conn) rawSocket {
	conn := ws.NetConn()
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = hijacked.UnsafeConn()
	}
	if raw, ok := conn.(rawSocket); ok {
		return raw
	}
	return noHalfClose{conn}
}

// noHalfClose is a connection that can only be closed whole.
type noHalfClose struct{ net.Conn }

// CloseWrite does nothing: the peer sees the end when the connection is closed.
func (noHalfClose) CloseWrite() error { return nil }

// drain reads until the peer is done or the deadline has passed, so that what was sent
// to it is not torn away by a reset.
func drain(raw rawSocket) {
	_, _ = io.Copy(io.Discard, raw) // any end will do
}

func (c *client) touch()                { c.lastSeen.Store(time.Now().UnixNano()) }
func (c *client) lastSeenAt() time.Time { return time.Unix(0, c.lastSeen.Load()) }

// close makes the writer end the connection with a close frame. The first call counts.
func (c *client) close(code int, text string) {
	c.mu.Lock()
	first := c.closing == nil
	if first {
		c.closing = &closing{code, text}
	}
	c.mu.Unlock()
	if first {
		poke(c.urgent)
	}
}

// note sends an error message.
func (c *client) note(r *refusal) {
	c.broadcaster.counts.rejected.Add(1)
	c.queueNote(errorMessage(r.code, r.message))
}

func (c *client) askForPong() {
	c.mu.Lock()
	c.ping = true
	c.mu.Unlock()
	poke(c.urgent)
}

// answerPing makes a pong due. Of several unanswered pings the last one is answered
// (RFC 6455, section 5.5.3).
func (c *client) answerPing(data string) {
	c.mu.Lock()
	c.pong = appendControl(nil, opPong, []byte(data))
	c.mu.Unlock()
	poke(c.urgent)
}

// read handles the client's messages until the connection ends, then ends the writer.
func (c *client) read() {
	defer close(c.gone)
	defer c.recoverPanic()
	for {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			c.close(closeGoneSilent, "") // unless a close is due already
			return
		}
		c.touch()
		data, err := io.ReadAll(io.LimitReader(r, int64(c.broadcaster.limits.MessageBytes)+1))
		switch {
		case err != nil:
			c.close(closeGoneSilent, "")
			return
		case len(data) > c.broadcaster.limits.MessageBytes:
			c.close(closeTooBig, "message too big")
			drain(c.raw) // hangUp sets its end
			return
		case !c.allowed(time.Now()):
			continue
		case kind != websocket.TextMessage:
			c.note(&refusal{codeBadRequest, "send text messages"})
			continue
		}
		c.handle(data)
	}
}

// recoverPanic drops the connection instead of ending the program when handling a client's
// message panics.
func (c *client) recoverPanic() {
	if v := recover(); v != nil { //nolint:revive // it is deferred by read
		c.broadcaster.log.Error("panic while handling a client", "panic", v, "stack", string(debug.Stack()))
		c.close(closeGoneSilent, "")
	}
}

// handle executes a message.
func (c *client) handle(data []byte) {
	if c.session != nil {
		c.handleDashboard(data)
		return
	}
	req, err := parseRequest(data)
	if err == nil {
		err = c.apply(req)
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		c.note(r)
		return
	}
	c.broadcaster.counts.accepted.Add(1)
}

func (c *client) apply(req request) error {
	if req.Type == typeAlarmCommand {
		return c.command(req.Command)
	}
	if req.DeviceIDs != nil {
		c.allowance -= float64(len(*req.DeviceIDs)) / 100 // long lists cost us time
	}
	if req.Seq {
		c.mu.Lock()
		c.seqs = true
		c.mu.Unlock()
	}
	missed, err := c.broadcaster.router.apply(c, req)
	if missed {
		return &refusal{codeNotRecoverable, "you are subscribed, but not all readings since then are held any more; those that are follow"}
	}
	return err
}

// allowed reports whether the client may send a message now. One that sends too many gets an
// error message once a second.
func (c *client) allowed(now time.Time) bool {
	l := &c.broadcaster.limits
	c.allowance = min(l.RateBurst, c.allowance+now.Sub(c.allowedAt).Seconds()*l.RatePerSecond)
	c.allowedAt = now
	if c.allowance >= 1 {
		c.allowance--
		return true
	}
	if now.Sub(c.limitNoted) >= time.Second {
		c.limitNoted = now
		c.note(&refusal{codeRateLimited, "too many messages; this one and those that follow too soon are ignored"})
	}
	return false
}
