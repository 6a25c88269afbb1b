// Command portal is the control room's window: the page, the REST API and the WebSocket
// over what core has processed.
package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/portal/web"
)

// collectAt is the garbage collector's GOGC unless the environment says otherwise: most of
// what the portal holds stays (the recent course of every device), and it should not need
// twice the room.
const (
	collectAt = 40
	usualGOGC = 100
)

func main() {
	if before := debug.SetGCPercent(collectAt); before != usualGOGC {
		debug.SetGCPercent(before)
	}
	load := program.FromEnvironment[web.Config]("portal", "serves the page, the REST API and the WebSocket", os.Args[1:])
	os.Exit(program.Run("portal", load, func(cfg web.Config, log *slog.Logger) (*web.Portal, error) {
		return web.New(web.Options{Config: cfg, Log: log})
	}))
}
