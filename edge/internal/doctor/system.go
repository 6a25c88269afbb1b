package doctor

import (
	"fmt"
	"math"
	"time"
)

// clock is what the kernel says of the clock.
type clock struct {
	now          time.Time
	known        bool
	synchronised bool
	error        time.Duration // at most
	err          error
}

// Years between which a clock is believed.
const firstYear, lastYear = 2025, 2100

func judgeClock(c clock) Result {
	r := Result{Check: "clock", Verdict: OK, Value: c.now.UTC().Format("2006-01-02 15:04:05 UTC")}
	switch year := c.now.UTC().Year(); {
	case year < firstYear || year > lastYear:
		r.Verdict, r.Advice = Fail, "set it: certificates do not hold at that time, and alarms are dated by it; see timedatectl"
	case !c.known:
		r.Verdict, r.Value = Skip, fmt.Sprintf("%s; whether it is synchronised is not known: %v", r.Value, c.err)
	case !c.synchronised:
		r.Verdict, r.Value, r.Advice = Warn, r.Value+", not synchronised", "run chrony (with rtcsync) or systemd-timesyncd; see timedatectl"
	default:
		r.Value += fmt.Sprintf(", synchronised, error below %s", c.error.Round(time.Millisecond))
	}
	return r
}

// spareFiles is what a gateway opens beside connections: its store, the link, /metrics.
const spareFiles = 512

func judgeOpenFiles(limit uint64, err error, connections int) Result {
	r := Result{Check: "open files", Verdict: OK}
	if err != nil {
		r.Verdict, r.Value = Skip, "limit not known: "+err.Error()
		return r
	}
	need := uint64(connections + spareFiles)
	r.Value = fmt.Sprintf("limit %d, %d connections need %d", limit, connections, need)
	if limit == math.MaxUint64 {
		r.Value = "no limit"
	}
	if limit < need {
		r.Verdict, r.Advice = Warn, "raise it (LimitNOFILE= of the unit, ulimit -n), or lower EDGE_MAX_CONNECTIONS"
	}
	return r
}

// memory is in bytes.
type memory struct {
	free, total int64
	used        float64 // by the running gateway; 0: none runs
	err         error
}

// memoryNeeded is what a gateway stays below.
const memoryNeeded = 500 << 20

func probeMemory(g running) (m memory) {
	m.free, m.total, m.err = available()
	m.used = g.metrics["iot_memory_usage_bytes"]
	return m
}

func judgeMemory(m memory) Result {
	r := Result{Check: "memory", Verdict: OK}
	if m.err != nil {
		r.Verdict, r.Value = Skip, m.err.Error()
		return r
	}
	r.Value = fmt.Sprintf("%s available of %s", bytesOf(m.free), bytesOf(m.total))
	if m.used > 0 {
		r.Value += fmt.Sprintf(", the gateway uses %s", bytesOf(int64(m.used)))
	}
	switch {
	case m.used > memoryNeeded:
		r.Verdict, r.Advice = Warn, "a gateway stays below 500 MiB; see edge_devices_known, connections and the log"
	case float64(m.free)+m.used < memoryNeeded:
		r.Verdict, r.Advice = Warn, "a busy gateway needs up to 500 MiB; end other programs or take a larger machine"
	}
	return r
}
