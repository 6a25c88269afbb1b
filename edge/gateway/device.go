package gateway

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"industrial-iot-monitor/edge/internal/devices"
)

// DeviceCommand is "edge device": it changes the credentials of devices, also while the gateway runs, and
// returns the exit code.
func DeviceCommand(args []string, out, errs io.Writer) int {
	var cfg Config
	_, err := cfg.load("")
	if err == nil {
		err = errors.Join(cfg.Complete(), cfg.checkValues())
	}
	if err != nil {
		fmt.Fprintln(errs, "edge device:", err)
		return 2
	}
	c := devices.Command{
		File: devices.File(cfg.DataDir, cfg.ID), Out: out, Err: errs, Now: time.Now(),
		In: func(name string) (io.ReadCloser, error) { return os.Open(name) },
	}
	return c.Run(args)
}
