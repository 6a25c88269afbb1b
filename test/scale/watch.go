package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"industrial-iot-monitor/test/viewer"
)

// watch is a WebSocket client that follows every device and measures how old readings are when
// they arrive: from just before the gateway stored them.
type watch struct {
	v    *viewer.Viewer
	done chan struct{}

	mu   sync.Mutex
	ages map[bool][]time.Duration // by whether the gateway is the busy one
	err  error
}

func newWatch(ctx context.Context, address, busy string) (*watch, error) {
	v, err := viewer.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	w := &watch{v: v, done: make(chan struct{}), ages: map[bool][]time.Duration{}}
	go w.read(busy + "-")
	return w, v.SubscribeAll()
}

func (w *watch) read(busy string) {
	defer close(w.done)
	var reading struct {
		DeviceID  string `json:"device_id"`
		Timestamp int64  `json:"timestamp"`
	}
	for {
		m, err := w.v.Read()
		if err == nil && m.Type == viewer.TypeReading {
			err = json.Unmarshal(m.Payload, &reading)
		}
		w.mu.Lock()
		if err != nil {
			w.err = err
			w.mu.Unlock()
			return
		}
		if m.Type == viewer.TypeReading {
			of := strings.HasPrefix(reading.DeviceID, busy)
			w.ages[of] = append(w.ages[of], time.Since(time.UnixMilli(reading.Timestamp)))
		}
		w.mu.Unlock()
	}
}

// take returns the ages since the last call, of quiet gateways and of the busy one.
func (w *watch) take() (quiet, busy []time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	quiet, busy = w.ages[false], w.ages[true]
	w.ages = map[bool][]time.Duration{}
	return quiet, busy, w.err
}

func (w *watch) close() error {
	err := w.v.Close()
	<-w.done
	return err
}
