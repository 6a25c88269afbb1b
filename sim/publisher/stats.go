package publisher

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is a histogram of acknowledgement times, in nanoseconds.
type Latency = hdrhistogram.Histogram

// NewLatency returns an empty histogram of nanoseconds, from 1 µs to a week, exact to 1 %.
func NewLatency() *Latency {
	return hdrhistogram.New(int64(time.Microsecond), int64(7*24*time.Hour), 2)
}

// Stats are totals since the start, except for the current InFlight, Waiting, Backlog and
// Connections.
type Stats struct {
	Due       uint64 // readings the devices made
	Sent      uint64 // publishes, resends included
	Repeated  uint64 // publishes of acknowledged messages
	Acked     uint64 // readings acknowledged
	Resent    uint64 // publishes beyond the first of a message
	AckedLate uint64 // of Acked: readings that had been sent more than once
	Later     uint64 // answers "retry later"
	Refused   uint64 // readings refused for good
	Timeouts  uint64 // publishes that got no answer in time
	Errors    uint64 // publishes that failed at once, most of them without a connection
	GivenUp   uint64 // readings dropped because the device's backlog was full
	Skipped   uint64 // readings not made because this program fell behind by a whole interval
	Lost      uint64 // connections that broke

	InFlight    int // readings sent and not answered yet
	Waiting     int // readings to be sent again
	Backlog     int // readings after those
	Connections int // open connections
}

func (s *Stats) add(o *Stats) {
	s.Due += o.Due
	s.Sent += o.Sent
	s.Repeated += o.Repeated
	s.Acked += o.Acked
	s.Resent += o.Resent
	s.AckedLate += o.AckedLate
	s.Later += o.Later
	s.Refused += o.Refused
	s.Timeouts += o.Timeouts
	s.Errors += o.Errors
	s.GivenUp += o.GivenUp
	s.Skipped += o.Skipped
	s.Lost += o.Lost
	s.InFlight += o.InFlight
	s.Waiting += o.Waiting
	s.Backlog += o.Backlog
	s.Connections += o.Connections
}

// Open returns the readings neither acknowledged nor refused nor given up.
func (s *Stats) Open() int { return s.InFlight + s.Waiting + s.Backlog }
