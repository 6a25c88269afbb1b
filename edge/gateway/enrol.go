package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/enrolment"
	"industrial-iot-monitor/internal/access"
)

// enrolTimeout bounds the connection to the hub.
const enrolTimeout = 15 * time.Second

const enrolUsage = `usage: edge enroll iotc_…

Makes this machine the gateway that the claim is for: draws a key, shows claim and key to the hub once
and keeps in EDGE_DATA_DIR what the gateway needs to start. "bridge gateway add" prints the claim.
`

// EnrolCommand is "edge enroll": it returns the exit code.
func EnrolCommand(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) != 1 || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(errs, enrolUsage)
		return 2
	}
	claim, err := access.ParseClaim(args[0])
	var cfg Config
	packaged := false
	if err == nil {
		packaged, err = cfg.load("")
	}
	if err != nil {
		fmt.Fprintln(errs, "edge enroll:", err)
		return 2
	}
	if cfg.ID != "" && cfg.ID != claim.Gateway {
		fmt.Fprintf(errs, "edge enroll: the claim is for %s, but EDGE_GATEWAY_ID=%s\n", claim.Gateway, cfg.ID)
		return 2
	}
	if err := enrol(ctx, claim, cfg.DataDir); err != nil {
		fmt.Fprintln(errs, "edge enroll:", err)
		return 1
	}
	fmt.Fprintf(out, "%s is enrolled at %s. Its key is in %s.\n", claim.Gateway, claim.Hub, filepath.Join(cfg.DataDir, claim.Gateway, "security"))
	start, restart := "edge", ""
	if packaged {
		start, restart = "systemctl enable --now iot-edge", " with systemctl restart iot-edge"
	}
	if broker.InUse(filepath.Join(cfg.DataDir, claim.Gateway)) {
		fmt.Fprintf(out, "Restart the gateway%s: it runs without the key until then, and its readings stay in its buffer.\n", restart)
	} else {
		fmt.Fprintln(out, "Start the gateway now:", start)
	}
	return 0
}

// KeyCommand is "edge key": it prints the public key of the gateway, for the configuration of an external
// hub, and returns the exit code.
func KeyCommand(args []string, out, errs io.Writer) int {
	var cfg Config
	_, err := cfg.load("")
	if err == nil {
		err = errors.Join(cfg.Complete(), cfg.checkValues())
	}
	if len(args) > 0 {
		err = errors.New("usage: edge key")
	}
	if err != nil {
		fmt.Fprintln(errs, "edge key:", err)
		return 2
	}
	public, err := enrolment.Public(cfg.DataDir, cfg.ID)
	if err != nil {
		fmt.Fprintln(errs, "edge key:", err)
		return 1
	}
	fmt.Fprintln(out, public)
	return 0
}

func enrol(ctx context.Context, claim access.Claim, dataDir string) error {
	seed, err := enrolment.Draw(dataDir, claim)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	ca, err := broker.Enrol(ctx, claim, seed, slog.New(slog.DiscardHandler))
	if errors.Is(err, broker.ErrUnreachable) {
		return fmt.Errorf("%w within %s; nothing was changed, try again when the line is there", err, enrolTimeout)
	}
	if err != nil {
		return err
	}
	return enrolment.Finish(dataDir, claim, ca)
}
