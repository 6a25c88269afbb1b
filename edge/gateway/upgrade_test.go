package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/internal/wire"
)

// sender is a device that sends a reading after the other, each until it is acknowledged.
type sender struct {
	id     string
	byMQTT bool
	addr   atomic.Pointer[[2]string] // of NATS and MQTT
	secret atomic.Pointer[string]    // nil: it has none yet
	acked  atomic.Int64

	close func()
	send  func(payload []byte) error // nil: not connected
}

var errNoAnswer = errors.New("no answer")

func (d *sender) connect() error {
	addr, user, secret := d.addr.Load(), "", ""
	if s := d.secret.Load(); s != nil {
		user, secret = d.id, *s
	}
	if !d.byMQTT {
		nc, err := nats.Connect(addr[0], nats.UserInfo(user, secret), nats.NoReconnect())
		if err != nil {
			return err
		}
		d.close = nc.Close
		d.send = func(payload []byte) error {
			answer, err := nc.Request(wire.TelemetrySubject(d.id), payload, time.Second)
			if err == nil && !bytes.Contains(answer.Data, []byte(`"stream"`)) {
				err = errNoAnswer
			}
			return err
		}
		return nil
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr[1]).SetAutoReconnect(false).SetClientID(d.id).SetUsername(user).SetPassword(secret))
	if t := c.Connect(); !t.WaitTimeout(5*time.Second) || t.Error() != nil {
		return errors.Join(errNoAnswer, t.Error())
	}
	d.close = func() { c.Disconnect(0) }
	d.send = func(payload []byte) error {
		t := c.Publish(wire.TelemetryTopic(d.id), 1, false, payload)
		if !t.WaitTimeout(time.Second) {
			return errNoAnswer
		}
		return t.Error()
	}
	return nil
}

// run sends until ctx ends. Whenever something fails it connects again and sends the same reading.
func (d *sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		if d.send == nil && d.connect() != nil {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond): // as a device does
			}
			continue
		}
		if err := d.send(reading(d.id, 1640995200000+d.acked.Load())); err != nil {
			d.close()
			d.send = nil
			continue
		}
		d.acked.Add(1)
	}
	if d.send != nil {
		d.close()
	}
}

// TestABuildingGetsCredentialsWithoutALostReading: off, observe, a secret for one device after the other,
// required; devices send all the time.
func TestABuildingGetsCredentialsWithoutALostReading(t *testing.T) {
	const n = 12
	b := openBuilding(t, devices.Off, func(c *Config) { c.NewDevices = 1 })
	fleet := make([]*sender, n)
	for i := range fleet {
		fleet[i] = &sender{id: fmt.Sprint("device_", i), byMQTT: i%2 == 0}
	}
	var stop func()
	open := func(mode devices.Mode) {
		b.cfg.DeviceAuth = mode
		b.Gateway, stop = run(t, b.cfg)
		for _, d := range fleet {
			d.addr.Store(&[2]string{b.NATSAddr(), b.MQTTAddr()})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	progress := func() {
		t.Helper()
		for _, d := range fleet {
			from := d.acked.Load()
			require.Eventually(t, func() bool { return d.acked.Load() >= from+5 }, waitTimeout, time.Millisecond, d.id)
		}
	}
	open(devices.Off)
	for _, d := range fleet {
		all.Go(func() { d.run(ctx) })
	}
	defer func() { cancel(); all.Wait() }()
	progress()
	stop()
	open(devices.Observe)
	progress()
	for _, d := range fleet {
		secret := b.device("add", d.id)
		d.secret.Store(&secret) // it connects with it the next time that it has to
	}
	progress()
	stop()
	open(devices.Required)
	defer func() { stop() }()
	progress()
	cancel()
	all.Wait()

	stored := map[string]map[string]int{}
	for _, e := range b.hub.entries(t, b.cfg.ID) {
		require.Nil(t, e.Refusal)
		if stored[e.Device] == nil {
			stored[e.Device] = map[string]int{}
		}
		stored[e.Device][string(e.Payload)]++
	}
	for _, d := range fleet {
		for i := range d.acked.Load() {
			require.Equal(t, 1, stored[d.id][string(reading(d.id, 1640995200000+i))], "reading %d of %s", i, d.id)
		}
	}
}
