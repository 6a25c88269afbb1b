package admin

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/program"
)

const usageOfCA = `usage:
  bridge ca init -dir D -names hub.example.com,10.0.0.5      the plant's authority (ca.pem, ca.key) and the hub's certificate (hub.pem, hub.key)
  bridge ca renew -dir D                                     a new certificate for the hub; a running bridge takes it by itself
  bridge ca issue -dir D -names gw-c.example.com -out FILE   FILE.pem and FILE.key for the ports of a gateway, portal or core's history
  bridge ca issue -dir D -device pump-1 -out FILE            FILE.pem and FILE.key with which a device proves that it is pump-1
`

// CACommand is "bridge ca"; it returns the exit code.
func CACommand(args []string, out, errs io.Writer) int {
	switch err := runCA(args, out); {
	case errors.Is(err, program.ErrUsage):
		fmt.Fprint(errs, usageOfCA)
		return 2
	case err != nil:
		fmt.Fprintln(errs, "bridge ca:", err)
		return 1
	}
	return 0
}

func runCA(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ca", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("dir", "", "")
	names := flags.String("names", "", "")
	file := flags.String("out", "", "")
	device := flags.String("device", "", "")
	if len(args) == 0 || flags.Parse(args[1:]) != nil || flags.NArg() > 0 || *dir == "" {
		return program.ErrUsage
	}
	all := strings.FieldsFunc(*names, func(r rune) bool { return r == ',' || r == ' ' })
	hub := filepath.Join(*dir, ca.Hub)
	switch args[0] {
	case "init":
		if err := ca.Init(*dir, all, time.Now()); err != nil {
			return err
		}
		fmt.Fprintf(out, "The hub: BRIDGE_TLS_CERT_FILE=%s.pem BRIDGE_TLS_KEY_FILE=%s.key\nCore, portal, further bridges: HUB_CA_FILE=%s, with HUB_URL=tls://…\nKeep ca.key where only you read it: who has it can be the hub.\n",
			hub, hub, filepath.Join(*dir, "ca.pem"))
		return nil
	case "renew":
		if err := ca.Renew(*dir, time.Now()); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s.pem holds for another year.\n", hub)
		return nil
	case "issue":
		switch {
		case *file == "", *device != "" && *names != "":
			return program.ErrUsage
		case *device != "":
			if err := ca.IssueDevice(*dir, *file, *device, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(out, "On the device %s: %s.pem and %s.key.\nOn its gateway: EDGE_TLS_CLIENT_CA_FILE=%s\n", *device, *file, *file, filepath.Join(*dir, "ca.pem"))
			return nil
		}
		if err := ca.Issue(*dir, *file, all, time.Now()); err != nil {
			return err
		}
		fmt.Fprintf(out, "On the gateway: EDGE_TLS_CERT_FILE=%[1]s.pem EDGE_TLS_KEY_FILE=%[1]s.key\nOr at the portal: PORTAL_TLS_CERT_FILE, PORTAL_TLS_KEY_FILE; at core's history: CORE_HISTORY_TLS_CERT_FILE, CORE_HISTORY_TLS_KEY_FILE\nWhat connects to it trusts %[2]s.\n", *file, filepath.Join(*dir, "ca.pem"))
		return nil
	}
	return program.ErrUsage
}
