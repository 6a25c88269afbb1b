package replay

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rules"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// Exit codes of a Command.
const (
	exitOK     = 0
	exitFailed = 1 // reading Kafka failed
	exitUsage  = 2 // invalid file or command line
)

const usage = `usage: core rules check -rules FILE
       core rules test -rules FILE [-from 2h] [-to TIME] [-device ID] [-rows 200]

check validates a rules file.
test shows which alarms the rules would have raised from the readings in Kafka
(KAFKA_BROKERS, KAFKA_TOPIC_DEVICE_DATA). As in core, the rules are added to those that
the ALERT_ variables define. TIME is a duration before now (90m), milliseconds since 1970,
or a time such as 2026-01-02T15:04:05Z; it refers to when readings were written to Kafka.
`

// Command is "core rules …" on the command line.
type Command struct {
	Cluster kafka.Cluster
	Topic   string
	BuiltIn alarm.RuleSet
	Sensors *sensors.Catalogue
	Out     io.Writer // results
	Err     io.Writer // errors
	Now     time.Time
}

// Run executes args and returns the exit code.
func (c *Command) Run(ctx context.Context, args []string) int {
	if len(args) == 0 || args[0] != "check" && args[0] != "test" {
		fmt.Fprint(c.Err, usage)
		return exitUsage
	}
	flags := flag.NewFlagSet("core rules "+args[0], flag.ContinueOnError)
	flags.SetOutput(c.Err)
	flags.Usage = func() { fmt.Fprint(c.Err, usage) }
	file := flags.String("rules", "", "rules file")
	from := flags.String("from", "1h", "")
	to := flags.String("to", "", "")
	o := Options{Cluster: c.Cluster, Topic: c.Topic, Sensors: c.Sensors}
	flags.StringVar(&o.Device, "device", "", "")
	rows := flags.Int("rows", 200, "")
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	set, err := c.read(*file)
	if err == nil && args[0] == "test" {
		o.From, o.To, err = c.times(*from, *to)
	}
	if err == nil {
		o.Rules, err = alarm.Compile(set)
	}
	if err != nil {
		fmt.Fprintln(c.Err, err)
		return exitUsage
	}
	if args[0] == "check" {
		fmt.Fprintf(c.Out, "%s is valid: %d rules with the built-in ones\n", *file, len(set.Rules))
		return exitOK
	}
	result, err := DryRun(ctx, o)
	if err != nil {
		fmt.Fprintln(c.Err, err)
		return exitFailed
	}
	c.print(result, set, *rows)
	return exitOK
}

func (c *Command) read(file string) (alarm.RuleSet, error) {
	if file == "" {
		return alarm.RuleSet{}, errors.New("-rules: want a file")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return alarm.RuleSet{}, fmt.Errorf("-rules: %w", err)
	}
	set, err := rules.Load(data, cmp.Or(c.Sensors, sensors.Default()))
	if err != nil {
		return alarm.RuleSet{}, fmt.Errorf("%s: %w", file, err)
	}
	return c.BuiltIn.With(set), nil
}

func (c *Command) times(from, to string) (first, end int64, err error) {
	if first, err = c.time("-from", from); err != nil || to == "" {
		return first, 0, err
	}
	if end, err = c.time("-to", to); err == nil && end <= first {
		err = errors.New("-to: want a time after -from")
	}
	return first, end, err
}

func (c *Command) time(name, text string) (int64, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return c.Now.Add(-d).UnixMilli(), nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && telemetry.ValidTimestamp(ms) {
		return ms, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UnixMilli(), nil
	}
	return 0, fmt.Errorf("%s=%q: want a duration before now such as 2h, milliseconds since 1970, or 2026-01-02T15:04:05Z", name, text)
}

// print writes the alarms and the totals of the rules.
func (c *Command) print(r *Result, set alarm.RuleSet, rows int) {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	if len(r.Raised) > 0 {
		fmt.Fprintln(w, "RAISED\tDEVICE\tALARM\tSEVERITY\tRULE\tPEAK\tLASTED")
	}
	for _, a := range r.Raised[:min(len(r.Raised), max(rows, 0))] {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%g\t%s\n", time.UnixMilli(a.Start).UTC().Format("2006-01-02T15:04:05.000Z"),
			a.DeviceID, a.AlertType, a.Severity, a.Rule, a.PeakValue, lasted(a))
	}
	_ = w.Flush() // an error returns with the next line
	if more := len(r.Raised) - rows; more > 0 && rows >= 0 {
		fmt.Fprintf(c.Out, "… and %d more, see -rows\n", more)
	}
	fmt.Fprintln(c.Out)
	c.totals(r, set)
	fmt.Fprintf(c.Out, "\n%d readings of %d devices, %d refused records, %d alarms\n", r.Readings, r.Devices, r.Refused, len(r.Raised))
	for _, text := range unheard(r, set) {
		fmt.Fprintln(c.Out, text)
	}
	if r.Incomplete != "" {
		fmt.Fprintln(c.Out, "incomplete:", r.Incomplete)
	}
}

// unheard names the sensors that rules judge and no reading has: their names may be
// misspelt.
func unheard(r *Result, set alarm.RuleSet) (texts []string) {
	for _, rule := range set.Rules {
		for _, name := range rule.Sensors() {
			if !rule.Disabled && !r.Sensors[name] {
				texts = append(texts, fmt.Sprintf("rule %s: no reading has %s", rule.ID, name))
			}
		}
	}
	return texts
}

func lasted(a *Occurrence) string {
	text := "active"
	if a.Status == telemetry.AlertCleared {
		text = (time.Duration(a.ClearedAt-a.Start) * time.Millisecond).Round(time.Millisecond).String()
	}
	if a.Historical {
		text += ", historical"
	}
	return text
}

// total counts the alarms of one rule.
type total struct {
	alarms, open, late int
	devices            map[string]struct{}
}

func (c *Command) totals(r *Result, set alarm.RuleSet) {
	by := make(map[string]*total)
	for i := range set.Rules {
		if !set.Rules[i].Disabled {
			by[set.Rules[i].ID] = &total{devices: make(map[string]struct{})}
		}
	}
	for _, a := range r.Raised {
		t := by[a.Rule]
		if t == nil {
			continue
		}
		t.alarms++
		t.devices[a.DeviceID] = struct{}{}
		if a.Status == telemetry.AlertActive {
			t.open++
		}
		if a.Historical {
			t.late++
		}
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tALARMS\tDEVICES\tACTIVE\tHISTORICAL")
	for _, id := range slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[b].alarms, by[a].alarms), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", id, by[id].alarms, len(by[id].devices), by[id].open, by[id].late)
	}
	_ = w.Flush() // there is nowhere else to report an error
}
