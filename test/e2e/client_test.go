//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/oracle"
	"industrial-iot-monitor/test/viewer"
)

// client is a WebSocket client that is subscribed to everything and counts messages.
type client struct {
	mu       sync.Mutex
	readings map[string]int
	statuses map[string]bool // of a sensor, as pushed
	alerts   map[string]telemetry.Alert
	faults   []string // unexpected messages
}

// key identifies one of the two records of an incident.
func key(a *telemetry.Alert) string { return a.AlertID + " " + string(a.Status) }

// connect connects and subscribes as the JavaScript sample does.
func connect(t *testing.T, url string) *client {
	t.Helper()
	c := &client{readings: map[string]int{}, statuses: map[string]bool{}, alerts: map[string]telemetry.Alert{}}
	v, err := viewer.Dial(t.Context(), url)
	require.NoError(t, err)
	require.NoError(t, v.Subscribe("device_001"))
	require.NoError(t, v.SubscribeAll())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := v.Read()
			if err != nil {
				return
			}
			c.record(m)
		}
	}()
	t.Cleanup(func() {
		_ = v.Close() // the portal may be gone already
		<-done
	})
	return c
}

func (c *client) record(m viewer.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Type {
	case viewer.TypeReading:
		var r struct {
			DeviceID string `json:"device_id"`
			Sensors  map[string]struct {
				Status string `json:"status"`
			} `json:"sensors"`
		}
		if err := json.Unmarshal(m.Payload, &r); err != nil {
			c.faults = append(c.faults, err.Error())
			return
		}
		c.readings[r.DeviceID]++
		c.statuses[r.Sensors["temperature"].Status] = true
	case viewer.TypeAlert:
		var a telemetry.Alert
		if err := json.Unmarshal(m.Payload, &a); err != nil {
			c.faults = append(c.faults, err.Error())
			return
		}
		c.alerts[key(&a)] = a
	default:
		c.faults = append(c.faults, m.Type+" "+m.Code+" "+m.Message)
	}
}

// requireSeen checks that the client received readings of every device and every alert of the
// topic.
func (c *client) requireSeen(t *testing.T, r *run, alerts []telemetry.Alert) {
	t.Helper()
	missing := func() []telemetry.Alert {
		c.mu.Lock()
		defer c.mu.Unlock()
		var out []telemetry.Alert
		for _, a := range alerts {
			if _, ok := c.alerts[key(&a)]; !ok {
				out = append(out, a)
			}
		}
		return out
	}
	require.Eventually(t, func() bool { return len(missing()) == 0 }, waitTimeout, pollInterval, "alerts the client did not receive: %v", missing())
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.faults)
	require.Len(t, c.readings, devices, "readings of every device")
	require.True(t, c.statuses["normal"], "%v", c.statuses)
	require.Greater(t, len(c.statuses), 1, "values beyond a limit carry another status: %v", c.statuses)
	require.Positive(t, r.from)
}

// alerts reads the alerts topic to its end.
func (r *run) alerts(t *testing.T) []telemetry.Alert {
	t.Helper()
	var out []telemetry.Alert
	r.readTopic(t, r.Topics.Alerts, func(rec *kgo.Record) error {
		var a telemetry.Alert
		out = append(out, a)
		return json.Unmarshal(rec.Value, &out[len(out)-1])
	})
	return out
}

// deadLetters reads the topic of refused messages to its end.
func (r *run) deadLetters(t *testing.T) []*kgo.Record {
	t.Helper()
	var out []*kgo.Record
	r.readTopic(t, r.Topics.DeadLetters, func(rec *kgo.Record) error {
		out = append(out, rec)
		return nil
	})
	return out
}

// readTopic calls each for every record of a topic, until no more records arrive.
func (r *run) readTopic(t *testing.T, topic string, each func(*kgo.Record) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	in, err := kafkatest.NewReader(r.Brokers(), topic)
	require.NoError(t, err)
	defer in.Close()
	for n, before := 0, -1; n != before; {
		before = n
		require.NoError(t, in.CatchUp(ctx, func(rec *kgo.Record) error { n++; return each(rec) }))
		wait(t, 2*time.Second)
	}
}

// requireAlerts compares the alerts with the devices' labelled faults.
func (r *run) requireAlerts(t *testing.T, alerts []telemetry.Alert, stored readings) {
	t.Helper()
	o := oracle.NewAlarms()
	for device, timestamps := range stored {
		for ts := range timestamps {
			o.Reading(device, ts)
		}
	}
	for i := range alerts {
		o.Alert(&alerts[i])
	}
	var labels []fleet.Label
	for _, f := range r.fleets {
		labels = append(labels, f.Labels(r.from, r.to)...)
	}
	v := o.Verdict(labels, r.from)
	t.Log(v.String())
	require.NoError(t, v.Err())
}
