package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/wire"
)

// ErrNoLine is returned for a gateway that has not connected since the hub's start.
var ErrNoLine = errors.New("the gateway has not connected yet")

const (
	// maxWaiting bounds the gateways that were admitted and have no line yet.
	maxWaiting = maxAccounts
	// lineRetry is the pause after a line could not be opened.
	lineRetry = time.Second
	// askTimeout bounds a question to a gateway.
	askTimeout = 2 * time.Second
)

// porter has one connection into the account of each gateway that ever connected, and one into the
// account of the plant. From a gateway to the plant pass its own heartbeats and reports, in the other
// direction questions about the level of its log and requests for a trace. Nothing passes between gateways. It is safe for
// concurrent use.
type porter struct {
	log     *slog.Logger
	waiting chan string   // gateways that were admitted
	done    chan struct{} // closed by stop
	working sync.WaitGroup

	srv      *server.Server
	password string // of this process's own connections
	plant    *nats.Conn

	mu    sync.Mutex
	lines map[string]*nats.Conn
}

func newPorter(log *slog.Logger) *porter {
	return &porter{log: log, waiting: make(chan string, maxWaiting), done: make(chan struct{}), lines: map[string]*nats.Conn{}}
}

// start connects to the plant's account and opens lines from now on.
func (p *porter) start(srv *server.Server, password string) (err error) {
	p.srv, p.password = srv, password
	if p.plant, err = p.connect(hubUser); err != nil {
		return err
	}
	for _, subject := range []string{wire.LogLevelSubject("edge"), wire.TraceSubject} {
		if _, err := p.plant.Subscribe(subject, p.ask); err != nil {
			return fmt.Errorf("listening for questions to gateways: %w", err)
		}
	}
	p.working.Go(p.run)
	return nil
}

// arrived notes that a gateway was admitted. It does not block.
func (p *porter) arrived(gateway string) {
	if _, err := p.line(gateway); err == nil {
		return
	}
	select {
	case p.waiting <- gateway:
	default:
		p.log.Error("too many gateways at once, one has no line until it connects again", "gateway", gateway)
	}
}

// connect returns a connection within this process, which needs no pings to know that the hub lives.
func (p *porter) connect(user string) (*nats.Conn, error) {
	return natsconn.Connect(natsconn.Options{
		Name: user, User: user, Password: p.password, Log: p.log, InProcess: p.srv, MustConnect: true,
		Extra: []nats.Option{nats.PingInterval(pingInterval)},
	})
}

// pingInterval is as good as never.
const pingInterval = time.Hour

// run opens the lines of gateways that arrive until stop.
func (p *porter) run() {
	for {
		select {
		case <-p.done:
			return
		case gateway := <-p.waiting:
			if err := p.open(gateway); err != nil {
				p.log.Error("no line to a gateway, retrying", "gateway", gateway, "err", err)
				time.AfterFunc(lineRetry, func() { p.arrived(gateway) })
			}
		}
	}
}

// open opens the line of a gateway unless there is one.
func (p *porter) open(gateway string) error {
	if _, err := p.line(gateway); err == nil {
		return nil
	}
	nc, err := p.connect(BridgeUser(gateway))
	if err != nil {
		return err
	}
	for subject, pass := range map[string]nats.MsgHandler{
		wire.StatusSubject(gateway): p.pass(func([]byte) bool { return true }), // who reads it compares the gateway in it with the subject
		wire.VitalsSubject("edge"):  p.pass(func(data []byte) bool { return ofGateway(data, gateway) }),
	} {
		if _, err := nc.Subscribe(subject, pass); err != nil {
			nc.Close()
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lines == nil {
		nc.Close() // the hub stops
		return nil
	}
	p.lines[gateway] = nc
	return nil
}

// pass returns a handler that passes a gateway's messages on to the plant, if they are right.
func (p *porter) pass(right func(data []byte) bool) nats.MsgHandler {
	return func(m *nats.Msg) {
		if right(m.Data) {
			_ = p.plant.Publish(m.Subject, m.Data) // it fails when the hub stops
		}
	}
}

// ofGateway reports whether vitals are those of a gateway.
func ofGateway(vitals []byte, gateway string) bool {
	var v wire.Vitals
	return json.Unmarshal(vitals, &v) == nil && v.Program == "edge" && v.Instance == gateway
}

// ask passes a question on to its gateway, and the answer back.
func (p *porter) ask(m *nats.Msg) {
	var q struct {
		Instance string `json:"instance"`
	}
	if json.Unmarshal(m.Data, &q) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	nc := p.lines[q.Instance] // none after stop
	if nc == nil {
		return
	}
	p.working.Go(func() {
		if answer, err := nc.Request(m.Subject, m.Data, askTimeout); err == nil { // else the asker waits in vain, as for any process that is gone
			_ = m.Respond(answer.Data)
		}
	})
}

// line returns the line of a gateway.
func (p *porter) line(gateway string) (*nats.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if nc := p.lines[gateway]; nc != nil {
		return nc, nil
	}
	return nil, fmt.Errorf("%s: %w", gateway, ErrNoLine)
}

// stop closes all lines.
func (p *porter) stop() {
	p.mu.Lock()
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	lines := p.lines
	p.lines = nil
	p.mu.Unlock()
	if p.plant != nil {
		p.plant.Close()
	}
	for _, nc := range lines {
		nc.Close()
	}
	p.working.Wait()
}
