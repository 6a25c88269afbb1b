package roster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// installation sends a heartbeat each second until its channel is closed.
func installation(t *testing.T, r *Roster, instance string) (stop func()) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			data, err := wire.GatewayStatus{Gateway: "gw", Instance: instance, Epoch: instance, Building: "A栋"}.Encode()
			if err == nil {
				_, _ = r.Observe(wire.StatusSubject("gw"), data)
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	stopped := false
	stop = func() {
		if !stopped {
			close(done)
			<-ended
		}
		stopped = true
	}
	t.Cleanup(stop)
	return stop
}

func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
}

func TestTwoInstallationsUnderOneIDAreNotRead(t *testing.T) {
	for name, tc := range map[string]struct {
		secondStops bool
		left        string
	}{"the second one is stopped": {true, "one"}, "the first one is stopped": {false, "two"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoster(t)
				go func() { _ = r.Run(t.Context()) }()
				changes, unsubscribe := r.Subscribe()
				defer unsubscribe()
				stopFirst := installation(t, r, "one")
				defer stopFirst()
				pass(3 * time.Second)
				<-changes
				require.Equal(t, []string{"gw"}, r.Gateways())
				require.Empty(t, r.Duplicate("gw"))

				stopSecond := installation(t, r, "two")
				defer stopSecond()
				pass(time.Second)
				<-changes
				require.Empty(t, r.Gateways(), "nothing is read")
				require.False(t, r.Listed("gw", time.Hour))
				require.Contains(t, r.Duplicate("gw"), "instance two (building A栋)")
				require.Len(t, r.Statuses(), 1)
				require.Equal(t, "one", r.Statuses()[0].Instance, "the second one's heartbeats do not count")
				pass(time.Minute)
				require.Empty(t, r.Gateways())

				if tc.secondStops {
					stopSecond()
				} else {
					stopFirst()
				}
				pass(2 * successionAfter)
				<-changes
				require.Equal(t, []string{"gw"}, r.Gateways())
				require.Empty(t, r.Duplicate("gw"))
				require.Equal(t, tc.left, r.Statuses()[0].Instance)
			})
		})
	}
}

func TestReplacedInstallationIsNoDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(t)
		go func() { _ = r.Run(t.Context()) }()
		installation(t, r, "one")()
		pass(successionAfter)
		defer installation(t, r, "two")()
		pass(time.Second)
		require.Equal(t, []string{"gw"}, r.Gateways())
		require.Empty(t, r.Duplicate("gw"))
		// Gateways without an instance are indistinguishable.
		beat(t, r, wire.GatewayStatus{Gateway: "gw"})
		require.Empty(t, r.Duplicate("gw"))
	})
}

func TestRefusalByTheHubIsShownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(t)
		go func() { _ = r.Run(t.Context()) }()
		r.Refused("gw-unknown", "x", "1.2.3.4:5")
		require.Empty(t, r.Duplicate("gw-unknown"))
		defer installation(t, r, "one")()
		pass(time.Second)
		r.Refused("gw", "two", "1.2.3.4:5")
		require.Equal(t, "instance two at 1.2.3.4:5 was refused by the hub", r.Duplicate("gw"))
		require.Equal(t, []string{"gw"}, r.Gateways(), "it was kept out, so the other is read")
		pass(3 * time.Second)
		require.NotEmpty(t, r.Duplicate("gw"))
		pass(2 * successionAfter)
		require.Empty(t, r.Duplicate("gw"))
		require.Equal(t, []string{"gw"}, r.Gateways())
	})
}
