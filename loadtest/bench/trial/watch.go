package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"industrial-iot-monitor/internal/latency"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/viewer"
)

// Watched is what a WebSocket client saw in the window. Ages are from the timestamp in
// the reading, in whole milliseconds, to its receipt, by the same clock.
type Watched struct {
	PerSecond           float64
	Mean, P50, P99, Max time.Duration
	Alerts              int
	Raised, Cleared     Ages   // of alarms
	Broken              string // why the connection ended early, "" when it did not
}

// Ages are those of a number of alarms: from the timestamp in the reading that raised or
// cleared one to the receipt of the alert.
type Ages struct {
	Count               uint64
	Mean, P50, P99, Max time.Duration
}

func agesOf(h *latency.Histogram) Ages {
	return Ages{h.Count(), h.Mean(), h.Quantile(0.5), h.Quantile(0.99), h.Max()}
}

// watcher is a WebSocket client that measures ages.
type watcher struct {
	v    *viewer.Viewer
	done chan struct{}

	mu      sync.Mutex
	since   time.Time
	ages    latency.Histogram
	raised  latency.Histogram
	cleared latency.Histogram
	alerts  int
	broken  error
	closed  bool
}

// newWatcher connects and subscribes to some devices, or to all when there are no ids.
func newWatcher(ctx context.Context, url string, ids []string) (*watcher, error) {
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
	w := &watcher{v: v, done: make(chan struct{}), since: time.Now()}
	go w.run()
	return w, nil
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		m, err := w.v.Read()
		now := time.Now()
		w.mu.Lock()
		switch {
		case err != nil:
			if !w.closed {
				w.broken = err
			}
			w.mu.Unlock()
			return
		case m.Type == viewer.TypeReading:
			if ms, ok := timestamp(m.Payload); ok {
				w.ages.Record(now.Sub(time.UnixMilli(ms)))
			}
		case m.Type == viewer.TypeAlert:
			w.alerts++
			w.alarm(m.Payload, now)
		}
		w.mu.Unlock()
	}
}

// alarm takes the age of an alarm that a reading has just raised or cleared. One whose
// rule waits is as old as the rule wants it.
func (w *watcher) alarm(payload []byte, now time.Time) {
	var a telemetry.Alert
	if json.Unmarshal(payload, &a) != nil || a.Source != telemetry.SourceRule || a.Historical || a.OnDelayMS+a.OffDelayMS != 0 {
		return
	}
	switch a.Event {
	case telemetry.EventRaised:
		w.raised.Record(now.Sub(time.UnixMilli(a.Timestamp)))
	case telemetry.EventCleared:
		w.cleared.Record(now.Sub(time.UnixMilli(a.Timestamp)))
	default:
	}
}

// alarms returns how many alarms were raised and cleared in the window so far.
func (w *watcher) alarms() (raised, cleared uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.raised.Count(), w.cleared.Count()
}

var timestampKey = []byte(`"timestamp":`)

// timestamp finds a reading's timestamp without parsing the rest: the client's cost
// must not be what is measured.
func timestamp(reading []byte) (int64, bool) {
	_, rest, ok := bytes.Cut(reading, timestampKey)
	end := bytes.IndexAny(rest, ",}")
	if !ok || end < 0 {
		return 0, false
	}
	ms, err := strconv.ParseInt(string(bytes.TrimSpace(rest[:end])), 10, 64)
	return ms, err == nil
}

// begin starts the window.
func (w *watcher) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ages.Reset()
	w.raised.Reset()
	w.cleared.Reset()
	w.alerts = 0
	w.since = time.Now()
}

// end returns what was seen in the window.
func (w *watcher) end() Watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := Watched{
		PerSecond: float64(w.ages.Count()) / time.Since(w.since).Seconds(),
		Mean:      w.ages.Mean(), P50: w.ages.Quantile(0.5), P99: w.ages.Quantile(0.99), Max: w.ages.Max(),
		Alerts: w.alerts, Raised: agesOf(&w.raised), Cleared: agesOf(&w.cleared),
	}
	if w.broken != nil {
		r.Broken = w.broken.Error()
	}
	return r
}

// close ends the connection. Closing twice does nothing.
func (w *watcher) close() {
	w.mu.Lock()
	was := w.closed
	w.closed = true
	w.mu.Unlock()
	if !was {
		_ = w.v.Close() // it may have ended by itself
	}
	<-w.done
}
