package simulator

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/sim/publisher"
)

// Config is the simulator's configuration. Every field has a flag, some also a variable;
// flags take precedence.
type Config struct {
	ops.LogConfig
	ops.PprofConfig
	Devices  int           `env:"DEVICE_COUNT" envDefault:"1000" help:"number of simulated devices, 1 to 100000"`
	Interval time.Duration `env:"SEND_INTERVAL" envDefault:"5s" help:"time between two readings of a simulated device, from 10ms up"`
	Variance float64       `env:"DATA_VARIANCE" envDefault:"0.1" help:"noise of the simulated sensors, 0 to 10; 0.1 is typical of a good sensor"`
	HTTPAddr string        `env:"SIM_HTTP_ADDR" envDefault:"127.0.0.1:9104" help:"address of /metrics, /livez and /readyz; empty for none"`

	NATS, MQTT  []string // gateways, host:port
	Protocol    publisher.Protocol
	PerDevice   bool
	Buildings   []string // of the gateways, in their order; none means A栋, B栋, …
	First       int
	Seed        uint64
	Faults      float64 // per minute, in the whole fleet
	Anomalies   float64 // per device and day
	Kinds       []string
	Rhythm      bool
	Labels      string  // file name, "" for none
	Fleet       string  // mixed or uniform
	Batch       int     // devices of a concentrator; 1: none
	Repeat      float64 // share of acknowledged messages that are sent again
	Clocks      []time.Duration
	Duration    time.Duration
	AckTimeout  time.Duration
	Backlog     int
	Progress    time.Duration
	Ledger      string // file name, "" for none
	Summary     string // file name, "" for none
	connections string
}

// examples end the help text.
const examples = `
Examples:
  sim -devices=1000 -interval=5s
  sim -devices=10000 -interval=1s -nats=127.0.0.1:4222,127.0.0.1:4223,127.0.0.1:4224
  sim -devices=200 -interval=100ms -protocol=mqtt -connections=device
  sim -devices=10000 -interval=1s -batch=50
  sim -devices=500 -interval=1s -excursions=0 -rhythm -anomalies=2 -labels=labels.jsonl
  sim -devices=100 -interval=1s -clocks=-5h,8h,-230000h -repeat=0.05

Common intervals are 100ms, 300ms, 500ms, 1s, 2s, 3s, 5s and 10s; any from 10ms up works.
A device sends a reading once the previous one is acknowledged. At intervals shorter than
an acknowledgement takes (often 5 to 20ms) its backlog fills and new readings are dropped.
Several gateways get equal blocks of the devices, each block as a separate building.
With -connections=device every device needs a file descriptor here and at the gateway:
raise "ulimit -n" above the number of devices.
Two simulators on one machine need different -http addresses, or none: -http=
Anomalies stay clear of the usual alarm limits and never fall into a stop for maintenance, which is
labelled but no fault. With -batch, list the kinds without silence: a concentrator sends for all.
Flags override DEVICE_COUNT, SEND_INTERVAL, DATA_VARIANCE and SIM_HTTP_ADDR; LOG_LEVEL and LOG_FORMAT also apply.
`

// Load reads the environment and then the flags in args. On -h it prints the help to out
// and returns config.ErrHelp.
func Load(args []string, out io.Writer) (Config, error) {
	var c Config
	if err := config.FromEnvironment(&c); err != nil {
		return c, err
	}
	fs := c.flags(out)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return c, config.ErrHelp
		}
		return c, fmt.Errorf("%w; see sim -h", err)
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q; see sim -h", fs.Arg(0))
	}
	return c, c.check()
}

func (c *Config) flags(out io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("sim", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned
	c.NATS, c.MQTT = []string{"127.0.0.1:4222"}, []string{"127.0.0.1:1883"}
	fs.IntVar(&c.Devices, "devices", c.Devices, "`number` of devices, 1 to 100000 (DEVICE_COUNT)")
	fs.DurationVar(&c.Interval, "interval", c.Interval, "`time` between two readings of a device, from 10ms up (SEND_INTERVAL)")
	fs.Float64Var(&c.Variance, "variance", c.Variance, "`amount` of sensor noise, 0 to 10 (DATA_VARIANCE)")
	fs.Var(list{&c.NATS}, "nats", "`addresses` of the gateways for -protocol=nats, comma-separated")
	fs.Var(list{&c.MQTT}, "mqtt", "`addresses` of the gateways for -protocol=mqtt, comma-separated")
	fs.StringVar((*string)(&c.Protocol), "protocol", string(publisher.NATS), "`name`: nats or mqtt")
	fs.StringVar(&c.connections, "connections", "shared", "`mode`: shared, or device for one connection per device")
	fs.Var(list{&c.Buildings}, "buildings", "`names` of the gateways' buildings, comma-separated (default A栋,B栋,…)")
	fs.IntVar(&c.First, "first", 0, "`number` of the first device, to share a fleet between simulators")
	fs.Uint64Var(&c.Seed, "seed", 1, "`seed` of the fleet: the same seed and time give the same readings")
	fs.Float64Var(&c.Faults, "excursions", 3, "`number` of labelled faults per minute in the whole fleet; 0 for none")
	fs.Float64Var(&c.Anomalies, "anomalies", 0, "`number` of labelled anomalies per device and day, up to 24; 0 for none")
	fs.Var(list{&c.Kinds}, "anomaly-kinds", "`kinds` of -anomalies, comma-separated (default all: "+kindList()+")")
	fs.BoolVar(&c.Rhythm, "rhythm", false, "give the plant a week: shifts, quiet weekends, rooms that share load and climate, stops for maintenance")
	fs.StringVar(&c.Labels, "labels", "", "`file` for the labels of anomalies, stops and excursions of the run, one JSON object a line, written at its end")
	fs.StringVar(&c.Fleet, "fleet", fleetMixed, "`kind`: mixed, five models with different sensors and units, or uniform, the contract's five sensors")
	fs.IntVar(&c.Batch, "batch", 1, "`number` of devices that share a concentrator, which sends their readings in one message, 1 to 1000")
	fs.Float64Var(&c.Repeat, "repeat", 0, "`share` of acknowledged messages that are sent again, 0 to 1, as by devices that missed the answer")
	fs.Var(durations{&c.Clocks}, "clocks", "`offsets` of the first devices' clocks, comma-separated: 8h is ahead, -5h behind")
	fs.DurationVar(&c.Duration, "duration", 0, "`time` to run; 0 for no limit")
	fs.DurationVar(&c.AckTimeout, "timeout", 5*time.Second, "`time` to wait for an acknowledgement before a resend")
	fs.IntVar(&c.Backlog, "backlog", 600, "`number` of readings a device keeps while its gateway is unavailable")
	fs.DurationVar(&c.Progress, "progress", 5*time.Second, "`time` between two progress lines; 0 for none")
	fs.StringVar(&c.HTTPAddr, "http", c.HTTPAddr, "`address` of /metrics, /livez and /readyz; empty for none (SIM_HTTP_ADDR)")
	fs.StringVar(&c.Ledger, "ledger", "", "`file` to append acknowledged readings to, one line device_id,timestamp,attempts each")
	fs.StringVar(&c.Summary, "summary", "", "`file` for the final totals as JSON")
	fs.Usage = func() {
		fmt.Fprintln(out, "sim: simulates devices that send readings to gateways, with acknowledgements.\n\nFlags:")
		fs.SetOutput(out)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
		fmt.Fprint(out, examples)
	}
	return fs
}

func (c *Config) check() error {
	switch c.connections {
	case "shared":
	case "device":
		c.PerDevice = true
	default:
		return fmt.Errorf("-connections=%s: want shared or device", c.connections)
	}
	if c.Protocol != publisher.NATS && c.Protocol != publisher.MQTT {
		return fmt.Errorf("-protocol=%s: want nats or mqtt", c.Protocol)
	}
	if c.Fleet != fleetMixed && c.Fleet != fleetUniform {
		return fmt.Errorf("-fleet=%s: want mixed or uniform", c.Fleet)
	}
	if c.Batch < 1 || c.Batch > wire.MaxBatchReadings {
		return fmt.Errorf("-batch=%d: want 1 to %d", c.Batch, wire.MaxBatchReadings)
	}
	if c.Batch > 1 && c.Anomalies > 0 && (len(c.Kinds) == 0 || slices.Contains(c.Kinds, string(fleet.Silence))) {
		return fmt.Errorf("-batch=%d has no anomalies of kind %s: set -anomaly-kinds", c.Batch, fleet.Silence)
	}
	if !(c.Repeat >= 0 && c.Repeat <= 1) {
		return fmt.Errorf("-repeat=%v: want 0 to 1", c.Repeat)
	}
	if c.Duration < 0 || c.Progress < 0 || c.AckTimeout <= 0 || c.Backlog < 1 {
		return errors.New("-duration and -progress cannot be negative, -timeout and -backlog must be positive")
	}
	n := len(c.gateways())
	if len(c.Buildings) == 0 {
		for b := range n {
			c.Buildings = append(c.Buildings, buildingName(b))
		}
	}
	if len(c.Buildings) != n {
		return fmt.Errorf("-buildings has %d names for %d gateways", len(c.Buildings), n)
	}
	return c.CheckPorts(c.OpsPort("SIM_HTTP_ADDR", c.HTTPAddr))
}

// gateways returns the addresses for the protocol in use.
func (c *Config) gateways() []string {
	if c.Protocol == publisher.MQTT {
		return c.MQTT
	}
	return c.NATS
}

// buildingName names the b-th building: A栋 to Z栋, then 27栋 and on.
func buildingName(b int) string {
	if b < 26 {
		return string(rune('A'+b)) + "栋"
	}
	return fmt.Sprintf("%d栋", b+1)
}

// Kinds of fleets.
const (
	fleetMixed   = "mixed"
	fleetUniform = "uniform"
)

// kindList names the kinds of anomalies.
func kindList() string {
	names := make([]string, len(fleet.AnomalyKinds))
	for i, k := range fleet.AnomalyKinds {
		names[i] = string(k)
	}
	return strings.Join(names, ",")
}

// durations is a flag.Value of comma-separated durations.
type durations struct{ to *[]time.Duration }

// String implements flag.Value.
func (l durations) String() string {
	if l.to == nil {
		return ""
	}
	texts := make([]string, len(*l.to))
	for i, d := range *l.to {
		texts[i] = d.String()
	}
	return strings.Join(texts, ",")
}

// Set implements flag.Value.
func (l durations) Set(s string) error {
	*l.to = nil
	for part := range strings.SplitSeq(s, ",") {
		d, err := time.ParseDuration(part)
		if err != nil {
			return err
		}
		*l.to = append(*l.to, d)
	}
	return nil
}

// list is a flag.Value of comma-separated strings.
type list struct{ to *[]string }

// String implements flag.Value.
func (l list) String() string {
	if l.to == nil {
		return ""
	}
	return strings.Join(*l.to, ",")
}

// Set implements flag.Value.
func (l list) Set(s string) error {
	parts := strings.Split(s, ",")
	if slices.Contains(parts, "") {
		return errors.New("an entry of the list is empty")
	}
	*l.to = parts
	return nil
}
