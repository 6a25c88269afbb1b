// Package natsconn connects every program to NATS in the same way: it reconnects for
// ever and logs each change of state. It is not for subjects or messages.
// Connect blocks no longer than the dial timeout for each server of the URL.
package natsconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/tlsfiles"
)

// Timing of every connection.
const (
	dialTimeout   = 5 * time.Second
	pingInterval  = 5 * time.Second // a silently dead link is noticed after two of these
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
	// KeyFile has the seed of the nkey that is proved to the server; empty: none.
	KeyFile string
	// CAFile has the certificates that the server's is signed by, read for each connection; empty:
	// those of the system, where the URL asks for TLS.
	CAFile string
	// MustConnect makes an unreachable server an error; without it the connection is
	// returned at once and established in the background.
	MustConnect bool
	// OnReconnect runs after each reconnect; a late first connection is none.
	OnReconnect func()
	Extra       []nats.Option // applied last
}

// Connect returns a connection that reconnects until it is closed, even after an
// authentication error: the user may be added to the server later.
func Connect(o Options) (*nats.Conn, error) {
	if o.Name == "" || o.Log == nil {
		return nil, errors.New("natsconn: Options.Name and Options.Log are required")
	}
	log := o.Log.With("connection", o.Name)
	var late atomic.Bool
	opts := settings(o, log, &late)
	if o.CAFile != "" {
		if _, err := tlsfiles.Client(o.CAFile, tls.VersionTLS13); err != nil {
			return nil, err
		}
		opts = append(opts, nats.RootCAs(o.CAFile))
	}
	if o.KeyFile != "" {
		key, err := nats.NkeyOptionFromSeed(o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the key for NATS in %s: %w", o.KeyFile, err)
		}
		opts = append(opts, key)
	}
	nc, err := nats.Connect(o.URL, append(opts, o.Extra...)...)
	if _, ok := errors.AsType[*url.Error](err); ok {
		err = errInvalidURL // the parser's error quotes the URL, password included
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS at %q: %w", Redact(o.URL), err)
	}
	if !nc.IsConnected() {
		late.Store(true)
		log.Warn("NATS unreachable, retrying", "url", Redact(o.URL))
	}
	return nc, nil
}

var errInvalidURL = errors.New("not a URL")

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

// handlers log every change of state, the first connection at info only if it is late.
func handlers(log *slog.Logger, late *atomic.Bool, onReconnect func()) []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) {
			level := slog.LevelDebug
			if late.Load() {
				level = slog.LevelInfo
			}
			log.Log(context.Background(), level, "NATS connected", "url", Redact(nc.ConnectedUrl()))
		}),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if nc.IsClosed() {
				return // our own Close
			}
			log.Warn("NATS connection lost, reconnecting", "err", err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Debug("NATS still unreachable", "err", err)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("NATS reconnected", "url", Redact(nc.ConnectedUrl()))
			if onReconnect != nil {
				onReconnect()
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if s == nil {
				log.Error("NATS error", "err", err)
				return
			}
			log.Error("NATS error", "subject", s.Subject, "err", err)
		}),
	}
}

// Redact hides the user information of a NATS URL, or of each in a comma-separated list.
// Unlike url.URL.Redacted it hides the user name, which may be a token, and a password
// in a string that is no valid URL.
func Redact(urls string) string {
	parts := strings.SplitAfter(urls, "://")
	for i, p := range parts {
		if at := strings.LastIndexByte(p, '@'); at >= 0 {
			parts[i] = "xxxxx" + p[at:]
		}
	}
	return strings.Join(parts, "")
}
