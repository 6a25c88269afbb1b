package gateway

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/doctor"
	"industrial-iot-monitor/edge/internal/enrolment"
)

const doctorUsage = `usage: edge doctor [-json] [-env-file FILE] [-rate READINGS]

Examines disk, clock, hub, certificates, keys, ports and limits of this gateway, one line a check:
ok, warn, fail or skip (could not be checked), the measured value, and what to do. It needs no running
gateway and does not disturb one.

  -json           one JSON object
  -env-file FILE  settings; without it /etc/iot-edge/edge.env if that exists, unless EDGE_DATA_DIR is set
  -rate READINGS  readings a second that are expected, for the buffer horizon; without it the rate of the
                  running gateway

Exit code: 0 without a failure, 1 with one, 2 for wrong usage.
`

// tryHubTimeout bounds the connection with the gateway's key.
const tryHubTimeout = 15 * time.Second

// DoctorCommand is "edge doctor": it returns the exit code.
func DoctorCommand(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON, file, rate := flags.Bool("json", false, ""), flags.String("env-file", "", ""), flags.Float64("rate", 0, "")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *rate < 0 {
		if err != nil && !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(errs, "edge doctor:", err)
		}
		fmt.Fprint(errs, doctorUsage)
		return 2
	}
	var cfg Config
	if _, err := cfg.load(*file); err != nil {
		fmt.Fprintln(errs, "edge doctor:", err)
		return 1
	}
	report := doctor.Examine(ctx, cfg.examination(*rate))
	write := report.WriteText
	if *asJSON {
		write = report.WriteJSON
	}
	if err := write(out); err != nil {
		fmt.Fprintln(errs, "edge doctor:", err)
		return 1
	}
	if report.Verdict == doctor.Fail {
		return 1
	}
	return 0
}

// examination says what there is to examine with these settings.
func (c *Config) examination(rate float64) doctor.Options {
	o := doctor.Options{
		Settings: errors.Join(c.Complete(), c.Check()), Gateway: c.ID, DataDir: c.DataDir, HubURL: c.HubURL,
		Certificates: []doctor.File{{What: "EDGE_TLS_CERT_FILE", Name: c.TLSCertFile}, {What: "EDGE_TLS_CLIENT_CA_FILE", Name: c.TLSClientCAFile}},
		Key:          doctor.File{What: "EDGE_TLS_KEY_FILE", Name: c.TLSKeyFile},
		MetricsAddr:  c.HTTPAddr, Connections: 2 * c.MaxConnections, Rate: rate, Now: time.Now(),
	}
	for _, p := range c.ports() {
		o.Ports = append(o.Ports, doctor.Port{Variable: p.Variable, Addr: p.Addr})
	}
	if !validID(c.ID) {
		o.Gateway = ""
		return o
	}
	o.Dir = filepath.Join(c.DataDir, c.ID)
	o.Store = func() (doctor.Room, error) {
		r, err := broker.RoomIn(o.Dir, doctor.ExistingAbove(o.Dir), c.BufferBytes)
		return doctor.Room{Wanted: c.BufferBytes, Limit: r.Limit, Used: r.Used, Free: r.Free}, err
	}
	o.HubCAFile = cmp.Or(c.HubCAFile, enrolment.CAFile(c.DataDir, c.ID))
	o.Certificates = append(o.Certificates, doctor.File{What: "authority of the hub", Name: o.HubCAFile})
	o.Secrets = []doctor.File{
		{What: "key of the gateway", Name: enrolment.KeyFile(c.DataDir, c.ID)},
		{What: "credentials", Name: devices.File(c.DataDir, c.ID)},
		{What: "credentials, centre", Name: devices.File(c.DataDir, c.ID) + ".centre"},
	}
	seed, err := enrolment.Seed(c.DataDir, c.ID)
	o.HubKey = seed != ""
	o.TryHub = func(ctx context.Context) error {
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, tryHubTimeout)
		defer cancel()
		return broker.TryHub(ctx, broker.Options{
			Gateway: c.ID, HubURL: c.HubURL, HubSeed: seed, HubCAFile: o.HubCAFile, Dir: o.Dir, Log: slog.New(slog.DiscardHandler),
		})
	}
	return o
}
