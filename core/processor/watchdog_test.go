package processor

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// beat sends a gateway's heartbeats until stop is called.
func (p *env) beat(gateway string, ledger *wire.GatewayLedger) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(300 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			s := wire.GatewayStatus{Gateway: gateway, Building: "A栋", Epoch: "0123456789abcdef", Time: time.Now().UnixMilli(), HorizonSeconds: -1}
			if data, err := s.Encode(); err == nil {
				_ = p.hub.Publish(wire.StatusSubject(gateway), data)
			}
			if ledger != nil {
				if data, err := ledger.Encode(); err == nil {
					_ = p.hub.Publish(wire.LedgerSubject(gateway), data)
				}
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	p.t.Cleanup(stop)
	return stop
}

// sendSteadily makes devices send through a gateway five times a second until stop is called.
func (p *env) sendSteadily(devices ...string) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			var records []kafkatest.Record
			for _, d := range devices {
				records = append(records, reading(d, time.Now().UnixMilli(), 20))
			}
			kafkatest.Produce(p.t, p.cfg.Brokers, p.cfg.DeviceData, -1, records...)
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	p.t.Cleanup(stop)
	return stop
}

func of(device, kind string, event telemetry.AlarmEvent) func(*telemetry.Alert) bool {
	return func(a *telemetry.Alert) bool {
		return a.DeviceID == device && a.AlertType == kind && a.Event == event
	}
}

func TestSilentDeviceIsAnAlarmUntilItSpeaks(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.beat("gw-a", nil)
	c := p.startReady()
	stop := p.sendSteadily("d1")
	p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].IntervalMS > 0 })
	stop()
	a := p.await(1, of("d1", deviceOffline, telemetry.EventRaised))[0]
	require.Equal(t, telemetry.SourceWatchdog, a.Source)
	require.Nil(t, a.Suppressed)
	require.Equal(t, "A栋", a.Location.Building)
	c.stop() // it survives a restart without being raised again
	p.startReady()
	p.produce(reading("d1", time.Now().UnixMilli(), 20))
	cleared := p.await(1, of("d1", deviceOffline, telemetry.EventCleared))[0]
	require.Equal(t, a.AlertID, cleared.AlertID)
	require.Len(t, p.await(1, of("d1", deviceOffline, telemetry.EventRaised)), 1)
}

// TestGatewayDownIsOneAlarm checks that the alarms of a gateway's devices are suppressed by
// the gateway's own while it is down, clear when the devices return with it, and are
// unsuppressed for the one that stays silent.
func TestGatewayDownIsOneAlarm(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	p.cfg.GatewaySilence = 5 * time.Second
	p.createInput(4)
	stopGateway := p.beat("gw-a", nil)
	c := p.startReady()
	stop := p.sendSteadily("d1", "d2", "d3")
	p.states(func(s map[string]telemetry.DeviceState) bool { return s["d1"].IntervalMS > 0 && s["d2"].IntervalMS > 0 })
	stopGateway()
	stop()
	down := p.await(1, of("gw-a", gateways.Down, telemetry.EventRaised))[0]
	require.Equal(t, telemetry.SeverityCritical, down.Severity)
	for _, d := range []string{"d1", "d2", "d3"} {
		a := p.await(1, of(d, deviceOffline, telemetry.EventRaised))[0]
		require.NotNil(t, a.Suppressed, d)
		require.Equal(t, down.AlertID, a.Suppressed.ByAlarm, d)
	}
	c.stop() // the next owner continues
	p.startReady()
	p.beat("gw-a", nil)
	stop = p.sendSteadily("d2", "d3")
	p.await(1, of("gw-a", gateways.Down, telemetry.EventCleared))
	p.await(1, of("d2", deviceOffline, telemetry.EventCleared))
	p.await(1, of("d3", deviceOffline, telemetry.EventCleared))
	silent := p.await(1, of("d1", deviceOffline, telemetry.EventUnsuppressed))[0]
	require.Nil(t, silent.Suppressed)
	stop()
	require.Len(t, p.await(1, of("gw-a", gateways.Down, telemetry.EventRaised)), 1)
	for _, d := range []string{"d2", "d3"} {
		for _, a := range p.journal() {
			require.False(t, of(d, deviceOffline, telemetry.EventUnsuppressed)(&a), "%s was not silent", d)
		}
	}
}

func TestLedgerThatDoesNotBalanceIsAnAlarm(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	ledger := &wire.GatewayLedger{Gateway: "gw-b", Difference: 3, Duplicate: "instance 2"}
	stop := p.beat("gw-b", ledger)
	p.startReady()
	a := p.await(1, of("gw-b", gateways.Ledger, telemetry.EventRaised))[0]
	require.InDelta(t, 3, a.CurrentValue, 0)
	p.await(1, of("gw-b", gateways.Duplicate, telemetry.EventRaised))
	stop()
	p.beat("gw-b", &wire.GatewayLedger{Gateway: "gw-b"})
	p.await(1, of("gw-b", gateways.Ledger, telemetry.EventCleared))
	p.await(1, of("gw-b", gateways.Duplicate, telemetry.EventCleared))
}

// TestAThousandAlarmsAtOnceCostNoReading checks that every alarm is raised and the readings
// behind them are processed.
func TestAThousandAlarmsAtOnceCostNoReading(t *testing.T) {
	t.Parallel()
	p := newEnv(t)
	l := p.listen()
	c := p.startReady()
	const devices = 1000
	now := time.Now().UnixMilli()
	var records []kafkatest.Record
	for i := range devices {
		records = append(records, reading(fmt.Sprint("d", i), now, 99))
	}
	for i := range devices {
		records = append(records, reading(fmt.Sprint("d", i), now+100, 98))
	}
	p.produce(records...)
	require.Len(t, p.alerts(devices), devices)
	c.eventually(t, 2*devices, "core_readings_total")
	for _, i := range []int{0, 500, 999} {
		require.Eventually(t, func() bool { return len(l.of(fmt.Sprint("d", i))) == 2 }, waitTimeout, 10*time.Millisecond)
	}
}
