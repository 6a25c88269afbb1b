package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/access"
)

// Errors of Enrol.
var (
	ErrRefused     = errors.New("the hub refuses the claim: it was used, has expired, or was replaced by a newer one; ask for another one")
	ErrUnreachable = errors.New("the hub did not answer")
)

// enrolEvery is how often the outcome of an enrolment is looked at.
const enrolEvery = 20 * time.Millisecond

// Enrol connects to the hub of a claim once, shows the claim and proves the key of a seed. It returns
// nil when the hub has let the gateway in, and ErrRefused or ErrUnreachable. It blocks until then or
// until ctx ends.
func Enrol(ctx context.Context, c access.Claim, seed string, log *slog.Logger) error {
	hub, err := url.Parse(c.Hub)
	if err != nil {
		return access.ErrClaim
	}
	hub.User = url.UserPassword(c.Gateway, access.ClaimPassword(c.Secret))
	so := &server.Options{ServerName: c.Gateway, DontListen: true, NoSigs: true}
	so.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{hub}, Nkey: seed, FirstInfoTimeout: 5 * time.Second}}
	so.LeafNode.ReconnectInterval, so.LeafNode.DialTimeout = time.Second/4, 5*time.Second
	srv, err := server.NewServer(so)
	if err != nil {
		return fmt.Errorf("setting up the connection: %w", err)
	}
	var refused refusals
	srv.SetLoggerV2(&serverLog{log: log, refused: &refused}, false, false, false)
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	tick := time.NewTicker(enrolEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w at %s", ErrUnreachable, hub.Host)
		case <-tick.C:
		}
		if refused.n.Load() > 0 {
			return ErrRefused
		}
		if srv.NumLeafNodes() > 0 {
			return nil
		}
	}
}
