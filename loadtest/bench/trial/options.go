package trial

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/loadtest/bench/report"
)

// Options of a benchmark.
type Options struct {
	Loads    []report.Load
	Duration time.Duration
	Warmup   time.Duration
	Brokers  []string // of a running Kafka; empty: one of its own
	Count    int      // repetitions of every load
	Dir      string   // for the data of a trial
	Results  string   // directory for the results
	Fail     bool     // a loss of speed is an error
	Keep     bool     // keep data and logs
	Viewer   bool     // a client that subscribes to everything
	Profile  bool     // save CPU and heap profiles of every program
	// Excursions start in the whole fleet in a minute; each is an alarm. 0: as many as fit the rate.
	Excursions int
	// Repeat is the share of acknowledged messages that devices send again.
	Repeat float64
	// Alarms is how many alarms are raised in one second, 0 for an ordinary benchmark.
	Alarms int
}

// env is the environment added to every program.
func (o *Options) env() map[string]string {
	return map[string]string{"OPS_PPROF": strconv.FormatBool(o.Profile)}
}

// excursions returns how many start in a minute: few, lest alarms dominate a small load, and
// enough for a percentile at a large one.
func (o *Options) excursions(l report.Load) int {
	if o.Excursions > 0 {
		return o.Excursions
	}
	return min(max(l.Rate/20, 60), 1000)
}

// Words in -rates for what is no rate.
var special = map[string]report.Load{
	"idle":    {Kind: report.Idle},
	"drain":   {Kind: report.Drain, Gateways: 1},
	"drain20": {Kind: report.Drain, Gateways: 20},
}

// ParseFlags reads the command line.
func ParseFlags(args []string, out io.Writer) (Options, error) {
	var o Options
	base := report.Load{Kafka: report.Embedded}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	rates := fs.String("rates", "200@5s,2000@5s,20000,100000,100000x50", "`loads`, comma separated: readings a second, one trial each; 200@5s: one of each device every 5 s; "+
		"100000x50: in batches of 50; 20000+busy, +one, +apache: as by these flags; drain, drain20: the backlog of one gateway, of 20; idle: three quiet gateways")
	fs.DurationVar(&o.Duration, "duration", time.Minute, "`time` measured in each trial")
	fs.DurationVar(&o.Warmup, "warmup", 10*time.Second, "`time` before that; three times as long with Apache Kafka, which starts cold")
	fs.IntVar(&o.Count, "count", 1, "`number` of repetitions; from 5 on the comparison with the last run tests for chance")
	kafka := fs.String("kafka", "embedded", "`name`: embedded, or real: Apache Kafka, each as a process with fresh data")
	brokers := fs.String("brokers", "", "`addresses` of a running Kafka, instead")
	fs.IntVar(&base.Busy, "busy", 0, "`number` of busy processes beside everything")
	fs.BoolVar(&base.One, "one", false, "all programs in one process")
	stop := fs.Duration("outage", 0, "`time` for which Kafka is stopped, in one more trial at the first rate; 0: none")
	fs.StringVar(&base.Protocol, "protocol", "nats", "`name`: nats or mqtt")
	fs.DurationVar(&base.Interval, "interval", time.Second, "`time` between two readings of a device")
	fs.StringVar(&o.Dir, "dir", "data/bench", "`directory` for data and logs, on the disk to be measured")
	fs.StringVar(&o.Results, "results", "bench-results", "`directory` for the results")
	fs.BoolVar(&o.Fail, "fail", false, "fail when a figure is clearly worse than in the last saved run")
	fs.BoolVar(&o.Keep, "keep", false, "keep data and logs")
	fs.BoolVar(&o.Viewer, "all", true, "also measure at a client that subscribes to every device")
	fs.BoolVar(&o.Profile, "profile", false, "save profiles of all programs beside the results: 10 s of CPU, and the heap; this costs some CPU")
	fs.IntVar(&o.Excursions, "excursions", 0, "`number` of excursions, and so alarms, that start in the whole fleet in a minute; 0: 60, and 1,000 from 20,000 readings/s on")
	fs.Float64Var(&o.Repeat, "repeat", 0.01, "`share` of acknowledged messages that devices send again, 0 to 1; none may be stored twice")
	alarms := fs.Bool("alarms", false, "instead of the table: the effect of a flood of 1,000 alarms in one second at the first rate")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *alarms {
		o.Alarms = floodAlarms
	}
	switch *kafka {
	case "embedded":
	case "real":
		base.Kafka = report.Apache
	default:
		return o, fmt.Errorf("-kafka=%s: want embedded or real", *kafka)
	}
	if *brokers != "" {
		o.Brokers, base.Kafka = strings.Split(*brokers, ","), "the Kafka at "+*brokers
	}
	if o.Duration < time.Second || o.Count < 1 || base.Busy < 0 || *stop < 0 {
		return o, errors.New("-duration must be at least 1s, -count at least 1, and nothing negative")
	}
	return o, o.parseLoads(*rates, base, *stop)
}

func (o *Options) parseLoads(rates string, base report.Load, stop time.Duration) error {
	for text := range strings.SplitSeq(rates, ",") {
		word, apache := strings.CutSuffix(text, "+apache")
		load, ok := special[word]
		if ok {
			load.Kafka, load.Busy = base.Kafka, base.Busy
			if apache {
				load.Kafka = report.Apache
			}
		} else {
			var err error
			if load, err = report.ParseLoad(text, base); err != nil {
				return err
			}
		}
		o.Loads = append(o.Loads, load)
	}
	if stop > 0 {
		first := o.Loads[0]
		first.Kind, first.Length = report.Outage, stop
		o.Loads = append(o.Loads, first)
	}
	for _, l := range o.Loads {
		if err := o.check(l); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

// check refuses combinations that cannot be measured.
func (o *Options) check(l report.Load) error {
	own := l.Kafka == report.Embedded || l.Kafka == report.Apache
	switch {
	case l.Rate > 0 && l.Devices() > fleet.MaxDevices:
		return fmt.Errorf("%d devices exceed the simulator's maximum; choose a shorter interval", l.Devices())
	case l.One && !own:
		return errors.New("one process needs a Kafka of its own, not -brokers")
	case l.Kind == report.Outage && l.Rate == 0:
		return errors.New("an outage needs a rate")
	case l.Kind == report.Outage && (!own || l.One && l.Kafka == report.Embedded):
		return errors.New("an outage needs a Kafka of its own as a process")
	}
	return nil
}
