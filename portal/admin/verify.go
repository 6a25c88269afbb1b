package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
)

// mostFaults bounds what is printed.
const mostFaults = 100

var errFaults = errors.New("the security audit is not as it was written")

// verify reads the security audit from its beginning and names what does not hold.
func (t *tool) verify(ctx context.Context, o settings, args []string) error {
	if len(args) != 1 || args[0] != "verify" {
		return program.ErrUsage
	}
	v, err := auditlog.Verify(ctx, slog.New(slog.DiscardHandler), o.cluster, o.topic)
	if err != nil {
		return err
	}
	records, chains := v.Counts()
	faults := v.Faults()
	for i, f := range faults {
		if i == mostFaults {
			fmt.Fprintf(t.Out, "and %d more\n", len(faults)-mostFaults)
			break
		}
		fmt.Fprintf(t.Out, "offset %d: %s\n", f.Offset, f.Text)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %d faults in %d records of %d chains", errFaults, len(faults), records, chains)
	}
	fmt.Fprintf(t.Out, "%d records of %d chains hold\n", records, chains)
	return nil
}
