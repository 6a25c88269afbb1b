package publisher

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/test/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryReadingIsAcknowledgedOnceInOrder(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			m, l := newMemory(), &ledger{}
			r := run(t, Options{
				Fleet: testFleet(t, 60, 3), Gateways: gateways(t, v.protocol, m, 3), Protocol: v.protocol, PerDevice: v.perDevice,
				Interval: 200 * time.Millisecond, Ledger: l,
			})
			require.Eventually(t, func() bool { return r.Stats().Acked >= 600 }, waitTimeout, often)
			s := r.stop()
			require.Zero(t, s.Open())
			require.Equal(t, s.Due, s.Acked)
			require.Equal(t, s.Sent, s.Acked)
			require.Zero(t, s.Refused+s.GivenUp+s.Later+s.Lost)
			require.Zero(t, s.Connections)
			require.EqualValues(t, s.Acked, m.count())
			require.Len(t, l.snapshot(), 60)
			require.EqualValues(t, s.Acked, r.DrainLatency().TotalCount())
			require.Zero(t, r.DrainLatency().TotalCount())
			requireLedger(t, l, m)
		})
	}
}

// TestConcentratorsSendEveryReadingOnce has devices that share concentrators, the last of
// which has fewer.
func TestConcentratorsSendEveryReadingOnce(t *testing.T) {
	for _, protocol := range []Protocol{NATS, MQTT} {
		t.Run(string(protocol), func(t *testing.T) {
			m, l := newMemory(), &ledger{}
			r := run(t, Options{
				Fleet: testFleet(t, 50, 2), Gateways: gateways(t, protocol, m, 2), Protocol: protocol, Batch: 10,
				Interval: 100 * time.Millisecond, Ledger: l,
			})
			require.Eventually(t, func() bool { return r.Stats().Acked >= 500 }, waitTimeout, often)
			s := r.stop()
			require.Zero(t, s.Open())
			require.Equal(t, s.Due, s.Acked)
			require.EqualValues(t, s.Acked, m.count())
			require.Less(t, s.Sent, s.Acked/8)
			require.Len(t, l.snapshot(), 50)
			requireLedger(t, l, m)
		})
	}
}

func TestRefusedReadingsOfABatchAreNotAcknowledged(t *testing.T) {
	m, l := newMemory(), &ledger{}
	m.decide = func(device string, _ int64, _ int) verdict {
		if device == "device_003" {
			return refuse
		}
		return accept
	}
	r := run(t, Options{
		Fleet: testFleet(t, 10, 1), Gateways: gateways(t, NATS, m, 1), Batch: 5, Interval: 100 * time.Millisecond, Ledger: l,
	})
	require.Eventually(t, func() bool { return r.Stats().Refused >= 3 }, waitTimeout, often)
	s := r.stop()
	require.Equal(t, s.Due, s.Acked+s.Refused)
	require.InDelta(t, s.Due, 10*s.Refused, 5, "one reading of ten")
	require.NotContains(t, l.snapshot(), "device_003")
	require.Len(t, l.snapshot(), 9)
}

// TestAcknowledgedMessagesAreRepeated: the repeat is not acknowledged a second time.
func TestAcknowledgedMessagesAreRepeated(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			m, l := newMemory(), &ledger{}
			r := run(t, Options{
				Fleet: testFleet(t, 20, 1), Gateways: gateways(t, v.protocol, m, 1), Protocol: v.protocol, PerDevice: v.perDevice,
				Interval: 100 * time.Millisecond, Repeat: 0.5, Ledger: l,
			})
			require.Eventually(t, func() bool { s := r.Stats(); return s.Acked >= 100 && s.Repeated >= 20 }, waitTimeout, often)
			s := r.stop()
			require.Zero(t, s.Open())
			require.Equal(t, s.Due, s.Acked)
			require.Equal(t, s.Sent, s.Acked+s.Repeated)
			entries := 0
			for _, e := range l.snapshot() {
				entries += len(e)
			}
			require.EqualValues(t, s.Acked, entries)
		})
	}
}

func TestReadingIsResentAfterRetryLater(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			m, l := newMemory(), &ledger{}
			m.decide = func(_ string, ts int64, seen int) verdict {
				if oneOf(7, ts) == 0 && seen < 2 {
					return later
				}
				return accept
			}
			r := run(t, Options{
				Fleet: testFleet(t, 20, 1), Gateways: gateways(t, v.protocol, m, 1), Protocol: v.protocol, PerDevice: v.perDevice,
				Interval: 100 * time.Millisecond, Ledger: l,
			})
			require.Eventually(t, func() bool { s := r.Stats(); return s.Acked >= 100 && s.AckedLate >= 5 }, waitTimeout, often)
			s := r.stop()
			require.Positive(t, s.Later+s.Lost)
			require.Zero(t, s.GivenUp)
			requireLedger(t, l, m)
		})
	}
}

func TestReadingIsResentWithoutAnAnswer(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			m, l := newMemory(), &ledger{}
			m.decide = func(_ string, ts int64, seen int) verdict {
				switch {
				case oneOf(5, ts) == 0 && seen == 0:
					return swallow // stored, but the device does not know
				case oneOf(5, ts) == 1 && seen == 0:
					return ignore
				}
				return accept
			}
			r := run(t, Options{
				Fleet: testFleet(t, 10, 1), Gateways: gateways(t, v.protocol, m, 1), Protocol: v.protocol, PerDevice: v.perDevice,
				Interval: 200 * time.Millisecond, AckTimeout: 300 * time.Millisecond, Ledger: l,
			})
			require.Eventually(t, func() bool { s := r.Stats(); return s.AckedLate >= 5 && s.Timeouts >= 5 }, waitTimeout, often)
			s := r.stop()
			require.GreaterOrEqual(t, s.Resent, s.AckedLate)
			requireLedger(t, l, m)
		})
	}
}

func TestRefusedReadingIsNotResent(t *testing.T) {
	m, l := newMemory(), &ledger{}
	m.decide = func(_ string, ts int64, _ int) verdict {
		if oneOf(2, ts) == 0 {
			return refuse
		}
		return accept
	}
	r := run(t, Options{Fleet: testFleet(t, 10, 1), Gateways: gateways(t, NATS, m, 1), Interval: 50 * time.Millisecond, Ledger: l})
	require.Eventually(t, func() bool { s := r.Stats(); return s.Acked >= 20 && s.Refused >= 20 }, waitTimeout, often)
	s := r.stop()
	require.Zero(t, s.Resent)
	require.Equal(t, s.Due, s.Acked+s.Refused)
	requireLedger(t, l, m)
}

func TestGatewayComesAndGoes(t *testing.T) {
	for _, p := range []Protocol{NATS, MQTT} {
		t.Run(string(p), func(t *testing.T) {
			m, l := newMemory(), &ledger{}
			addr := freeport.Address(t)
			up := func() func() {
				if p == MQTT {
					return startMQTT(t, m, addr).stop
				}
				return startNATS(t, m, addr).stop
			}
			// The gateway is down at the start.
			r := run(t, Options{
				Fleet: testFleet(t, 20, 1), Gateways: []string{addr}, Protocol: p,
				Interval: 100 * time.Millisecond, AckTimeout: time.Second, Ledger: l, Drain: waitTimeout,
			})
			require.Eventually(t, func() bool { return r.Stats().Errors >= 20 }, waitTimeout, often)
			require.Zero(t, r.Stats().Connections)
			down := up()
			require.Eventually(t, func() bool { return r.Stats().Acked >= 100 }, waitTimeout, often)
			require.Positive(t, r.Stats().Connections)
			down()
			before := r.Stats()
			require.Eventually(t, func() bool { return r.Stats().Errors >= before.Errors+20 }, waitTimeout, often)
			require.Positive(t, r.Stats().Lost)
			up()
			require.Eventually(t, func() bool { return r.Stats().Acked >= before.Acked+200 }, waitTimeout, often)
			s := r.stop()
			require.Equal(t, s.Due, s.Acked, "%+v", s)
			require.Zero(t, s.GivenUp)
			requireLedger(t, l, m)
		})
	}
}

func TestFullBacklogDropsNewReadings(t *testing.T) {
	m, l := newMemory(), &ledger{}
	var open sync.Map
	m.decide = func(string, int64, int) verdict {
		if _, ok := open.Load("open"); ok {
			return accept
		}
		return later
	}
	r := run(t, Options{
		Fleet: testFleet(t, 3, 1), Gateways: gateways(t, NATS, m, 1), Interval: 20 * time.Millisecond,
		Backlog: 4, Ledger: l, Drain: waitTimeout,
	})
	require.Eventually(t, func() bool { return r.Stats().GivenUp > 10 }, waitTimeout, often)
	s := r.Stats()
	require.Equal(t, 3*4, s.Backlog)
	require.Equal(t, 3, s.InFlight+s.Waiting)
	open.Store("open", true)
	require.Eventually(t, func() bool { return r.Stats().Acked >= 30 }, waitTimeout, often)
	s = r.stop()
	require.Equal(t, s.Due, s.Acked+s.GivenUp)
	requireLedger(t, l, m)
}

func TestStopIsBoundedWithoutAnswers(t *testing.T) {
	m := newMemory()
	m.decide = func(string, int64, int) verdict { return ignore }
	r := run(t, Options{
		Fleet: testFleet(t, 5, 1), Gateways: gateways(t, NATS, m, 1), Interval: 20 * time.Millisecond,
		Drain: 50 * time.Millisecond,
	})
	require.Eventually(t, func() bool { return r.Stats().InFlight == 5 }, waitTimeout, often)
	s := r.stop()
	require.Positive(t, s.Open())
	require.Equal(t, s.Due, s.Acked+s.GivenUp+uint64(s.Open()))
}

func TestNewRefusesInvalidOptions(t *testing.T) {
	f := testFleet(t, 4, 2)
	log := slog.New(slog.DiscardHandler)
	two := []string{"a:1", "b:1"}
	for name, o := range map[string]Options{
		"no fleet":         {Gateways: two, Log: log},
		"no log":           {Gateways: two, Fleet: f},
		"too few gateways": {Gateways: two[:1], Fleet: f, Log: log},
		"unknown protocol": {Gateways: two, Fleet: f, Log: log, Protocol: "coap"},
		"batch too large":  {Gateways: two, Fleet: f, Log: log, Batch: 1001},
		"repeat too often": {Gateways: two, Fleet: f, Log: log, Repeat: 1.1},
		"too fast":         {Gateways: two, Fleet: f, Log: log, Interval: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			require.Error(t, err)
		})
	}
}
