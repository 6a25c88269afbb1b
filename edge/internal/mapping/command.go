package mapping

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Exit codes of a Command.
const (
	exitOK      = 0
	exitRefused = 1 // the message gives no reading, or not all of it does
	exitUsage   = 2 // invalid file or command line
)

const usage = `usage: edge mappings check -f FILE [-building NAME]
       edge mappings test -f FILE -topic TOPIC [-building NAME] [-after TOPIC=FILE]... < payload
       edge mappings test -f FILE -subject SUBJECT ...

check validates a mappings file.
test shows what the gateway would make of a message: the readings, one a line, and on the
error output what it would refuse and why. -topic is the message's MQTT topic, -subject its
NATS subject. -building stands for EDGE_BUILDING. -after maps another message before, as
often as needed: Sparkplug data needs the birth that announces its metrics.

Exit code: 0 for readings, or if a mapping ignores the message; 1 if it is refused or no
mapping applies; 2 for an invalid file or command line.

  edge mappings test -f deploy/mappings/tasmota.yaml \
    -topic tele/plug/SENSOR < deploy/mappings/samples/tasmota-energy.json
`

// Command is "edge mappings …" on the command line.
type Command struct {
	In       io.Reader // the payload
	Out      io.Writer // readings
	Err      io.Writer // errors
	Building string    // EDGE_BUILDING
	Now      time.Time
}

// Run executes args and returns the exit code.
func (c *Command) Run(args []string) int {
	if len(args) == 0 || args[0] != "check" && args[0] != "test" {
		fmt.Fprint(c.Err, usage)
		return exitUsage
	}
	flags := flag.NewFlagSet("edge mappings "+args[0], flag.ContinueOnError)
	flags.SetOutput(c.Err)
	flags.Usage = func() { fmt.Fprint(c.Err, usage) }
	file := flags.String("f", "", "mappings file")
	building := flags.String("building", cmp.Or(c.Building, "EDGE_BUILDING"), "")
	topic := flags.String("topic", "", "")
	subject := flags.String("subject", "", "")
	var after []string
	flags.Func("after", "", func(s string) error { after = append(after, s); return nil })
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case *file == "":
		return c.misuse("-f is missing: want a mappings file")
	case flags.NArg() > 0:
		return c.misuse("unexpected argument " + flags.Arg(0) + ": the payload is read from standard input")
	case args[0] == "test" && (*topic == "") == (*subject == ""):
		return c.misuse("want either -topic or -subject")
	}
	m, err := New(Options{File: *file, Building: *building, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return c.misuse(err.Error())
	}
	if args[0] == "check" {
		fmt.Fprintf(c.Out, "%s is valid: %d mappings\n", *file, len(m.current.Load().Mappings))
		return exitOK
	}
	for _, x := range after {
		if code := c.before(m, x); code != exitOK {
			return code
		}
	}
	payload, err := io.ReadAll(c.In)
	if err != nil {
		return c.misuse(err.Error())
	}
	levels := Topics
	if *subject != "" {
		levels = Subjects
	}
	return c.try(m, levels, cmp.Or(*topic, *subject), payload, c.Out)
}

func (c *Command) misuse(what string) int {
	fmt.Fprintln(c.Err, what)
	return exitUsage
}

// before maps a message that precedes the one in question.
func (c *Command) before(m *Mapper, arg string) int {
	topic, file, ok := strings.Cut(arg, "=")
	if !ok {
		return c.misuse("-after " + arg + ": want TOPIC=FILE")
	}
	payload, err := os.ReadFile(file)
	if err != nil {
		return c.misuse(err.Error())
	}
	return c.try(m, Topics, topic, payload, io.Discard)
}

// try maps a message and prints what becomes of it.
func (c *Command) try(m *Mapper, levels Levels, topic string, payload []byte, out io.Writer) int {
	r := m.Map(levels, topic, payload, c.Now)
	if r == nil {
		fmt.Fprintf(c.Err, "%s: no mapping applies; its messages are refused as invalid_topic\n", topic)
		return exitRefused
	}
	defer r.Release()
	for _, x := range r.Readings {
		fmt.Fprintf(out, "%s\n", x.Payload)
	}
	switch {
	case r.Refusal != nil:
		fmt.Fprintf(c.Err, "%s: mapping %s: refused: %s\n", topic, r.Mapping, r.Refusal)
		return exitRefused
	case len(r.Readings) == 0:
		fmt.Fprintf(c.Err, "%s: mapping %s ignores this message\n", topic, r.Mapping)
	}
	return exitOK
}
