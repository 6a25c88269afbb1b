// Command portal serves the control room: the page, the REST API and the WebSocket over the data
// that core has processed.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/portal/web"
)

func main() {
	// Nearly all of the portal's memory is long-lived (the latest reading of every device and those
	// of the last minute) and a reading leaves little garbage.
	program.CollectAt(25)
	load := program.FromEnvironment[web.Config]("portal", "serves the page, the REST API and the WebSocket", os.Args[1:])
	os.Exit(program.Run("portal", load, func(cfg web.Config, log *slog.Logger) (*web.Portal, error) {
		return web.New(web.Options{Config: cfg, Log: log})
	}))
}
