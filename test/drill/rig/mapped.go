package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// mappings turns the meters' messages into readings.
const mappings = `mappings:
  - id: meters
    topic: meters/{device}/state
    device: "meter_{device}"
    timestamp: {path: at, format: ms}
    sensors:
      - {name: power, path: load.w, unit: W}
      - {name: flow, path: flow, unit: L/min}
`

// writeMappings writes the gateways' mappings file and returns its name.
func writeMappings(dir string) (string, error) {
	name := filepath.Join(dir, "mappings.yaml")
	if err := os.WriteFile(name, []byte(mappings), 0o600); err != nil {
		return "", fmt.Errorf("writing the mappings: %w", err)
	}
	return name, nil
}

const (
	// meterInterval is the time between two messages of a meter.
	meterInterval = 100 * time.Millisecond
	// meterTimeout is how long a meter waits for a PUBACK before it sends again.
	meterTimeout = 2 * time.Second
)

// meters are devices that do not know the product: one at each gateway, with payloads of
// its own on a mapped topic by MQTT.
type meters struct {
	acked atomic.Uint64
	stop  func() // may be called again
	done  sync.WaitGroup

	mu  sync.Mutex
	out *bufio.Writer
	err error
}

// startMeters starts a meter at each of the MQTT addresses. number makes their ids unique.
func startMeters(ledger string, addresses []string, number int) (*meters, error) {
	f, err := os.Create(ledger)
	if err != nil {
		return nil, fmt.Errorf("creating the meters' ledger: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &meters{out: bufio.NewWriter(f)}
	for i, addr := range addresses {
		m.done.Go(func() { m.run(ctx, addr, fmt.Sprintf("%d_%d", number, i)) })
	}
	m.stop = sync.OnceFunc(func() {
		cancel()
		m.done.Wait()
		m.err = errors.Join(m.err, m.out.Flush(), f.Close())
	})
	return m, nil
}

// run publishes until ctx ends. The newest message is sent again until it is acknowledged.
func (m *meters) run(ctx context.Context, addr, name string) {
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("meter-" + name).
		SetConnectRetry(true).SetConnectRetryInterval(200 * time.Millisecond).SetMaxReconnectInterval(time.Second))
	client.Connect()
	defer client.Disconnect(0)
	for n := 0; ; n++ {
		at := time.Now().UnixMilli()
		payload := fmt.Sprintf(`{"at":%d,"load":{"w":%d},"flow":%.1f}`, at, 1000+n%100, 10+float64(n%7))
		for !publish(client, "meters/"+name+"/state", payload) {
			if ctx.Err() != nil || Sleep(ctx, 200*time.Millisecond) != nil {
				return
			}
		}
		m.note("meter_"+name, at)
		if Sleep(ctx, meterInterval) != nil {
			return
		}
	}
}

// publish sends a message and reports whether it was acknowledged.
func publish(client mqtt.Client, topic, payload string) bool {
	t := client.Publish(topic, 1, false, payload)
	return t.WaitTimeout(meterTimeout) && t.Error() == nil
}

// note records an acknowledgement.
func (m *meters) note(device string, at int64) {
	m.acked.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := fmt.Fprintf(m.out, "%s,%d,1\n", device, at)
	m.err = errors.Join(m.err, err)
}
