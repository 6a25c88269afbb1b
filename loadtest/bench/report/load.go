// Package report keeps what benchmarks measured: the figures of a run, their goals, the table
// for people, and the comparison with an earlier run. It measures nothing itself. Save and
// Latest read and write files; nothing else blocks.
package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/wire"
)

// Kinds of measurements.
const (
	Steady = ""       // a load for a time
	Outage = "outage" // a load, and Kafka stopped in the middle
	Drain  = "drain"  // the backlog of gateways
	Idle   = "idle"   // three quiet gateways
)

// Brokers.
const (
	Embedded = "embedded broker"
	Apache   = "Apache Kafka"
)

// Load is the load of one measurement. Two runs are compared where their loads are equal.
type Load struct {
	Kind     string        `json:"kind,omitempty"`
	Rate     int           `json:"rate,omitempty"`     // readings a second
	Batch    int           `json:"batch,omitempty"`    // readings in a message
	Interval time.Duration `json:"interval,omitempty"` // between two readings of a device
	Protocol string        `json:"protocol,omitempty"`
	Kafka    string        `json:"kafka"`
	One      bool          `json:"one,omitempty"`      // all programs in one process
	Busy     int           `json:"busy,omitempty"`     // other processes that use a core each
	Gateways int           `json:"gateways,omitempty"` // of a drain
	Length   time.Duration `json:"length,omitempty"`   // of an outage
}

// Devices returns how many devices make the load.
func (l Load) Devices() int { return max(1, int(float64(l.Rate)*l.Interval.Seconds())) }

// String names the load in a table.
func (l Load) String() string {
	var b strings.Builder
	switch l.Kind {
	case Idle:
		b.WriteString("three quiet gateways")
	case Drain:
		fmt.Fprintf(&b, "drain of %d gateways", l.Gateways)
		if l.Gateways == 1 {
			b.Reset()
			b.WriteString("drain of one gateway")
		}
	default:
		b.WriteString(thousands(float64(l.Rate)) + "/s")
	}
	if l.Batch > 1 {
		fmt.Fprintf(&b, " in batches of %d", l.Batch)
	}
	if l.Interval > 0 && l.Interval != time.Second {
		fmt.Fprintf(&b, " of %s devices", thousands(float64(l.Devices())))
	}
	if l.Protocol != "" && l.Protocol != "nats" {
		b.WriteString(" by " + strings.ToUpper(l.Protocol))
	}
	b.WriteString(", " + l.Kafka)
	if l.One {
		b.WriteString(", one process")
	}
	if l.Busy > 0 {
		fmt.Fprintf(&b, ", beside %d busy jobs", l.Busy)
	}
	if l.Kind == Outage {
		fmt.Fprintf(&b, ", stopped for %s", l.Length)
	}
	return b.String()
}

// ParseLoad reads a rate with what deviates from base: 200@5s is 200 readings a second, one of
// each device every 5 s; 100000x50 comes in batches of 50; +apache, +one and +busy mean the
// real Kafka, all programs in one process, and two busy jobs beside them.
func ParseLoad(text string, base Load) (Load, error) {
	l := base
	rest, options, _ := strings.Cut(text, "+")
	for option := range strings.SplitSeq(options, "+") {
		switch option {
		case "":
		case "apache":
			l.Kafka = Apache
		case "one":
			l.One = true
		case "busy":
			l.Busy = 2
		default:
			return l, fmt.Errorf("load %q: unknown option %q; want apache, one or busy", text, option)
		}
	}
	rest, interval, has := strings.Cut(rest, "@")
	if has {
		d, err := time.ParseDuration(interval)
		if err != nil {
			return l, fmt.Errorf("load %q: %w", text, err)
		}
		l.Interval = d
	}
	rate, batch, batched := strings.Cut(rest, "x")
	l.Batch = 1
	var err error
	if l.Rate, err = strconv.Atoi(rate); err != nil || l.Rate < 1 {
		return l, fmt.Errorf("load %q: invalid rate %q", text, rate)
	}
	if batched {
		if l.Batch, err = strconv.Atoi(batch); err != nil || l.Batch < 1 || l.Batch > wire.MaxBatchReadings {
			return l, fmt.Errorf("load %q: invalid batch %q; want 1 to %d readings", text, batch, wire.MaxBatchReadings)
		}
	}
	if l.Interval < 10*time.Millisecond {
		return l, fmt.Errorf("load %q: the interval must be at least 10ms", text)
	}
	return l, nil
}

// Command returns the command that measures the load again.
func (l Load) Command() string {
	rate := strconv.Itoa(l.Rate)
	if l.Batch > 1 {
		rate += "x" + strconv.Itoa(l.Batch)
	}
	if l.Interval != time.Second {
		rate += "@" + l.Interval.String()
	}
	var more string
	if l.Kafka == Apache {
		more += " BENCH_KAFKA=real"
	}
	if l.One {
		more += " BENCH_ONE=1"
	}
	if l.Busy > 0 {
		more += " BENCH_BUSY=" + strconv.Itoa(l.Busy)
	}
	switch l.Kind {
	case Idle:
		return "make bench-chain RATES=idle" + more
	case Drain:
		if rate = "drain"; l.Gateways > 1 {
			rate += strconv.Itoa(l.Gateways)
		}
		return "make bench-chain RATES=" + rate + more
	case Outage:
		return "make bench-chain RATES=" + rate + more + " BENCH_OUTAGE=" + l.Length.String()
	default:
		return "make bench-chain RATES=" + rate + more
	}
}
