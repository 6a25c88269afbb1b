package historian

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/history"
)

const commandUsage = `usage: core history export [flags] > file
Exports readings from the historian, all devices or some, oldest first for each device.
`

// Command is "core history export": it writes readings to out, or to a file, and says on errs how far
// it is. It returns the exit code: 0 success, 1 the historian gave no answer or stopped in the middle,
// 2 wrong arguments.
func Command(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 || args[0] != "export" {
		fmt.Fprint(errs, commandUsage)
		return 2
	}
	e, err := parseExport(args[1:], errs)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	if err := e.run(ctx, out, errs); err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}

// export is one run of the command.
type export struct {
	client *history.Client
	query  history.ExportQuery
	file   string // empty: standard output
	shown  bool   // the progress
}

func parseExport(args []string, errs io.Writer) (*export, error) {
	e := &export{}
	f := flag.NewFlagSet("core history export", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		fmt.Fprint(errs, commandUsage)
		f.PrintDefaults()
	}
	url := f.String("url", "http://127.0.0.1:9106", "address of the historian")
	f.StringVar(&e.query.Format, "format", history.CSV, strings.Join(history.Formats, " or "))
	devices := f.String("devices", "", "ids of devices, comma separated; empty: all")
	parameters := f.String("sensors", "", "names of sensors, comma separated; empty: all")
	from := f.String("from", "", "first time, as in 2026-11-27 or 2026-11-27T06:00:00+08:00; empty: 24 hours before -to")
	to := f.String("to", "", "last time; empty: now")
	f.StringVar(&e.file, "o", "", "file to write; empty: standard output")
	f.BoolVar(&e.shown, "progress", terminal(errs), "say how far it is; by default on a terminal")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err error
	if err = e.open(*url); err != nil {
		return nil, err
	}
	last, err := parseTime(*to, time.Now())
	if err != nil {
		return nil, fmt.Errorf("-to: %w", err)
	}
	first, err := parseTime(*from, last.Add(-24*time.Hour))
	if err != nil {
		return nil, fmt.Errorf("-from: %w", err)
	}
	e.query.From, e.query.To = first.UnixMilli(), last.UnixMilli()
	e.query.ID = rand.Text()
	e.query.Devices, e.query.Parameters = names(*devices), names(*parameters)
	return e, e.query.Check()
}

// open makes the client, with the token and the authority of the environment.
func (e *export) open(url string) error {
	var env struct {
		Token  config.Secret `env:"CORE_HISTORY_TOKEN"`
		CAFile string        `env:"PORTAL_HISTORY_CA_FILE"`
	}
	err := config.FromEnvironment(&env)
	if err != nil {
		return err
	}
	if e.client, err = history.NewClient(history.Options{URL: url, Token: string(env.Token), CAFile: env.CAFile}); err != nil {
		return fmt.Errorf("-url: %w", err)
	}
	return nil
}

func names(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

var errTime = errors.New("want a time such as 2026-11-27 or 2026-11-27T06:00:00+08:00")

func parseTime(text string, usual time.Time) (time.Time, error) {
	if text == "" {
		return usual, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: %w", text, errTime)
}

// run copies the export. A file gets its name when it is complete.
func (e *export) run(ctx context.Context, out, errs io.Writer) (err error) {
	defer e.client.Close()
	if e.file != "" {
		part := e.file + ".part"
		f, err := os.Create(part)
		if err != nil {
			return err
		}
		if err := errors.Join(e.copy(ctx, f, errs), f.Close()); err != nil {
			return errors.Join(err, os.Remove(part))
		}
		return os.Rename(part, e.file)
	}
	return e.copy(ctx, out, errs)
}

func (e *export) copy(ctx context.Context, out, errs io.Writer) error {
	body, err := e.client.Export(ctx, &e.query)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was read
	buffered := bufio.NewWriterSize(out, 256<<10)
	counted := &counter{r: body}
	stop := e.show(ctx, errs, &counted.n)
	n, err := io.Copy(buffered, counted)
	stop()
	if err != nil {
		return fmt.Errorf("the export is not complete: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(errs, "%s exported\n", megabytes(n))
	return nil
}
