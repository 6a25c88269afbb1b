package simulator

import (
	"fmt"
	"strings"
	"time"

	"industrial-iot-monitor/sim/publisher"
)

// progress returns a line about the time between two totals.
func progress(last, now *publisher.Stats, passed time.Duration, acks *publisher.Latency) string {
	rate := func(a, b uint64) float64 { return float64(b-a) / passed.Seconds() }
	return fmt.Sprintf("sent %.0f/s  acked %.0f/s  resent %d  refused %d  errors %d  timeouts %d  given up %d  in flight %d  waiting %d  connections %d  ack p50 %s p99 %s",
		rate(last.Sent, now.Sent), rate(last.Acked, now.Acked),
		now.Resent-last.Resent, now.Refused-last.Refused, now.Errors-last.Errors,
		now.Timeouts-last.Timeouts, now.GivenUp-last.GivenUp,
		now.InFlight, now.Waiting+now.Backlog, now.Connections,
		millis(acks.ValueAtQuantile(50)), millis(acks.ValueAtQuantile(99)))
}

// totals returns the final totals. Every reading made counts in exactly one line.
func totals(s *publisher.Stats, acks *publisher.Latency, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "total after %s\n", took.Round(time.Second/10))
	line := func(name string, n uint64, note string) { fmt.Fprintf(&b, "  %-14s %10d  %s\n", name, n, note) }
	line("readings", s.Due, "made by the devices")
	line("acknowledged", s.Acked, fmt.Sprintf("%d of them after a resend", s.AckedLate))
	line("refused", s.Refused, "permanently, by the gateway")
	line("given up", s.GivenUp, "the device's backlog was full")
	line("open", uint64(s.Open()), "not acknowledged when the simulator stopped")
	fmt.Fprintf(&b, "%d publishes, %d of them resends, %d repeats of acknowledged messages; %d answers \"retry later\", %d without an answer, %d failed, %d connections lost\n",
		s.Sent, s.Resent, s.Repeated, s.Later, s.Timeouts, s.Errors, s.Lost)
	fmt.Fprintf(&b, "acknowledgement time: mean %s, p50 %s, p99 %s, max %s\n",
		millis(int64(acks.Mean())), millis(acks.ValueAtQuantile(50)), millis(acks.ValueAtQuantile(99)), millis(acks.Max()))
	if s.Skipped > 0 {
		fmt.Fprintf(&b, "%d readings skipped: this machine could not keep up\n", s.Skipped)
	}
	return b.String()
}

func millis(ns int64) string {
	return fmt.Sprintf("%.1fms", float64(ns)/float64(time.Millisecond))
}
