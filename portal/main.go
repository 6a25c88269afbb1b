// Command portal serves the control room: the page, the REST API and the WebSocket over the data
// that core has processed. "portal user" and "portal token" say who may use it, "portal audit
// verify" whether the security audit is as it was written.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/portal/admin"
	"industrial-iot-monitor/portal/web"
)

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "user" || os.Args[1] == "token" || os.Args[1] == "audit") {
		os.Exit(command(os.Args[1:]))
	}
	// Nearly all of the portal's memory is long-lived (the latest reading of every device and those
	// of the last minute) and a reading leaves little garbage.
	program.CollectAt(25)
	load := program.FromEnvironment[web.Config]("portal", "serves the page, the REST API and the WebSocket; \"portal user\" and \"portal token\" say who may use it, \"portal audit verify\" checks the security audit", os.Args[1:])
	os.Exit(program.Run("portal", load, func(cfg web.Config, log *slog.Logger) (*web.Portal, error) {
		return web.New(web.Options{Config: cfg, Log: log})
	}))
}

func command(args []string) int {
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	return admin.Command(ctx, args, admin.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}
