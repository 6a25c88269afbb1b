package gateway

import (
	"context"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notify tells systemd how the service is, as sd_notify(3) has it. Without systemd it does nothing.
func Notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// notify passes a state on to Options.Notify. A supervisor that does not hear it acts by its own limits: a
// warning is all there is to do.
func (g *Gateway) notify(state string) {
	if g.supervisor == nil {
		return
	}
	if err := g.supervisor(state); err != nil {
		g.log.Warn("notifying the supervisor failed", "state", state, "err", err)
	}
}

// supervised reports the start now, and the stop once ctx ends, before the parts stop.
func (g *Gateway) supervised(ctx context.Context) func() bool {
	g.notify(daemon.SdNotifyReady)
	return context.AfterFunc(ctx, func() { g.notify(daemon.SdNotifyStopping) })
}

// alivePulse tells the watchdog that the gateway gets on: it could ask the stream, or waits for a disk that
// accepts no writes, where a restart would not help.
func (g *Gateway) alivePulse(probed bool) {
	if probed || g.diskBad.Load() {
		g.notify(daemon.SdNotifyWatchdog)
	}
}
