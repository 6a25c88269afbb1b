package relay

import (
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/internal/natsconn"
)

// lines are this bridge's connections into the accounts of gateways at the hub of another bridge,
// each made when it is first asked for. They are safe for concurrent use.
type lines struct {
	url, keyFile, caFile string
	log                  *slog.Logger

	mu   sync.Mutex
	open map[string]*nats.Conn // nil after close
}

func newLines(url, keyFile, caFile string, log *slog.Logger) *lines {
	return &lines{url: url, keyFile: keyFile, caFile: caFile, log: log, open: map[string]*nats.Conn{}}
}

// to returns the line of a gateway.
func (l *lines) to(gateway string) (*nats.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if nc := l.open[gateway]; nc != nil {
		return nc, nil
	}
	if l.open == nil {
		return nil, nats.ErrConnectionClosed
	}
	user := hub.BridgeUser(gateway)
	nc, err := natsconn.Connect(natsconn.Options{URL: l.url, Name: user, User: user, KeyFile: l.keyFile, CAFile: l.caFile, Log: l.log})
	if err != nil {
		return nil, err
	}
	l.open[gateway] = nc
	return nc, nil
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, nc := range l.open {
		nc.Close()
	}
	l.open = nil
}
