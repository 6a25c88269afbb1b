// Package natsconn connects to NATS the one way every program does: reconnecting for
// ever, with state changes in the log. It knows nothing of subjects or messages.
// Connect blocks no longer than its dial timeout for each server of the URL.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Timing of every connection.
const (
	dialTimeout   = 5 * time.Second
	pingInterval  = 5 * time.Second // a link that died silently is noticed after two of these
	reconnectWait = 250 * time.Millisecond
)

// Options of a connection. Name and Log are required.
type Options struct {
	URL  string // one server or several, comma separated
	Name string
	Log  *slog.Logger
	// InProcess connects to an embedded server instead of URL.
	InProcess      nats.InProcessConnProvider
	User, Password string
	// MustConnect makes a server that cannot be reached now an error; without it the
	// connection is returned at once and made in the background.
	MustConnect bool
	// OnReconnect runs after each time a lost connection was made again. The first
	// connection does not count, whenever it is made.
	OnReconnect func()
	Extra       []nats.Option // applied last
}

// Connect returns a connection that reconnects until it is closed, also after an
// authentication error: the server may learn of the user later.
func Connect(o Options) (*nats.Conn, error) {
	if o.Name == "" || o.Log == nil {
		return nil, errors.New("natsconn: Options.Name and Options.Log are required")
	}
	log := o.Log.With("connection", o.Name)
	var late atomic.Bool
	nc, err := nats.Connect(o.URL, append(settings(o, log, &late), o.Extra...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to nats at %q: %w", redact(o.URL), err)
	}
	if !nc.IsConnected() {
		late.Store(true)
		log.Warn("nats cannot be reached yet, trying on", "url", redact(o.URL))
	}
	return nc, nil
}

func settings(o Options, log *slog.Logger, late *atomic.Bool) []nats.Option {
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(100*time.Millisecond, 250*time.Millisecond),
		nats.RetryOnFailedConnect(!o.MustConnect),
		nats.IgnoreAuthErrorAbort(),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	return append(opts, handlers(log, late, o.OnReconnect)...)
}

// handlers put every change of state into the log, a first connection only if it is late.
func handlers(log *slog.Logger, late *atomic.Bool, onReconnect func()) []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) {
			level := slog.LevelDebug
			if late.Load() {
				level = slog.LevelInfo
			}
			log.Log(context.Background(), level, "nats connected", "url", nc.ConnectedUrlRedacted())
		}),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if nc.IsClosed() {
				return // by ourselves
			}
			log.Warn("nats connection lost, reconnecting", "err", err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Debug("nats still cannot be reached", "err", err)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("nats connected again", "url", nc.ConnectedUrlRedacted())
			if onReconnect != nil {
				onReconnect()
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if s == nil {
				log.Error("nats error", "err", err)
				return
			}
			log.Error("nats error", "subject", s.Subject, "err", err)
		}),
	}
}

// redact hides the passwords of a comma-separated list of URLs.
func redact(urls string) string {
	list := strings.Split(urls, ",")
	for i, one := range list {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil {
			list[i] = u.Redacted()
		} else if _, host, ok := strings.Cut(one, "@"); ok {
			list[i] = host // not a URL, but what is before the @ may be secret
		}
	}
	return strings.Join(list, ",")
}
