// Command portal is the control room's window: the page, the REST API and the WebSocket
// over what core has processed.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/portal/web"
)

// collectAt is the garbage collector's GOGC unless the environment says otherwise: most of
// what the portal holds stays (the recent course of every device), and it should not need
// twice the room.
const (
	collectAt = 40
	usualGOGC = 100
)

func main() { os.Exit(run()) }

func run() int {
	var cfg web.Config
	program := config.Program{
		Name: "portal", Summary: "serves the page, the REST API and the WebSocket.", Args: os.Args[1:], Out: os.Stdout,
	}
	if err := config.Load(program, &cfg); err != nil {
		if errors.Is(err, config.ErrHelp) {
			return 0
		}
		fmt.Fprintln(os.Stderr, "portal:", err)
		return 2
	}
	log, err := ops.NewLogger(cfg.LogConfig, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "portal:", err)
		return 2
	}
	if before := debug.SetGCPercent(collectAt); before != usualGOGC {
		debug.SetGCPercent(before)
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	p, err := web.New(web.Options{Config: cfg, Log: log})
	if err != nil {
		log.Error("portal cannot start", "err", err)
		return 1
	}
	if err := p.Run(ctx); err != nil {
		log.Error("portal failed", "err", err)
		return 1
	}
	return 0
}
