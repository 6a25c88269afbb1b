package backup

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/topology"
)

const usage = `usage: core topics export -dir DIR [-topics access,alarm-audit]
       core topics import -dir DIR [-topics …]
       core topics check  -dir DIR [-topics …]

export copies the topics whose records are nowhere else into files of a new directory.
import writes them into topics that are empty or missing. Stop all programs before.
check reads the files and says whether they are whole.
Kafka and the names of topics are those of the KAFKA_ variables. -topics has default names.
`

// Command is "core topics": it returns the exit code, 0 success, 1 it failed, 2 wrong arguments or settings.
func Command(ctx context.Context, args []string, out, errs io.Writer) int {
	var env struct {
		kafka.Config
		topology.Topics
	}
	flags := flag.NewFlagSet("core topics", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir, list := flags.String("dir", "", ""), flags.String("topics", "", "")
	var err error
	if len(args) == 0 {
		err = flag.ErrHelp
	} else {
		err = flags.Parse(args[1:])
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(errs, usage)
		return 2
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil && *dir == "" {
		err = errors.New("-dir: want a directory")
	}
	if err == nil {
		err = config.FromEnvironment(&env)
	}
	if err == nil {
		err = errors.Join(env.Config.Check(), env.Topics.Check())
	}
	var chosen []place
	if err == nil {
		chosen, err = choose(env.Topics, *list)
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	switch args[0] {
	case "export":
		err = export(ctx, env.Cluster, chosen, *dir, out)
	case "import":
		log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
		err = (&importer{cluster: env.Config, dir: *dir, out: out, log: log}).run(ctx, chosen)
	case "check":
		err = check(*dir, chosen, out)
	default:
		fmt.Fprint(errs, usage)
		return 2
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}

// check reads all files of a backup.
func check(dir string, chosen []place, out io.Writer) error {
	found, err := present(dir, chosen, out)
	if err != nil {
		return err
	}
	for _, p := range found {
		c, verr := verify(dir, &p)
		if verr == nil {
			fmt.Fprintf(out, "%s: %d records, whole\n", p.role, c.count())
		}
		err = errors.Join(err, verr)
	}
	return err
}
