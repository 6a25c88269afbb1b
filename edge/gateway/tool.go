package gateway

import (
	"fmt"
	"io"
	"time"

	"industrial-iot-monitor/edge/internal/mapping"
)

// MappingsCommand is "edge mappings check" and "edge mappings test": it tries a mappings
// file without running a gateway. It returns the exit code.
func MappingsCommand(args []string, in io.Reader, out, errs io.Writer) int {
	var cfg Config
	if _, err := cfg.load(""); err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	c := mapping.Command{In: in, Out: out, Err: errs, Building: cfg.Building, Now: time.Now()}
	return c.Run(args)
}
