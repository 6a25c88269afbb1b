package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/sim/publisher"
	"industrial-iot-monitor/test/viewer"
)

// Reception is what a WebSocket client received in the window.
type Reception struct {
	PerSecond       float64
	Ages            Ages // from the timestamp in the reading, in whole milliseconds, to its receipt, by the same clock
	Alerts          int
	Raised, Cleared Ages   // of alarms, from the timestamp of the reading that raised or cleared them
	Broken          string // why the connection ended early, "" if it did not
}

// Ages are the distribution of a latency.
type Ages struct {
	Count               uint64
	Mean, P50, P99, Max time.Duration
}

// figures returns the ages in milliseconds.
func (a Ages) figures() report.Ages {
	return report.Ages{Mean: ms(a.Mean), P50: ms(a.P50), P99: ms(a.P99), Max: ms(a.Max)}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func agesOf(h *publisher.Latency) Ages {
	at := func(percent float64) time.Duration { return time.Duration(h.ValueAtQuantile(percent)) }
	return Ages{uint64(h.TotalCount()), time.Duration(h.Mean()), at(50), at(99), time.Duration(h.Max())}
}

// record counts an age. One that a clock turned negative counts as zero.
func record(h *publisher.Latency, age time.Duration) {
	_ = h.RecordValue(int64(max(age, 0))) // none reaches the histogram's end
}

// sampler is a WebSocket client that measures the ages of what it receives.
type sampler struct {
	v    *viewer.Viewer
	done chan struct{}

	mu      sync.Mutex
	since   time.Time
	ages    *publisher.Latency
	raised  *publisher.Latency
	cleared *publisher.Latency
	alerts  int
	broken  error
	closed  bool
}

// newSampler connects and subscribes to the devices with these ids, or to all without ids.
func newSampler(ctx context.Context, url string, ids []string) (*sampler, error) {
	v, err := viewer.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		err = v.Subscribe(ids...)
	} else {
		err = v.SubscribeAll()
	}
	if err != nil {
		return nil, err
	}
	s := &sampler{
		v: v, done: make(chan struct{}), since: time.Now(),
		ages: publisher.NewLatency(), raised: publisher.NewLatency(), cleared: publisher.NewLatency(),
	}
	go s.run()
	return s, nil
}

func (s *sampler) run() {
	defer close(s.done)
	for {
		m, err := s.v.Read()
		now := time.Now()
		s.mu.Lock()
		switch {
		case err != nil:
			if !s.closed {
				s.broken = err
			}
			s.mu.Unlock()
			return
		case m.Type == viewer.TypeReading:
			if ms, ok := timestamp(m.Payload); ok {
				record(s.ages, now.Sub(time.UnixMilli(ms)))
			}
		case m.Type == viewer.TypeAlert:
			s.alerts++
			s.recordAlarm(m.Payload, now)
		}
		s.mu.Unlock()
	}
}

// recordAlarm records the age of an alarm that a reading has just raised or cleared. Alarms
// with an on-delay or off-delay are skipped: their age is the delay.
func (s *sampler) recordAlarm(payload []byte, now time.Time) {
	var a telemetry.Alert
	if json.Unmarshal(payload, &a) != nil || a.Source != telemetry.SourceRule || a.Historical || a.OnDelayMS+a.OffDelayMS != 0 {
		return
	}
	switch a.Event {
	case telemetry.EventRaised:
		record(s.raised, now.Sub(time.UnixMilli(a.Timestamp)))
	case telemetry.EventCleared:
		record(s.cleared, now.Sub(time.UnixMilli(a.Timestamp)))
	default:
	}
}

// alarms returns how many alarms were raised and cleared in the window so far.
func (s *sampler) alarms() (raised, cleared uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(s.raised.TotalCount()), uint64(s.cleared.TotalCount())
}

var timestampKey = []byte(`"timestamp":`)

// timestamp finds a reading's timestamp without parsing the rest: the cost of the client must
// not distort the measurement.
func timestamp(reading []byte) (int64, bool) {
	_, rest, ok := bytes.Cut(reading, timestampKey)
	end := bytes.IndexAny(rest, ",}")
	if !ok || end < 0 {
		return 0, false
	}
	ms, err := strconv.ParseInt(string(bytes.TrimSpace(rest[:end])), 10, 64)
	return ms, err == nil
}

// start starts the window.
func (s *sampler) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ages.Reset()
	s.raised.Reset()
	s.cleared.Reset()
	s.alerts = 0
	s.since = time.Now()
}

// stop returns what was received in the window.
func (s *sampler) stop() Reception {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := agesOf(s.ages)
	r := Reception{
		PerSecond: float64(all.Count) / time.Since(s.since).Seconds(), Ages: all,
		Alerts: s.alerts, Raised: agesOf(s.raised), Cleared: agesOf(s.cleared),
	}
	if s.broken != nil {
		r.Broken = s.broken.Error()
	}
	return r
}

// close closes the connection. Closing twice does nothing.
func (s *sampler) close() {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if !was {
		_ = s.v.Close() // it may have ended by itself
	}
	<-s.done
}
